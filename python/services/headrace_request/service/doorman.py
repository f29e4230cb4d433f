"""Who is calling: bearer tokens, looked up in Redis and remembered for seconds."""

import time
from typing import TYPE_CHECKING

from headrace_model.errors import Unauthorized
from headrace_request.core.access import User, UserRole

if TYPE_CHECKING:
    from headrace_adapters.redis.users import UserStore

_MOST_REMEMBERED = 10_000
_LONGEST_TOKEN = 200
_NEXT = "show a token with --token-file, HEADRACE_TOKEN_FILE or HEADRACE_TOKEN"


class Doorman:
    """Turns an Authorization header into a user."""

    def __init__(self, users: "UserStore", remember_s: float) -> None:
        self._users = users
        self._remember_s = remember_s
        self._known: dict[str, tuple[float, User, int | None]] = {}

    async def user_of(self, authorization: str) -> User:
        """Find the user; raises `Unauthorized` for a missing, unknown or expired token."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("no token was sent", hint=_NEXT)
        if len(token) > _LONGEST_TOKEN:
            raise Unauthorized("this token is not known", hint=_NEXT)
        now_s = time.monotonic()
        known = self._known.get(token)
        if known is None or now_s - known[0] >= self._remember_s:
            known = await self._look_up(token, now_s)
        _, user, expires_ms = known
        if expires_ms is not None and time.time() * 1000 >= expires_ms:
            raise Unauthorized("this token has expired", hint="ask an admin for a new one")
        return user

    async def _look_up(self, token: str, now_s: float) -> tuple[float, User, int | None]:
        self._known.pop(token, None)
        record = await self._users.lookup(token)
        if record is None:
            raise Unauthorized("this token is not known", hint=_NEXT)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        entry = (now_s, User(record.user, UserRole(record.role)), record.expires_ms)
        self._known[token] = entry
        return entry
