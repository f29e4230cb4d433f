"""Users, groups and tokens in Redis. Of a token only its SHA-256 is kept, of a password a hash."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import NotFound
from headrace_model.ids import check_name
from headrace_model.people import ALL_SCOPES, Scope, User, UserRole

_TOKEN_BYTES = 32
_ID_DIGITS = 12
_MOST_TOKENS = 200
# Who asks travels between services in a header of at most 8 KiB.
_MOST_GROUPS = 50
PREFIX = "hrt_"


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as Redis holds them. `password`: its hash, None where none was ever set."""

    name: str
    role: UserRole
    groups: tuple[str, ...]
    disabled: bool
    created_ms: int
    password: str | None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token, without its text. `expires_ms` (since 1970, UTC) None: it does not expire."""

    id: str
    user: str
    label: str
    scopes: frozenset[Scope]
    created_ms: int
    expires_ms: int | None


def new_token() -> str:
    """Make the text of a token: 256 random bits."""
    return PREFIX + token_urlsafe(_TOKEN_BYTES)


class UserStore:
    """All that the services do with users in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    # ---- users and groups

    async def create_user(
        self,
        name: str,
        role: UserRole = UserRole.ADMIN,
        *,
        groups: Iterable[str] = (),
        password: str | None = None,
    ) -> bool:
        """Make a user; False for a name that is taken, which changes nothing.

        `password` is a hash. Raises `InvalidName`, `NotFound` (a group).
        """
        check_name(name, "user")
        fields = {"role": str(role), **({"password": password} if password else {})}
        return await self._save(name, fields, create=True, join=groups)

    async def set_role(self, name: str, role: UserRole) -> None:
        """Give a user a role; raises `NotFound`, `Conflict` (the last admin)."""
        await self._save(name, {"role": str(role)})

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """Let a user in or not; who is disabled loses all tokens. Raises as `set_role`."""
        await self._save(name, {"disabled": "1" if disabled else ""})

    async def set_password(self, name: str, password: str) -> None:
        """Keep the hash of a new password, and revoke all tokens; raises `NotFound`."""
        await self._save(name, {"password": password})

    async def join(self, name: str, group: str) -> None:
        """Make a user a member of a group; a repeat is success. Raises `NotFound`, `Conflict`."""
        await self._save(name, {}, join=[group])

    async def leave(self, name: str, group: str) -> None:
        """Take a user out of a group; success for who is no member. Raises `NotFound`."""
        await self._save(name, {}, leave=[group])

    async def user(self, name: str) -> UserRecord:
        """Read a user; raises `NotFound`."""
        fields = await self._redis.command("HGETALL", f"hr:user:{name}")
        if not fields:
            raise NotFound(f"there is no user {name}")
        return _user(name, fields)

    async def users(self) -> list[UserRecord]:
        """Read all users, by name."""
        names = sorted(await self._redis.command("SMEMBERS", "hr:users"))
        found = await self._redis.commands([("HGETALL", f"hr:user:{name}") for name in names])
        return [_user(name, fields) for name, fields in zip(names, found, strict=True) if fields]

    async def principal(self, name: str) -> User | None:
        """Who a user is, with all scopes; None for an unknown or disabled one."""
        fields = await self._redis.command("HGETALL", f"hr:user:{name}")
        if not fields or fields.get("disabled"):
            return None
        record = _user(name, fields)
        return User(name, record.role, frozenset(record.groups))

    async def create_group(self, name: str) -> bool:
        """Make a group; False where there is one. Raises `InvalidName`."""
        check_name(name, "group")
        return bool(await self._redis.command("SADD", "hr:groups", name))

    async def remove_group(self, name: str) -> None:
        """Remove a group, from its members too; success if there is none."""
        await self._redis.script("remove_group", {"name": name})

    async def note_memberships(self) -> None:
        """Write down who is in which groups, for services that may not read users, where a
        version before did not.
        """
        await self._redis.script("note_memberships", {})

    async def groups(self) -> list[str]:
        """The names of all groups, sorted."""
        return sorted(await self._redis.command("SMEMBERS", "hr:groups"))

    async def _save(
        self,
        name: str,
        fields: dict[str, str],
        *,
        create: bool = False,
        join: Iterable[str] = (),
        leave: Iterable[str] = (),
    ) -> bool:
        args = {
            "name": name,
            "create": create,
            "set": fields,
            "join": list(join),
            "leave": list(leave),
            "most": _MOST_GROUPS,
        }
        (done,) = await self._redis.script("save_user", args)
        return bool(done)

    # ---- tokens

    async def keep_token(
        self,
        token: str,
        user: str,
        *,
        label: str = "",
        scopes: frozenset[Scope] = ALL_SCOPES,
        expires_ms: int | None = None,
    ) -> TokenRecord:
        """Let a token stand for a user; a repeat changes nothing.

        Raises `NotFound` (no such user, or disabled), `Conflict` (too many tokens).
        """
        digest = _digest(token)
        fields = {"label": label, "scopes": " ".join(sorted(scopes))}
        args: dict[str, Any] = {
            "user": user,
            "digest": digest,
            "set": fields,
            "most": _MOST_TOKENS,
        }
        if expires_ms is not None:
            args["expires_ms"] = expires_ms
        (created,) = await self._redis.script("make_token", args)
        return TokenRecord(digest[:_ID_DIGITS], user, label, scopes, int(created), expires_ms)

    async def lookup(self, token: str) -> tuple[User, TokenRecord] | None:
        """Find whom a token stands for; None for an unknown token, or one of no user."""
        digest = _digest(token)
        fields = await self._redis.command("HGETALL", f"hr:token:{digest}")
        if not fields:
            return None
        record = _token(digest, fields)
        user = await self.principal(record.user)
        if user is None:
            return None
        return User(user.name, user.role, user.groups, record.scopes), record

    async def tokens(self, user: str) -> list[TokenRecord]:
        """The tokens of a user that have not expired, the oldest first."""
        digests = await self._redis.command("SMEMBERS", f"hr:tokens:{user}")
        found = await self._redis.commands([("HGETALL", f"hr:token:{each}") for each in digests])
        records = [_token(d, fields) for d, fields in zip(digests, found, strict=True) if fields]
        return sorted(records, key=lambda each: (each.created_ms, each.id))

    async def revoke(self, user: str, token_id: str) -> int:
        """Revoke a token by its id; returns how many there were (0 is success)."""
        return await self._revoke(user, token_id)

    async def revoke_all(self, user: str) -> int:
        """Revoke all tokens of a user; returns how many there were."""
        return await self._revoke(user, "")

    async def _revoke(self, user: str, token_id: str) -> int:
        (count,) = await self._redis.script("revoke_tokens", {"user": user, "id": token_id})
        return int(count)


def _user(name: str, fields: dict[str, Any]) -> UserRecord:
    return UserRecord(
        name=name,
        role=UserRole(fields["role"]),
        groups=tuple(fields.get("groups", "").split()),
        disabled=bool(fields.get("disabled")),
        created_ms=int(fields.get("created_ms", "0")),
        password=fields.get("password"),
    )


def _token(digest: str, fields: dict[str, Any]) -> TokenRecord:
    expires_ms = fields.get("expires_ms")
    scopes = fields.get("scopes")
    return TokenRecord(
        id=digest[:_ID_DIGITS],
        user=fields["user"],
        label=fields.get("label", ""),
        scopes=ALL_SCOPES if scopes is None else frozenset(Scope(one) for one in scopes.split()),
        created_ms=int(fields["created_ms"]),
        expires_ms=int(expires_ms) if expires_ms else None,
    )


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
