"""Who is calling: bearer tokens, looked up in Redis and remembered for seconds."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace_model.errors import RateLimited, Unauthorized
from headrace_model.people import User
from headrace_request.core.throttle import Throttle

if TYPE_CHECKING:
    from headrace_adapters.redis.users import UserStore

_MOST_REMEMBERED = 10_000
_LONGEST_TOKEN = 200
_NEXT = "show a token with --token-file, HEADRACE_TOKEN_FILE or HEADRACE_TOKEN"
# Guesses of tokens are hopeless. Who makes many is told to wait; a known token always opens, so
# that nobody shuts out the others who come from the same address.
_GUESSES_PER_S, _GUESSES_AT_ONCE = 5.0, 50.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and with which token; `expires_ms` None: it does not expire."""

    user: User
    token: str
    token_id: str
    expires_ms: int | None


class Doorman:
    """Turns an Authorization header into a caller."""

    def __init__(self, users: "UserStore", remember_s: float, requests: Throttle) -> None:
        self._users = users
        self._remember_s = remember_s
        self._requests = requests
        self._guesses = Throttle(_GUESSES_PER_S, _GUESSES_AT_ONCE)
        self._known: dict[str, tuple[float, Caller]] = {}

    async def caller_of(self, authorization: str, address: str) -> Caller:
        """Find the caller; `address` is where the connection comes from.

        Raises `Unauthorized` for a missing, unknown or expired token, `RateLimited`.
        """
        now_s = time.monotonic()
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("no token was sent", hint=_NEXT)
        known = self._known.get(token)
        if known is None or now_s - known[0] >= self._remember_s:
            known = await self._look_up(token, address, now_s)
        caller = _in_time(known[1])
        if wait := self.count(caller):
            raise RateLimited(
                f"{caller.user.name} asks more often than this Headrace answers",
                after_s=wait,
                hint="wait a moment; a list of jobs in one request costs less than many requests",
            )
        return caller

    def count(self, caller: Caller) -> int:
        """Count a request; returns 0, or the seconds to wait where it is one too many."""
        return self._requests.take(caller.user.name, time.monotonic())

    async def still(self, caller: Caller) -> Caller:
        """Look a caller up again, for a connection that lasts; raises `Unauthorized`."""
        now_s = time.monotonic()
        known = self._known.get(caller.token)
        if known is None or now_s - known[0] >= self._remember_s:
            known = await self._look_up(caller.token, None, now_s)
        return _in_time(known[1])

    def forget(self) -> None:
        """Ask Redis again for everybody: somebody's role, groups or tokens changed."""
        self._known.clear()

    async def _look_up(
        self, token: str, address: str | None, now_s: float
    ) -> tuple[float, Caller]:
        """Ask Redis; `address`: where a guess would come from, None for who was let in before."""
        self._known.pop(token, None)
        found = await self._users.lookup(token) if len(token) <= _LONGEST_TOKEN else None
        if found is None:
            if address is not None and (wait := self._guesses.take(address, now_s)):
                raise RateLimited("too many unknown tokens came from your address", after_s=wait)
            raise Unauthorized("this token is not known", hint=_NEXT)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        user, record = found
        entry = (now_s, Caller(user, token, record.id, record.expires_ms))
        self._known[token] = entry
        return entry


def _in_time(caller: Caller) -> Caller:
    if caller.expires_ms is not None and time.time() * 1000 >= caller.expires_ms:
        raise Unauthorized("this token has expired", hint="`headrace login` gets a new one")
    return caller
