"""What a client hears on the WebSocket (docs/websocket.md); the server's side is headrace_request.

As for the views of REST, keys that a reader does not know are ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace_model.status import Status
from headrace_wire.api import JobView, NodeView, read_view

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Jobs as they are, before their changes come: first of all, and where some were missed.

    `resync`: changes since the last one that was told are no longer kept by the server, and are
    not told; jobs that closed meanwhile are named only where they were asked for by id or status.
    `more`: there are other jobs than these. `at` is the place that changes are told from.
    """

    at: str
    jobs: tuple[JobView, ...]
    more: bool
    resync: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One transition of a job. `job` is the job when it was told, perhaps newer than this.

    `at` rises from change to change: whoever follows again from it misses none.
    """

    at: str
    from_: str
    to: Status
    version: int
    attempt: int
    job: JobView

    @property
    def jobs(self) -> tuple[JobView, ...]:
        """The job, as a snapshot has its jobs."""
        return (self.job,)

    @property
    def time(self) -> datetime:
        """When it happened, in UTC, by the server's clock."""
        return datetime.fromtimestamp(int(self.at.partition("-")[0]) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class LogPiece:
    """What a worker wrote: bytes `offset` to `end` of its `stream` ("out", "err"), as text.

    `rank` is that of who was followed.
    """

    attempt: int
    stream: str
    offset: int
    end: int
    text: str
    rank: int = 0

    def __str__(self) -> str:
        return self.text


def read_snapshot(plain: Mapping[str, Any], *, resync: bool) -> Snapshot:
    """Read a message of the type `snapshot`; `resync`: one of that type came before it."""
    jobs = tuple(read_view(JobView, each) for each in plain["jobs"])
    return Snapshot(str(plain["at"]), jobs, bool(plain["more"]), resync)


def read_change(plain: Mapping[str, Any]) -> Change:
    """Read a message of the type `job`."""
    event = plain["event"]
    return Change(
        at=str(plain["at"]),
        from_=str(event["from"]),
        to=Status(event["to"]),
        version=int(event["version"]),
        attempt=int(event["attempt"]),
        job=read_view(JobView, plain["job"]),
    )


def read_log_piece(plain: Mapping[str, Any]) -> LogPiece:
    """Read a message of the type `log`."""
    return read_view(LogPiece, plain)


def read_nodes(plain: Mapping[str, Any]) -> tuple[NodeView, ...]:
    """Read a message of the type `nodes`."""
    return tuple(read_view(NodeView, each) for each in plain["nodes"])
