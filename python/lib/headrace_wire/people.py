"""People in the REST API: users, groups, tokens, secrets, shares; and who asks, between services.

Times are ISO 8601 in UTC. A token and a password stand in an answer once, when they are made.
"""

import json
from dataclasses import dataclass, field
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import NAME, check_name
from headrace_model.people import Level, Scope, Share, User, UserRole
from headrace_model.quota import parse_quotas
from headrace_wire.dataschema import says
from headrace_wire.records import compact

LONGEST_PASSWORD: Final = 1_000
SHORTEST_PASSWORD: Final = 10
_LABEL: Final = 100
_NAMED: Final = says(pattern=f"^{NAME}$")
_QUOTA: Final = says(
    maxLength=500,
    examples=["2TiB", "none", "cpus=64 memory=256GiB gpus=4 jobs=20 cpu_hours=1000/30d"],
)
_PASSWORD: Final = says(minLength=SHORTEST_PASSWORD, maxLength=LONGEST_PASSWORD)


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """POST /login."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """POST /users. Without a password one is made and answered once."""

    name: str = field(metadata=_NAMED)
    role: UserRole = UserRole.USER
    groups: tuple[str, ...] = ()
    password: str | None = field(default=None, metadata=_PASSWORD)

    def __post_init__(self) -> None:
        check_name(self.name, "user")
        if self.password is not None:
            check_password(self.password)


@dataclass(frozen=True, slots=True)
class UserChange:
    """PATCH /users/{name}: what is None stays as it is."""

    role: UserRole | None = None
    disabled: bool | None = None
    quota: str | None = field(default=None, metadata=_QUOTA)

    def __post_init__(self) -> None:
        if self.quota is not None:
            parse_quotas(self.quota)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """PATCH /groups/{name}: how much its members may have in datasets, and use, together."""

    quota: str = field(metadata=_QUOTA)

    def __post_init__(self) -> None:
        parse_quotas(self.quota)


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """PUT /users/{name}/password. One's own needs `old`; an admin may leave `new` out: one is
    made and answered once.
    """

    new: str | None = field(default=None, metadata=_PASSWORD)
    old: str | None = None

    def __post_init__(self) -> None:
        if self.new is not None:
            check_password(self.new)


@dataclass(frozen=True, slots=True)
class NewGroup:
    """POST /groups."""

    name: str = field(metadata=_NAMED)

    def __post_init__(self) -> None:
        check_name(self.name, "group")


@dataclass(frozen=True, slots=True)
class NewToken:
    """POST /tokens. `expires_in` is a duration such as `30d`; `user`: for an admin only."""

    label: str = field(default="", metadata=says(maxLength=_LABEL))
    scopes: tuple[Scope, ...] = ()
    expires_in: str | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        if len(self.label) > _LABEL or not self.label.isprintable():
            raise InvalidInput(f"a label has at most {_LABEL} characters that can be printed")


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """POST /jobs/{id}:share and /datasets/{name}:share; for `:unshare` the level says nothing."""

    who: str = field(metadata=says(pattern=f"^(everyone|(user|group):{NAME})$"))
    level: Level = Level.READ

    @property
    def share(self) -> Share:
        """The share; raises `InvalidInput`, `InvalidName`."""
        return Share(self.who, self.level)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """PUT /secrets/{name}: the value as text (UTF-8)."""

    value: str = field(metadata=says(minLength=1))


@dataclass(frozen=True, slots=True)
class UserView:
    """A user. `groups` are sorted. Admins and they themselves see what is in their datasets, and
    the quota, if there is one; `run_quota` are those of running use, as `quota` of a change says
    them, and `run_used` what is used of them, in the same words.
    """

    name: str
    role: UserRole
    groups: tuple[str, ...]
    disabled: bool
    created: str
    stored_bytes: int | None = None
    quota_bytes: int | None = None
    run_quota: str | None = None
    run_used: str | None = None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group and the names of its members. Admins and they themselves see what they have in
    datasets together, and the quota, if there is one; and the quotas of running use, and use.
    """

    name: str
    members: tuple[str, ...]
    stored_bytes: int | None = None
    quota_bytes: int | None = None
    run_quota: str | None = None
    run_used: str | None = None


@dataclass(frozen=True, slots=True)
class QuotaView:
    """What `user:NAME`, or the members of `group:NAME`, have and use; the quotas, if there are."""

    who: str
    stored_bytes: int
    quota_bytes: int | None = None
    run_quota: str | None = None
    run_used: str | None = None


@dataclass(frozen=True, slots=True)
class ShareOfUseView:
    """What somebody has had of the CPU time that all have used, as fair share counts it: what was
    used a week ago counts half.

    `part` and `group_part` are from 0 to 1; `behind_s` is how far back their jobs go for it.
    What still runs is not in it.
    """

    cpu_hours: float
    part: float
    group_part: float
    behind_s: int


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, by the id that is no secret. `token` only where it was just made."""

    id: str
    user: str
    label: str
    scopes: tuple[Scope, ...]
    created: str
    expires: str | None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class MeView:
    """GET /me: who asks, with what, and what of their and their groups' quotas is used."""

    name: str
    role: UserRole
    groups: tuple[str, ...]
    scopes: tuple[Scope, ...]
    expires: str | None
    storage: tuple[QuotaView, ...] = ()
    share: ShareOfUseView | None = None


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret of one's own; nobody reads its value but a worker."""

    name: str
    changed: str


def check_password(password: str) -> str:
    """Raise `InvalidInput` for a password that is too short, too long or no text."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters",
            hint="a few words that nobody else puts together are easy to keep",
        )
    return password


def encode_user(user: User) -> str:
    """Write who asks, for a call from one service to another (X-Headrace-User)."""
    return compact(
        {
            "name": user.name,
            "role": user.role,
            "groups": sorted(user.groups),
            "scopes": sorted(user.scopes),
        }
    )


def decode_user(text: str) -> User:
    """Read what `encode_user` wrote; raises `InvalidInput`."""
    try:
        plain = json.loads(text)
        return User(
            name=check_name(plain["name"], "user"),
            role=UserRole(plain["role"]),
            groups=frozenset(plain["groups"]),
            scopes=frozenset(Scope(each) for each in plain["scopes"]),
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("X-Headrace-User does not tell who asks") from None
