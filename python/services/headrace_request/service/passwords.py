"""Passwords: hashed with argon2id (RFC 9106) in threads, a few at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from headrace_model.errors import Unavailable

# Each hash takes 64 MiB for some 50 ms: strangers must not make many at once.
_AT_ONCE = 2
_WAITING = 10


class Passwords:
    """Hashes and checks passwords without stopping the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._inside = 0

    async def hash(self, password: str) -> str:
        """Hash a password, with a salt of its own. Raises `Unavailable`."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, known: str | None, password: str) -> bool:
        """Tell whether a password is the one of a hash; None takes as long, and is False.

        Raises `Unavailable` where too many wait already.
        """
        async with self._turn():
            return await asyncio.to_thread(self._check, known, password)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._inside >= _AT_ONCE + _WAITING:
            raise Unavailable("many are logging in right now", hint="try again in a moment")
        self._inside += 1
        try:
            async with self._room:
                yield
        finally:
            self._inside -= 1

    def _check(self, known: str | None, password: str) -> bool:
        try:
            self._hasher.verify(known or _nobodys(), password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        return known is not None


def new_password() -> str:
    """Make a password: 120 random bits."""
    return token_urlsafe(15)


@cache
def _nobodys() -> str:
    """A hash that no password has: who tries an unknown name waits as long as for a known one."""
    return PasswordHasher().hash(token_urlsafe(32))
