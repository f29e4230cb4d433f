"""Users and their tokens in Redis. Of a token only its SHA-256 is kept."""

from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import NotFound
from headrace_model.ids import check_name

_TOKEN_BYTES = 32
PREFIX = "hrt_"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """Whom a token stands for. `expires_ms` (since 1970, UTC) None: it does not expire."""

    user: str
    role: str
    expires_ms: int | None


class UserStore:
    """All that the services do with users in Redis. Every write is one command."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create_user(self, name: str, role: str = "admin") -> None:
        """Make a user; a repeat changes nothing. Raises `InvalidName`."""
        check_name(name, "user")
        await self._redis.command("HSETNX", f"hr:user:{name}", "role", role)

    async def create_token(self, user: str, expires_ms: int | None = None) -> str:
        """Make a token and return it; it can't be read again. Raises `NotFound`."""
        if not await self._redis.command("EXISTS", f"hr:user:{user}"):
            raise NotFound(f"there is no user {user}")
        token = PREFIX + token_urlsafe(_TOKEN_BYTES)
        await self.keep_token(token, user, expires_ms)
        return token

    async def keep_token(self, token: str, user: str, expires_ms: int | None = None) -> None:
        """Let a token that was made elsewhere stand for a user; a repeat changes nothing."""
        seconds, _ = await self._redis.command("TIME")
        fields = ["user", user, "created_ms", str(int(seconds) * 1000)]
        if expires_ms is not None:
            fields += ["expires_ms", str(expires_ms)]
        await self._redis.command("HSET", _key(token), *fields)

    async def lookup(self, token: str) -> TokenRecord | None:
        """Find whom a token stands for; None for an unknown token, or one of no user."""
        fields = await self._redis.command("HGETALL", _key(token))
        if not fields:
            return None
        role = await self._redis.command("HGET", f"hr:user:{fields['user']}", "role")
        if role is None:
            return None
        expires_ms = fields.get("expires_ms")
        return TokenRecord(fields["user"], role, int(expires_ms) if expires_ms else None)


def _key(token: str) -> str:
    return f"hr:token:{sha256(token.encode()).hexdigest()}"
