"""The secrets of a home: the internal token, and the first admin with a token of their own."""

import asyncio
import os
import pwd
from secrets import token_hex, token_urlsafe

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.users import PREFIX, UserStore
from headrace_local.environ import redis_url
from headrace_local.folders import write_private
from headrace_local.layout import Home
from headrace_model.errors import InvalidInput
from headrace_model.ids import check_name

_TOKEN_BYTES = 32


def ensure_internal_token(home: Home) -> None:
    """Make `internal.token` where it is missing."""
    if not home.internal_token.exists():
        write_private(home.internal_token, token_hex(_TOKEN_BYTES) + "\n")


async def ensure_admin(home: Home) -> None:
    """Make the user of the operating system the first admin, with the token in `admin.token`.

    Redis may have been reset, or the file be lost: a token in the file is registered again, a
    lost one replaced. Raises `Unavailable`.
    """
    token = await asyncio.to_thread(_admin_token, home)
    redis = Redis(redis_url(home))
    try:
        store = UserStore(redis)
        if await store.lookup(token) is None:
            user = user_name()
            await store.create_user(user)
            await store.keep_token(token, user)
    finally:
        await redis.close()


def user_name() -> str:
    """The name in the operating system, where ours may be like it; else `u` and the user's id."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name.lower()
        check_name(name, "user")
    except (KeyError, InvalidInput):  # a user of a container has no name
        return f"u{number}"
    return name


def _admin_token(home: Home) -> str:
    """Read the token, or make one. It is on disk before Redis hears of it: no crash loses it."""
    try:
        return home.admin_token.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = PREFIX + token_urlsafe(_TOKEN_BYTES)
        write_private(home.admin_token, token + "\n")
        return token
