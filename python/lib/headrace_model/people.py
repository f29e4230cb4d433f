"""Who may do what: users, groups, roles, scopes, shares, and the one matrix that decides.

`RULES` is the whole policy as data: for each act and role the standings towards the thing that
allow it. What a user may not see does not exist for them (`NotFound`), what they may see but not
do is `Forbidden`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_model.errors import Forbidden, InvalidInput, InvalidName, NotFound
from headrace_model.ids import check_name

EVERYONE: Final = "everyone"


class UserRole(StrEnum):
    """What a user is here for. An admin sees and does everything but read others' secrets."""

    ADMIN = "admin"
    USER = "user"  # runs jobs, keeps data
    VIEWER = "viewer"  # sees what is shared with them, changes nothing


class Scope(StrEnum):
    """What one token may be used for; a token never allows more than its user's role."""

    READ = "read"  # see jobs, data and nodes
    JOBS = "jobs"  # submit and steer jobs
    DATA = "data"  # make, change and delete datasets
    ACCOUNT = "account"  # one's own tokens, password and secrets
    ADMIN = "admin"  # others: users, groups, nodes


ALL_SCOPES: Final = frozenset(Scope)
USUAL_SCOPES: Final = frozenset({Scope.READ, Scope.JOBS, Scope.DATA})


class Level(StrEnum):
    """How much of a job or dataset is shared."""

    READ = "read"
    WRITE = "write"  # steer the job; fill, describe and seal the dataset


class Standing(StrEnum):
    """How a user stands to a thing."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """With whom something is shared: `user:NAME`, `group:NAME` or `everyone`.

    Raises `InvalidInput`, `InvalidName`.
    """

    who: str
    level: Level = Level.READ

    def __post_init__(self) -> None:
        kind, colon, name = self.who.partition(":")
        if self.who == EVERYONE:
            return
        if not colon or kind not in ("user", "group"):
            raise InvalidInput(
                f"{self.who[:80]!r} is nobody to share with",
                hint="write user:NAME, group:NAME or everyone",
            )
        check_name(name, kind)


Shares = tuple[Share, ...]
_MOST_SHARES: Final = 100


def shared_with(shares: Shares, share: Share) -> Shares:
    """Add a share; one with the same people is replaced. Raises `InvalidInput` above 100."""
    rest = not_shared_with(shares, share.who)
    if len(rest) >= _MOST_SHARES:
        raise InvalidInput(
            f"it is shared {_MOST_SHARES} times already", hint="make a group and share with it"
        )
    return tuple(sorted((*rest, share)))


def not_shared_with(shares: Shares, who: str) -> Shares:
    """Take a share back; success if there is none."""
    return tuple(each for each in shares if each.who != who)


def named_as(user: str, groups: Iterable[str]) -> frozenset[str]:
    """As whom shares and quotas name a user: `user:NAME`, and `group:NAME` of each group."""
    return frozenset((f"user:{user}", *(f"group:{group}" for group in groups)))


@dataclass(frozen=True, slots=True)
class User:
    """Somebody known, as a token named them; `scopes` are the token's."""

    name: str
    role: UserRole
    groups: frozenset[str] = frozenset()
    scopes: frozenset[Scope] = ALL_SCOPES

    def standing(self, owner: str, shares: Iterable[Share] = ()) -> Standing:
        """How the user stands to what `owner` owns and has shared so."""
        if self.name == owner:
            return Standing.OWNER
        mine = {EVERYONE, *named_as(self.name, self.groups)}
        levels = {each.level for each in shares if each.who in mine}
        if Level.WRITE in levels:
            return Standing.WRITER
        return Standing.READER if levels else Standing.STRANGER


class Act(StrEnum):
    """Everything that an access rule decides on."""

    SEE_JOB = "see_job"  # status, history, logs, outputs
    SUBMIT_JOB = "submit_job"
    STEER_JOB = "steer_job"  # stop, restart, cancel, hold, release
    SHARE_JOB = "share_job"
    SEE_DATASET = "see_dataset"  # find, match, download
    MAKE_DATASET = "make_dataset"
    CHANGE_DATASET = "change_dataset"  # upload, seal, describe, make a new version
    DELETE_DATASET = "delete_dataset"
    SHARE_DATASET = "share_dataset"
    SWEEP_STORE = "sweep_store"  # see what nothing names there, and have it removed
    IMPORT_DATA = "import_data"  # make items of files that lie elsewhere, and stay there
    SEE_NODES = "see_nodes"
    MANAGE_NODES = "manage_nodes"  # drain them, forget them
    SEE_MAINTENANCE = "see_maintenance"
    MANAGE_MAINTENANCE = "manage_maintenance"  # keep new work away, let it come again
    SEE_PEOPLE = "see_people"  # the names of users and groups
    KEEP_ACCOUNT = "keep_account"  # one's own tokens and password
    KEEP_SECRETS = "keep_secrets"  # one's own secrets
    MANAGE_PEOPLE = "manage_people"  # users, groups, others' tokens


_ANY: Final = frozenset(Standing)
_SEES: Final = frozenset({Standing.OWNER, Standing.WRITER, Standing.READER})
_WRITES: Final = frozenset({Standing.OWNER, Standing.WRITER})
_OWNS: Final = frozenset({Standing.OWNER})

RULES: Final[Mapping[Act, Mapping[UserRole, frozenset[Standing]]]] = {
    act: {UserRole.ADMIN: _ANY, UserRole.USER: user, UserRole.VIEWER: viewer}
    for act, user, viewer in (
        (Act.SEE_JOB, _SEES, _SEES),
        (Act.SUBMIT_JOB, _ANY, frozenset[Standing]()),
        (Act.STEER_JOB, _WRITES, frozenset[Standing]()),
        (Act.SHARE_JOB, _OWNS, frozenset[Standing]()),
        (Act.SEE_DATASET, _SEES, _SEES),
        (Act.MAKE_DATASET, _ANY, frozenset[Standing]()),
        (Act.CHANGE_DATASET, _WRITES, frozenset[Standing]()),
        (Act.DELETE_DATASET, _OWNS, frozenset[Standing]()),
        (Act.SHARE_DATASET, _OWNS, frozenset[Standing]()),
        (Act.SWEEP_STORE, frozenset[Standing](), frozenset[Standing]()),
        (Act.IMPORT_DATA, frozenset[Standing](), frozenset[Standing]()),
        (Act.SEE_NODES, _ANY, _ANY),
        (Act.MANAGE_NODES, frozenset[Standing](), frozenset[Standing]()),
        (Act.SEE_MAINTENANCE, _ANY, _ANY),
        (Act.MANAGE_MAINTENANCE, frozenset[Standing](), frozenset[Standing]()),
        (Act.SEE_PEOPLE, _ANY, frozenset[Standing]()),
        (Act.KEEP_ACCOUNT, _OWNS, _OWNS),
        (Act.KEEP_SECRETS, _OWNS, frozenset[Standing]()),
        (Act.MANAGE_PEOPLE, frozenset[Standing](), frozenset[Standing]()),
    )
}

SCOPE_OF: Final[Mapping[Act, Scope]] = {
    Act.SEE_JOB: Scope.READ,
    Act.SUBMIT_JOB: Scope.JOBS,
    Act.STEER_JOB: Scope.JOBS,
    Act.SHARE_JOB: Scope.JOBS,
    Act.SEE_DATASET: Scope.READ,
    Act.MAKE_DATASET: Scope.DATA,
    Act.CHANGE_DATASET: Scope.DATA,
    Act.DELETE_DATASET: Scope.DATA,
    Act.SHARE_DATASET: Scope.DATA,
    Act.SWEEP_STORE: Scope.ADMIN,
    Act.IMPORT_DATA: Scope.ADMIN,
    Act.SEE_NODES: Scope.READ,
    Act.MANAGE_NODES: Scope.ADMIN,
    Act.SEE_MAINTENANCE: Scope.READ,
    Act.MANAGE_MAINTENANCE: Scope.ADMIN,
    Act.SEE_PEOPLE: Scope.READ,
    Act.KEEP_ACCOUNT: Scope.ACCOUNT,
    Act.KEEP_SECRETS: Scope.ACCOUNT,
    Act.MANAGE_PEOPLE: Scope.ADMIN,
}


def may(user: User, act: Act, standing: Standing = Standing.STRANGER) -> bool:
    """Tell whether a user, with the token they show, may do something."""
    return SCOPE_OF[act] in user.scopes and standing in RULES[act][user.role]


def usable_scopes(user: User) -> frozenset[Scope]:
    """What a user can use of the scopes of the token they show: some serve other roles alone."""
    return user.scopes & {SCOPE_OF[act] for act, rule in RULES.items() if rule[user.role]}


def sees(user: User, owner: str, shared: Iterable[Share]) -> bool:
    """Tell whether a user may see a job of `owner` that is shared so."""
    return may(user, Act.SEE_JOB, user.standing(owner, shared))


def check_may(user: User, act: Act, standing: Standing = Standing.STRANGER) -> None:
    """Raise `Forbidden` unless the user may do something, with what they stand to so."""
    if not may(user, act, standing):
        raise _forbidden(user, act, standing)


def check_thing(
    user: User, act: Act, see: Act, owner: str, shares: Iterable[Share], missing: NotFound
) -> None:
    """Raise `missing` for what the user may not see, `Forbidden` for what they may not do."""
    standing = user.standing(owner, shares)
    if standing not in RULES[see][user.role]:
        raise missing
    if not may(user, act, standing):
        raise _forbidden(user, act, standing)


def _forbidden(user: User, act: Act, standing: Standing) -> Forbidden:
    what = act.replace("_", " ")
    if SCOPE_OF[act] not in user.scopes:
        return Forbidden(
            f"this token is not made to {what}: it lacks the scope {SCOPE_OF[act]}",
            hint="log in (`headrace login`), or make a token with that scope",
        )
    if standing is Standing.STRANGER or not RULES[act][user.role]:
        return Forbidden(f"a {user.role} may not {what}", hint="ask an admin of this Headrace")
    return Forbidden(
        f"you may see it, but not {what}: you are its {standing}",
        hint="ask its owner to do it, or to share it with you for writing",
    )


_TOKEN_ID: Final = re.compile(r"[0-9a-f]{12}")


def check_token_id(text: str) -> str:
    """Check the id of a token: the first 12 digits of its SHA-256. Raises `InvalidName`."""
    if not _TOKEN_ID.fullmatch(text):
        raise InvalidName(
            f"{text[:40]!r} is no id of a token", hint="`headrace tokens list` shows the ids"
        )
    return text
