"""What is said on a WebSocket: the client's messages read and checked, ours written.

The protocol is described in docs/websocket.md.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.ids import JobId, parse_job_id
from headrace_model.job import Job
from headrace_model.listing import Filter
from headrace_model.status import Status
from headrace_model.times import parse_instant
from headrace_request.core.listing import statuses_named
from headrace_wire.jsontext import parse_json
from headrace_wire.schema import from_plain

_NEXT: Final = "docs/websocket.md tells what a client may say"
MOST_NAMED: Final = 1_000
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_EVENT_ID: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class Close(IntEnum):
    """Why we end a connection (RFC 6455, 7.4.2: 4000 to 4999 are a program's own)."""

    NONSENSE = 4000
    UNAUTHORIZED = 4001  # the token is unknown, expired or revoked, or its user disabled
    TOO_SLOW = 4008  # the reader is; it may come again and resume
    TOO_MANY = 4009  # sockets of this user, or of all
    GOING = 4010  # this service stops, or has missed events: come again and resume


@dataclass(frozen=True, slots=True)
class FollowJobs:
    """Tell each transition of some jobs. `after`: the id of the last event that is known."""

    id: str
    named: frozenset[JobId]
    statuses: frozenset[Status]
    wanted: Filter
    after: str | None

    def takes(self, job: Job, status: Status) -> bool:
        """Tell whether a job is followed that is in, or that an event took to, `status`."""
        return (
            (not self.named or job.id in self.named)
            and (not self.statuses or status in self.statuses)
            and self.wanted.takes(job)
        )


@dataclass(frozen=True, slots=True)
class FollowLog:
    """Tell a worker's output from some bytes on; `attempt` None: the current one and all later."""

    id: str
    job: JobId
    streams: tuple[str, ...]
    rank: int
    attempt: int | None
    offsets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FollowNodes:
    """Tell the nodes whenever they change."""

    id: str


@dataclass(frozen=True, slots=True)
class FollowProgress:
    """Tell how far a job is, whenever that changes, until it is over."""

    id: str
    job: JobId


@dataclass(frozen=True, slots=True)
class FollowWhen:
    """Tell a job's place in the queue and when it starts, as these change, until it is over."""

    id: str
    job: JobId


@dataclass(frozen=True, slots=True)
class FollowUsage:
    """Tell what a job's workers use: samples after a time, until it is over."""

    id: str
    job: JobId
    since_ms: int


@dataclass(frozen=True, slots=True)
class FollowCluster:
    """Tell what the cluster is like: points after a time, for ever."""

    id: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Unfollow:
    """End a subscription."""

    id: str


@dataclass(frozen=True, slots=True)
class Auth:
    """Show a token: the first message of who can't send headers."""

    token: str


Message = (
    FollowJobs
    | FollowLog
    | FollowNodes
    | FollowProgress
    | FollowWhen
    | FollowUsage
    | FollowCluster
    | Unfollow
    | Auth
)


class BadMessage(InvalidInput):
    """A message makes no sense; `id` is its subscription, where it can be told."""

    def __init__(self, error: HeadraceError, id_: str | None) -> None:
        super().__init__(error.message, hint=error.hint or _NEXT)
        self.id = id_


@dataclass(frozen=True, slots=True)
class _Jobs:
    jobs: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    kind: str | None = None
    owner: str | None = None
    q: str = ""
    after: str | None = None


@dataclass(frozen=True, slots=True)
class _Offsets:
    out: int = 0
    err: int = 0


@dataclass(frozen=True, slots=True)
class _Log:
    job: str
    stream: str = "both"
    rank: int = 0
    attempt: int | None = None
    offsets: _Offsets = _Offsets()


@dataclass(frozen=True, slots=True)
class _OfJob:
    job: str


@dataclass(frozen=True, slots=True)
class _Since:
    since: str = ""


@dataclass(frozen=True, slots=True)
class _UsageOf:
    job: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class _Nothing:
    pass


@dataclass(frozen=True, slots=True)
class _Auth:
    token: str


def read_message(text: str) -> Message:
    """Read a client's message; raises `BadMessage`."""
    id_: str | None = None
    try:
        plain = parse_json(text, what="message")
        if not isinstance(plain, dict):
            raise InvalidInput("a message is a JSON object")
        op = plain.pop("op", None)
        if op == "auth":
            return Auth(from_plain(_Auth, plain).token)
        found = plain.pop("id", None)
        if not isinstance(found, str) or not _ID.fullmatch(found):
            raise InvalidInput("`id` names the subscription: 1 to 64 letters, digits, . _ : -")
        id_ = found
        if op == "unfollow":
            from_plain(_Nothing, plain)
            return Unfollow(id_)
        if op != "follow":
            raise InvalidInput("`op` is follow, unfollow or auth")
        return _follow(id_, plain)
    except BadMessage:
        raise
    except HeadraceError as error:
        raise BadMessage(error, id_) from None


def _follow(id_: str, plain: dict[str, Any]) -> Message:
    topic = plain.pop("topic", None)
    match topic:
        case "jobs":
            return _follow_jobs(id_, from_plain(_Jobs, plain))
        case "logs":
            return _follow_log(id_, from_plain(_Log, plain))
        case "nodes":
            from_plain(_Nothing, plain)
            return FollowNodes(id_)
        case "progress":
            return FollowProgress(id_, parse_job_id(from_plain(_OfJob, plain).job))
        case "when":
            return FollowWhen(id_, parse_job_id(from_plain(_OfJob, plain).job))
        case "usage":
            of = from_plain(_UsageOf, plain)
            return FollowUsage(id_, parse_job_id(of.job), _instant(of.since))
        case "cluster":
            return FollowCluster(id_, _instant(from_plain(_Since, plain).since))
        case _:
            raise InvalidInput("`topic` is jobs, logs, nodes, progress, when, usage or cluster")


def _instant(since: str) -> int:
    return int(parse_instant(since)) if since else 0


def _follow_jobs(id_: str, asked: _Jobs) -> FollowJobs:
    if len(asked.jobs) > MOST_NAMED:
        raise InvalidInput(f"at most {MOST_NAMED:,} jobs can be named")
    if asked.after is not None and not _EVENT_ID.fullmatch(asked.after):
        raise InvalidInput("`after` is the `at` of an event")
    return FollowJobs(
        id=id_,
        named=frozenset(parse_job_id(job) for job in asked.jobs),
        statuses=frozenset(statuses_named(asked.status)) if asked.status else frozenset(),
        wanted=Filter(
            kind=asked.kind.replace("_", "-") if asked.kind else None,
            owner=asked.owner or None,
            q=asked.q,
        ),
        after=asked.after,
    )


def _follow_log(id_: str, asked: _Log) -> FollowLog:
    if asked.stream not in ("out", "err", "both"):
        raise InvalidInput("`stream` is out, err or both")
    offsets = {"out": asked.offsets.out, "err": asked.offsets.err}
    if not 0 <= asked.rank <= 10_000 or min(offsets.values()) < 0 or (asked.attempt or 1) < 1:
        raise InvalidInput("`rank`, `attempt` and `offsets` are no negative numbers")
    return FollowLog(
        id=id_,
        job=parse_job_id(asked.job),
        streams=("out", "err") if asked.stream == "both" else (asked.stream,),
        rank=asked.rank,
        attempt=asked.attempt,
        offsets=offsets,
    )


def is_after(event: str, other: str) -> bool:
    """Tell whether an event's id is above another's."""
    return _place(event) > _place(other)


def _place(event: str) -> tuple[int, int]:
    ms, _, number = event.partition("-")
    return int(ms), int(number)


def write(kind: str, id_: str | None, **more: Any) -> str:
    """Write one of our messages."""
    named = {} if id_ is None else {"id": id_}
    return json.dumps({"type": kind, **named, **more}, separators=(",", ":"))


def with_id(id_: str, text: str) -> str:
    """Put a subscription's id into a message that `write` wrote without one."""
    return f'{{"id":"{id_}",{text.removeprefix("{")}'


def write_error(error: HeadraceError, id_: str | None) -> str:
    """Write what went wrong with a subscription, or (without one) with a message."""
    more = {"hint": error.hint} if error.hint else {}
    return json.dumps(
        {"type": "error", "id": id_, "code": error.code, "detail": error.message, **more},
        separators=(",", ":"),
    )
