"""The secrets of a home: the internal token, and the first admin with a token of their own."""

import asyncio
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.users import UserStore, new_token
from headrace_local.folders import write_private
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.errors import InvalidInput, NotFound
from headrace_model.ids import check_name
from headrace_model.people import UserRole
from headrace_service.keyring import new_key

_TOKEN_BYTES: Final = 32
_LABEL: Final = "admin.token of this machine"
_PATIENCE_S: Final = 5.0


def ensure_internal_token(home: Home) -> None:
    """Make `internal.token`, `secrets.key` and `session.key` where they are missing."""
    for key in (home.secrets_key, home.session_key):
        if not key.exists():
            write_private(key, new_key())
    if not home.internal_token.exists():
        write_private(home.internal_token, token_hex(_TOKEN_BYTES) + "\n")


async def ensure_admin(home: Home) -> None:
    """Make the user of the operating system the first admin, with the token in `admin.token`.

    A lost file is made anew; in a Redis that knows no such user (a new one, or one that was reset)
    the token of the file counts again. A revoked token stays revoked. Raises `Unavailable`.
    """
    redis = connect(home)
    try:
        await redis.open()
        user, store = user_name(), UserStore(redis)
        token = await asyncio.to_thread(_read_token, home)
        is_new = await store.create_user(user, UserRole.ADMIN)
        if token is None or is_new:
            try:
                await _keep(home, store, user, token or new_token())
            except NotFound:
                return  # disabled by another admin: that holds until `reset-admin`
    finally:
        await redis.close()


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset of the admin did."""

    user: str
    revoked: int
    token_file: Path


async def reset_admin(home: Home) -> Reset:
    """Make the user of the operating system an admin again, with a new token as the only one.

    Their password, if they have one, stays. Raises `Unavailable` where Redis does not run.
    """
    redis = connect(home, patience_s=_PATIENCE_S)
    try:
        await redis.open()
        user, store = user_name(), UserStore(redis)
        await store.create_user(user, UserRole.ADMIN)
        await store.set_role(user, UserRole.ADMIN)
        await store.set_disabled(user, False)
        revoked = await store.revoke_all(user) + await _revoke_unlisted(redis, user)
        await _keep(home, store, user, new_token())
        return Reset(user, revoked, home.admin_token)
    finally:
        await redis.close()


async def _revoke_unlisted(redis: Redis, user: str) -> int:
    """Revoke tokens that stand in no list: those from before there were lists."""
    count = 0
    async for key in redis.client.scan_iter("hr:token:*", count=1000):
        if await redis.command("HGET", key, "user") == user:
            count += await redis.command("DEL", key)
    return count


async def _keep(home: Home, store: UserStore, user: str, token: str) -> None:
    """Redis first: a crash in between leaves a token that nobody knows, and no dead file."""
    await store.keep_token(token, user, label=_LABEL)
    await asyncio.to_thread(write_private, home.admin_token, token + "\n")


def user_name() -> str:
    """The name in the operating system, where ours may be like it; else `u` and the user's id."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name.lower()
        check_name(name, "user")
    except (KeyError, InvalidInput):  # a user of a container has no name
        return f"u{number}"
    return name


def _read_token(home: Home) -> str | None:
    try:
        return home.admin_token.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
