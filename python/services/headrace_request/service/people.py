"""Users, groups and tokens: what their doors ask, checked and done."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from headrace_model.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthorized,
)
from headrace_model.people import (
    ALL_SCOPES,
    USUAL_SCOPES,
    Act,
    Scope,
    Standing,
    User,
    check_may,
    may,
)
from headrace_model.quota import CPU_HOUR, Quota, parse_quotas, run_limits, run_quota_text
from headrace_model.share import faded, last_days, parts, shift_ms
from headrace_model.units import parse_duration
from headrace_request.core.throttle import Throttle
from headrace_request.service.doorman import Caller
from headrace_request.service.passwords import Passwords, new_password
from headrace_service.logs import logger
from headrace_wire.people import (
    GroupChange,
    LoginRequest,
    NewToken,
    NewUser,
    PasswordChange,
    UserChange,
)

if TYPE_CHECKING:
    from headrace_adapters.redis.quotas import QuotaStore
    from headrace_adapters.redis.users import TokenRecord, UserRecord, UserStore

_DAY_MS = 86_400_000
# Wrong passwords: five at once, then one each 12 s, per name; an address may be a whole institute.
_NAME_PER_S, _NAME_AT_ONCE = 1 / 12, 5.0
_ADDRESS_PER_S, _ADDRESS_AT_ONCE = 1.0, 50.0

Known = tuple[int, int | None, str | None, str | None]
"""Bytes in datasets, and the quota, of None there is none; the quotas of running use, and what is
used of them, where the scheduler tells."""
Storage = Known | tuple[None, None, None, None]
_NOT_TOLD: Final = (None, None, None, None)

InUse = Callable[[], Awaitable[Mapping[str, str]]]


class People:
    """All that the public API does with people. Every change is logged with who made it."""

    def __init__(
        self,
        users: "UserStore",
        quotas: "QuotaStore",
        passwords: Passwords,
        new_token: Callable[[], str],
        in_use: InUse,
        *,
        login_days: int,
        token_days: int,
    ) -> None:
        self._users = users
        self._quotas = quotas
        self._passwords = passwords
        self._new_token = new_token
        self._in_use = in_use
        self._login_ms = login_days * _DAY_MS
        self._token_ms = token_days * _DAY_MS
        self._wrong_names = Throttle(_NAME_PER_S, _NAME_AT_ONCE)
        self._wrong_addresses = Throttle(_ADDRESS_PER_S, _ADDRESS_AT_ONCE)
        self._log = logger("request")

    # ---- login

    async def login(self, asked: LoginRequest, address: str) -> tuple["TokenRecord", str]:
        """Check a password and make a token; raises `Unauthorized`, `RateLimited`."""
        known = await self._check_password(asked, address)
        self._log.info("logged in", action="login", user=known.name, address=address)
        return await self._make(known.name, "login", ALL_SCOPES, self._login_ms)

    async def _check_password(self, asked: LoginRequest, address: str) -> "UserRecord":
        now_s, name = time.monotonic(), asked.user[:200]
        wait = max(
            self._wrong_names.wait_s(name, now_s), self._wrong_addresses.wait_s(address, now_s)
        )
        if wait:
            raise RateLimited(
                "too many wrong passwords", after_s=wait, hint=f"try again in {wait} s"
            )
        # Taken before the check: tries that come at the same time must not all find a full bucket.
        self._wrong_names.take(name, now_s)
        self._wrong_addresses.take(address, now_s)
        known = await self._known(asked.user)
        right = await self._passwords.check(known.password if known else None, asked.password)
        if not right or known is None or known.disabled:
            # What was typed as a name may be a password: only a user's name is logged.
            self._log.warning(
                "a login failed",
                action="login_failed",
                user=known.name if known else "?",
                address=address,
            )
            raise Unauthorized("user or password is wrong", hint="an admin can set a new password")
        self._wrong_names.give_back(name)
        self._wrong_addresses.give_back(address)
        return known

    async def logout(self, caller: Caller) -> None:
        """Revoke the token that was shown."""
        await self._users.revoke(caller.user.name, caller.token_id)
        self._log.info("logged out", action="logout", user=caller.user.name)

    # ---- users

    async def users(self, by: User) -> list["UserRecord"]:
        """All users; raises `Forbidden`."""
        check_may(by, Act.SEE_PEOPLE)
        return await self._users.users()

    async def user(self, by: User, name: str) -> "UserRecord":
        """One user; everybody may see themselves. Raises `Forbidden`, `NotFound`."""
        if by.name != name:
            check_may(by, Act.SEE_PEOPLE)
        return await self._users.user(name)

    async def create_user(self, by: User, asked: NewUser) -> tuple["UserRecord", str | None]:
        """Make a user; returns the password where one was made. Raises `Conflict`, `NotFound`."""
        check_may(by, Act.MANAGE_PEOPLE)
        _check_whole(by, "a user is made")
        made = None if asked.password else new_password()
        hashed = await self._passwords.hash(asked.password or made or "")
        done = await self._users.create_user(
            asked.name, asked.role, groups=asked.groups, password=hashed
        )
        if not done:
            raise Conflict(
                f"there is a user {asked.name} already",
                hint="names are not used again: a disabled user keeps theirs",
            )
        self._told(by, "create_user", asked.name)
        return await self._users.user(asked.name), made

    async def change_user(self, by: User, name: str, asked: UserChange) -> "UserRecord":
        """Change role or quota, disable or enable; raises `NotFound`, `Conflict`."""
        check_may(by, Act.MANAGE_PEOPLE)
        if asked.role is not None:
            _check_whole(by, "a role is given")
            await self._users.set_role(name, asked.role)
        if asked.disabled is not None:
            await self._users.set_disabled(name, asked.disabled)
        if asked.quota is not None:
            await self._quotas.change("user", name, parse_quotas(asked.quota))
        self._told(by, "change_user", name)
        return await self._users.user(name)

    async def set_password(
        self, by: User, name: str, asked: PasswordChange, address: str
    ) -> str | None:
        """Set a password: one's own with the old one, another's as an admin.

        Returns the password where one was made. All tokens of the user are revoked: whoever had
        the old password may hold one.
        """
        if by.name == name:
            check_may(by, Act.KEEP_ACCOUNT, Standing.OWNER)
            if asked.new is None:
                raise InvalidInput("the key `new` is missing")
            if (await self._users.user(name)).password is not None:
                await self._check_password(LoginRequest(name, asked.old or ""), address)
            else:
                _check_whole(by, "a first password is set")
        else:
            check_may(by, Act.MANAGE_PEOPLE)
            _check_whole(by, "another's password is set")
        made = None if asked.new else new_password()
        hashed = await self._passwords.hash(asked.new or made or "")
        await self._users.set_password(name, hashed)
        self._told(by, "set_password", name)
        return made

    async def stored(self, by: User, users: Sequence["UserRecord"]) -> list[Storage]:
        """What users have in datasets, as far as who asks may know."""
        limits, in_use = await self._limits()
        stored = await self._quotas.stored(user.name for user in users)
        told = may(by, Act.MANAGE_PEOPLE)
        return [
            _storage(f"user:{user.name}", stored[user.name], limits, in_use)
            if told or user.name == by.name
            else _NOT_TOLD
            for user in users
        ]

    async def own_storage(self, by: User) -> list[tuple[str, *Known]]:
        """What somebody has in datasets, of which quotas; and the quotas of their groups."""
        own, (limits, in_use) = f"user:{by.name}", await self._limits()
        quotas = {quota.who: quota for quota in await self._quotas.of(by.name)}
        bound = {each.who for each in run_limits(limits)} & {f"group:{g}" for g in by.groups}
        for who in {own, *bound} - quotas.keys():
            quotas[who] = Quota(who, -1, await self._members(who))
        stored = await self._quotas.stored(o for each in quotas.values() for o in each.owners)
        return [
            (who, *_storage(who, sum(stored[o] for o in quotas[who].owners), limits, in_use))
            for who in sorted(quotas, key=lambda who: (who != own, who))
        ]

    async def own_share(self, by: User) -> tuple[float, float, float, int]:
        """What fair share counts of somebody: CPU hours, their part and their group's of all use,
        and how many seconds their jobs go back for it."""
        now_ms = int(time.time() * 1000)
        used = faded(await self._quotas.used(last_days(now_ms)), now_ms)
        groups = await self._quotas.groups({by.name, *used})
        own, of_group = parts(used, groups).get(by.name, (0.0, 0.0))
        hours = used.get(by.name, 0.0) / CPU_HOUR
        return round(hours, 3), round(own, 4), round(of_group, 4), shift_ms(own, of_group) // 1000

    async def _limits(self) -> tuple[Mapping[str, int], Mapping[str, str]]:
        """All quotas, and what is used of those of running use."""
        limits = await self._quotas.limits()
        return limits, await self._in_use() if run_limits(limits) else {}

    async def _members(self, who: str) -> tuple[str, ...]:
        kind, _, name = who.partition(":")
        if kind == "user":
            return (name,)
        return tuple(user.name for user in await self._users.users() if name in user.groups)

    # ---- groups

    async def groups(self, by: User) -> list[tuple[str, tuple[str, ...], Storage]]:
        """All groups with their members, and what these have, as far as who asks may know it.

        Raises `Forbidden`.
        """
        check_may(by, Act.SEE_PEOPLE)
        users, (limits, in_use) = await self._users.users(), await self._limits()
        stored = await self._quotas.stored(user.name for user in users)
        found = []
        for group in await self._users.groups():
            members = tuple(user.name for user in users if group in user.groups)
            storage: Storage = _NOT_TOLD
            if may(by, Act.MANAGE_PEOPLE) or by.name in members:
                total = sum(stored[member] for member in members)
                storage = _storage(f"group:{group}", total, limits, in_use)
            found.append((group, members, storage))
        return found

    async def change_group(self, by: User, name: str, asked: GroupChange) -> None:
        """Change the quota of a group; raises `NotFound`."""
        check_may(by, Act.MANAGE_PEOPLE)
        await self._quotas.change("group", name, parse_quotas(asked.quota))
        self._told(by, "change_group", name)

    async def create_group(self, by: User, name: str) -> None:
        """Make a group; raises `Conflict` for a name that is taken."""
        check_may(by, Act.MANAGE_PEOPLE)
        if not await self._users.create_group(name):
            raise Conflict(f"there is a group {name} already")
        self._told(by, "create_group", name)

    async def remove_group(self, by: User, name: str) -> None:
        """Remove a group; success if there is none."""
        check_may(by, Act.MANAGE_PEOPLE)
        await self._users.remove_group(name)
        self._told(by, "remove_group", name)

    async def set_member(self, by: User, group: str, name: str, *, member: bool) -> None:
        """Take somebody into a group or out of it; a repeat is success. Raises `NotFound`."""
        check_may(by, Act.MANAGE_PEOPLE)
        await (self._users.join if member else self._users.leave)(name, group)
        self._told(by, "join" if member else "leave", f"{name} {group}")

    # ---- tokens

    async def tokens(self, by: User, of: str | None) -> list["TokenRecord"]:
        """The tokens of a user, one's own by default."""
        return await self._users.tokens(self._whose(by, of))

    async def create_token(self, by: Caller, asked: NewToken) -> tuple["TokenRecord", str]:
        """Make a token, of no more than the scopes of the one that was shown."""
        name = self._whose(by.user, asked.user)
        scopes = frozenset(asked.scopes) or USUAL_SCOPES & by.user.scopes
        if lacking := sorted(scopes - by.user.scopes):
            raise Forbidden(
                f"this token lacks the scope {', '.join(lacking)}, so it can't give it on",
                hint="log in (`headrace login`) to make tokens of any scope",
            )
        wanted = (
            parse_duration(asked.expires_in)
            if asked.expires_in
            else min(30 * _DAY_MS, self._token_ms)
        )
        if wanted > self._token_ms:
            raise InvalidInput(
                f"a token is good for at most {self._token_ms // _DAY_MS} days here",
                hint="ask for less in expires_in; make a new one in time",
            )
        record, token = await self._make(name, asked.label, scopes, wanted)
        self._told(by.user, "create_token", f"{name} {record.id}")
        return record, token

    async def revoke_token(self, by: User, of: str | None, token_id: str) -> None:
        """Revoke a token; success if there is none of this id."""
        name = self._whose(by, of)
        await self._users.revoke(name, token_id)
        self._told(by, "revoke_token", f"{name} {token_id}")

    def _whose(self, by: User, of: str | None) -> str:
        if of is None or of == by.name:
            check_may(by, Act.KEEP_ACCOUNT, Standing.OWNER)
            return by.name
        check_may(by, Act.MANAGE_PEOPLE)
        return of

    async def _make(
        self, name: str, label: str, scopes: frozenset[Scope], for_ms: int
    ) -> tuple["TokenRecord", str]:
        token = self._new_token()
        record = await self._users.keep_token(
            token,
            name,
            label=label,
            scopes=scopes,
            expires_ms=int(time.time() * 1000) + for_ms,
        )
        return record, token

    async def _known(self, name: str) -> "UserRecord | None":
        try:
            return await self._users.user(name)
        except NotFound:
            return None

    def _told(self, by: User, action: str, what: str) -> None:
        self._log.info(f"{by.name}: {action} {what}", action=action, by=by.name)


def _check_whole(by: User, what: str) -> None:
    """Raise `Forbidden` for a token that lacks a scope.

    A password opens everything: it must not be had for a token that does not.
    """
    if by.scopes != ALL_SCOPES:
        raise Forbidden(
            f"{what} with a token of all scopes only",
            hint="log in (`headrace login`), or use the token of this machine's admin",
        )


def _storage(
    who: str, stored_bytes: int, limits: Mapping[str, int], in_use: Mapping[str, str]
) -> Known:
    quota = run_quota_text(who, limits) or None
    return stored_bytes, limits.get(who), quota, in_use.get(who) if quota else None
