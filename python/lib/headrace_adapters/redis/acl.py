"""Who may do what in Redis: one user a service, as lines of its ACL file.

Each `Access` lists the plain commands that a service sends and those of the scripts that it runs:
Redis checks both against the caller, and the keys of both, when a script runs. A service may load
any script, so its rights here, and not our scripts, bound what it can do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import check_name

ADMIN: Final = "admin"
"""The user of the machine's owner: all commands, all keys."""

AGENT: Final = "agent"
"""The service `agent` has a user for each node: `agent-<node>`."""

JOIN: Final = "join"
"""The user that machines without credentials share: it can ask to join, and nothing else."""

JOIN_CHANNEL: Final = "hr:join"

READ_ONLY_SINCE: Final = (7, 0)
"""Servers from here on tell reading a key from writing it, and know selectors."""


@dataclass(frozen=True, slots=True)
class Access:
    """What one service may do. `reads` it reads only, `writes` it reads and writes.

    `hears` and `says`: channels to subscribe to and to publish on. A `{node}` in a key stands for
    the agent's node.
    """

    commands: frozenset[str]
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    hears: frozenset[str] = frozenset()
    says: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# SCRIPT LOAD takes a script in, EVALSHA runs it; EVAL, SCRIPT FLUSH and SCRIPT KILL are nobody's.
_ALL: Final = _words("ping evalsha script|load time type get incr xadd xread xrevrange")
_JOB_COMMANDS: Final = _words(
    "set hget hmget hgetall hset hdel lrange rpush zadd zrem zrange zcard zpopmin srem expire"
)
_JOB_KEYS: Final = _words(
    "hr:epoch hr:commits hr:events hr:job:* hr:history:* hr:attempt:* hr:status:* hr:queue "
    "hr:array:* hr:links:* hr:dependents:* hr:untidy hr:used:*"
)
_LEDGER_KEYS: Final = _words("hr:free:* hr:held:* hr:work:* hr:facts:*")

SERVICES: Final[Mapping[str, Access]] = {
    "request": Access(
        commands=_ALL | _JOB_COMMANDS | _words(
            "info publish psubscribe punsubscribe exists del pexpireat hkeys zcard sadd "
            "smembers sismember xrange hvals"
        ),
        reads=_words(
            "hr:held:* hr:packs hr:resources hr:stored hr:estimates hr:series:* hr:deliveries"
        ),
        writes=_JOB_KEYS | _words(
            "hr:idempotency:* hr:user:* hr:users hr:groups hr:memberships hr:quotas hr:token:* "
            "hr:tokens:* hr:free:* hr:node:* hr:nodes hr:work:* hr:facts:* hr:inventory:* "
            "hr:services:* hr:refusals:* hr:maintenance hr:quarantine:* hr:removed hr:webhooks:*"
        ),
        # Redis compares the pattern of a PSUBSCRIBE letter by letter, and ours is a random one.
        hears=_words("*"),
        says=_words("hr:logs:want"),
    ),
    "data": Access(
        commands=_ALL | _JOB_COMMANDS | _words(
            "exists del hvals hkeys hlen hexists sadd smembers zscore"
        ),
        reads=_words("hr:user:* hr:memberships hr:quotas hr:maintenance"),
        writes=_JOB_KEYS | _LEDGER_KEYS | _words(
            "hr:lease:data hr:restored hr:dataset:* hr:datasets:* hr:names hr:versions "
            "hr:open hr:items:* hr:unmarked hr:deleted hr:tombstones hr:stored hr:counted "
            "hr:made:* hr:derivation:* hr:secrets:* hr:packs hr:checkpoints:*"
        ),
    ),
    "scheduler": Access(
        commands=_ALL | _JOB_COMMANDS | _words("hkeys smembers zscore zmscore"),
        reads=_words(
            "hr:node:* hr:nodes hr:inventory:* hr:maintenance hr:restored hr:quotas "
            "hr:memberships hr:estimates"
        ),
        writes=_JOB_KEYS | _LEDGER_KEYS | _words(
            "hr:lease:scheduler hr:resources hr:ranked"
        ),
    ),
    "monitor": Access(
        commands=_ALL | _JOB_COMMANDS | _words("hkeys hexists smembers zcard zpopmin xrange"),
        reads=_words("hr:restored hr:nodes hr:resources hr:webhooks:*"),
        writes=_JOB_KEYS | _LEDGER_KEYS | _words(
            "hr:lease:monitor hr:node:* hr:estimates hr:estimates:age hr:series:* hr:deliveries"
        ),
    ),
    "cluster": Access(
        # Who makes the users of agents could make any user: it is as mighty as the admin.
        commands=_ALL | _words(
            "set hget hmget hgetall hset hsetnx hdel hkeys hexists smembers srem info subscribe "
            "unsubscribe acl|users acl|getuser acl|setuser acl|deluser acl|save watch unwatch "
            "multi exec"
        ),
        reads=_words("hr:nodes hr:node:* hr:free:* hr:held:* hr:work:*"),
        writes=_words(
            "hr:epoch hr:commits hr:events hr:lease:cluster hr:services:* hr:refusals:* "
            "hr:removed"
        ),
        hears=_words(JOIN_CHANNEL),
    ),
    AGENT: Access(
        commands=_ALL | _words("hget hmget hgetall hset hsetnx hdel hkeys hexists hincrby hvals "
                               "sadd subscribe unsubscribe publish"),
        reads=_words("hr:epoch hr:job:* hr:held:{node}"),
        writes=_words(
            "hr:commits hr:events hr:nodes hr:array:* hr:node:{node} hr:free:{node} "
            "hr:work:{node} hr:facts:{node} hr:services:{node} hr:refusals:{node} "
            "hr:inventory:{node} hr:quarantine:{node} "
            # Nobody reads it: agents of the version before kept their node's room there, and could
            # renew nothing without. The next version takes it away.
            "hr:free"
        ),
        hears=_words("hr:logs:want"),
        says=_words("hr:logs:reply:*"),
    ),
}  # fmt: skip

# A script reads and writes by these; whoever runs one needs those that it uses (a test compares).
SCRIPTS: Final[Mapping[str, frozenset[str]]] = {
    "request": _words("create_job transition share_job save_user remove_group note_memberships "
                      "make_token revoke_tokens drain_node confirm_node label_node forget_node "
                      "set_maintenance discard_quarantined set_quota put_webhook"),
    "data": _words(
        "acquire_lease release_lease transition reject_fact create_dataset put_items seal_dataset "
        "describe_dataset rename_dataset mark_dataset tidy_job delete_dataset undelete_dataset "
        "tombstone_dataset forget_dataset restore_dataset put_secret archive_jobs forget_pack "
        "look_at_datasets reconciled count_datasets count_checkpoint"
    ),
    "scheduler": _words("acquire_lease release_lease transition publish_resources tell_queue "
                        "tell_nodes rank_queue"),
    "monitor": _words("acquire_lease release_lease transition lose_node record_series "
                      "write_deliveries"),
    "cluster": _words("acquire_lease release_lease refuse_service drop_services"),
    AGENT: _words("register_node renew_node describe_node report_fact finish_work take_tasks "
                  "finish_tasks wish_service drop_services tell_quarantine"),
}  # fmt: skip


def user_of(service: str, node: str = "") -> str:
    """The user of a service; that of an agent carries its node. Raises `InvalidInput`."""
    if service == AGENT:
        return f"{AGENT}-{check_name(node, 'node')}"
    return service


def acl_file(passwords: Mapping[str, str], node: str, version: tuple[int, ...]) -> str:
    """The text of the ACL file of the users that `passwords` names: services, an agent, the admin.

    `passwords`: user → password; only its SHA-256 is written, which is enough for random ones.
    `version` of the server: one before 7 can't tell reading from writing. Raises `InvalidInput`
    for a user that no service has.
    """
    rules = {ADMIN: ["~*", "&*", "+@all"]}
    for service, access in SERVICES.items():
        rules[user_of(service, node)] = _rules(access, node, version)
    # Nobody logs in as the default user. It may do all since the server itself is that user while
    # it loads its append-only file: without, each transaction in there is refused, and lost.
    lines = ["user default reset off ~* &* +@all"]
    for user, password in passwords.items():
        if user not in rules:
            raise InvalidInput(f"no service has the user {user} of Redis")
        digest = sha256(password.encode()).hexdigest()
        _, _, *words = _set_user(user, [digest], rules[user])
        lines.append(" ".join(["user", *words]))
    return "".join(f"{line}\n" for line in lines)


def agent_user(node: str, digests: Iterable[str], version: tuple[int, ...]) -> tuple[str, ...]:
    """The command that makes a node's agent a user; `digests`: SHA-256 of its passwords."""
    return _set_user(user_of(AGENT, node), digests, _rules(SERVICES[AGENT], node, version))


def service_user(
    service: str, digests: Iterable[str], version: tuple[int, ...]
) -> tuple[str, ...]:
    """The command that makes a service other than the agent a user, as `agent_user` does."""
    return _set_user(service, digests, _rules(SERVICES[service], "", version))


def join_user(digests: Iterable[str], version: tuple[int, ...]) -> tuple[str, ...]:
    """The command that makes the user that machines ask to join as.

    It publishes: what nobody hears is gone, so that no number of requests fills the memory.
    """
    asks = Access(commands=_words("publish"), says=_words(JOIN_CHANNEL))
    return _set_user(JOIN, digests, _rules(asks, "", version))


def _set_user(name: str, digests: Iterable[str], rules: Iterable[str]) -> tuple[str, ...]:
    known = (f"#{digest}" for digest in digests)
    return ("ACL", "SETUSER", name, "reset", "on", *known, "resetchannels", *rules)


def _rules(access: Access, node: str, version: tuple[int, ...]) -> list[str]:
    """One user's rules. The order within a kind is sorted: the file is the same every time."""
    tells_reading = version >= READ_ONLY_SINCE
    keys = [
        *(f"~{key}" for key in sorted(access.writes)),
        *(f"{'%R~' if tells_reading else '~'}{key}" for key in sorted(access.reads)),
    ]
    # In a selector of its own PUBLISH does not open these channels for SUBSCRIBE.
    apart = tells_reading and bool(access.says)
    heard = access.hears if apart else access.hears | access.says
    channels = [f"&{channel}" for channel in _widest(heard)]
    commands = sorted(access.commands - {"publish"} if apart else access.commands)
    words = [*keys, *channels, *(f"+{command}" for command in commands)]
    if apart:
        words.append(f"(+publish {' '.join(f'&{name}' for name in sorted(access.says))})")
    return [word.replace("{node}", node) for word in words]


def _widest(channels: frozenset[str]) -> list[str]:
    """Redis takes no other channel beside the one for all of them."""
    return ["*"] if "*" in channels else sorted(channels)
