"""The one table of all legal moves of a job: `(status, event) -> status`, and who may write each.

docs/design.md shows the same table (`python -m headrace_model.status` prints it); a test compares.
States never go back: a retry or restart opens a new attempt.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_model.errors import IllegalTransition


class Role(StrEnum):
    """The services that write transitions, and the one that leads without."""

    REQUEST = "request"
    DATA = "data"
    SCHEDULER = "scheduler"
    MONITOR = "monitor"
    CLUSTER = "cluster"  # writes none


class Status(StrEnum):
    """Where a job is: `phase:step`."""

    ACCEPTED = "INIT:ACCEPTED"
    AWAITING_PREREQUISITES = "MODEL_EXEC:AWAITING_PREREQUISITES"
    AWAITING_DATA_CHECK = "MODEL_EXEC:AWAITING_DATA_CHECK"
    AWAITING_DERIVATION = "MODEL_EXEC:AWAITING_DERIVATION"
    AWAITING_ALLOCATION = "MODEL_EXEC:AWAITING_ALLOCATION"
    AWAITING_DATA = "MODEL_EXEC:AWAITING_DATA"
    AWAITING_SCHEDULING = "MODEL_EXEC:AWAITING_SCHEDULING"
    SCHEDULED = "MODEL_EXEC:SCHEDULED"
    RUNNING = "MODEL_EXEC:RUNNING"
    AWAITING_COLLECTION = "OUTPUT_EXEC:AWAITING_COLLECTION"
    STOPPING = "MODEL_EXEC:STOPPING"
    COMPLETED = "CLOSED:COMPLETED"
    FAILED = "CLOSED:FAILED"
    CANCELED = "CLOSED:CANCELED"
    STOPPED = "CLOSED:STOPPED"
    DATA_UNPROVIDEABLE = "CLOSED:DATA_UNPROVIDEABLE"
    DATA_FAILURE = "CLOSED:DATA_FAILURE"

    @property
    def closed(self) -> bool:
        """Tell whether nothing runs or will run by itself."""
        return self.value.startswith("CLOSED:")

    @property
    def final(self) -> bool:
        """Tell whether the job can never move again (STOPPED can: RESTART, CANCEL)."""
        return self.closed and self is not Status.STOPPED


class Desired(StrEnum):
    """What the user wants of the job; written only by the request service."""

    RUN = "RUN"
    HOLD = "HOLD"
    STOP = "STOP"
    CANCEL = "CANCEL"


class Event(StrEnum):
    """What moves a job. `NEEDS_*` names the next step that has work."""

    NEEDS_PREREQUISITES = "NEEDS_PREREQUISITES"
    NEEDS_DATA_CHECK = "NEEDS_DATA_CHECK"
    NEEDS_DERIVATION = "NEEDS_DERIVATION"
    NEEDS_ALLOCATION = "NEEDS_ALLOCATION"
    PREREQUISITE_FAILED = "PREREQUISITE_FAILED"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    UNPROVIDEABLE = "UNPROVIDEABLE"
    DERIVATION_FAILED = "DERIVATION_FAILED"
    ALLOCATED = "ALLOCATED"
    STAGED = "STAGED"
    LAUNCHED = "LAUNCHED"
    STARTED = "STARTED"
    NEEDS_COLLECTION = "NEEDS_COLLECTION"
    COMPLETED = "COMPLETED"
    STOP = "STOP"
    CANCEL = "CANCEL"
    FAILED = "FAILED"
    ATTEMPT_LOST = "ATTEMPT_LOST"
    NODE_LEFT = "NODE_LEFT"
    LEADER_EXITED = "LEADER_EXITED"
    SHARE_RETURNED = "SHARE_RETURNED"
    END_STOPPED = "END_STOPPED"
    END_CANCELED = "END_CANCELED"
    END_FAILED = "END_FAILED"
    RETRY = "RETRY"
    OUTPUTS_FOUND = "OUTPUTS_FOUND"  # in the store, when Redis was restored from a backup


@dataclass(frozen=True, slots=True)
class Edge:
    """Where an event leads, and the one role that writes it."""

    to: Status
    writer: Role


_STEPS: Final = {
    Event.NEEDS_PREREQUISITES: Status.AWAITING_PREREQUISITES,
    Event.NEEDS_DATA_CHECK: Status.AWAITING_DATA_CHECK,
    Event.NEEDS_DERIVATION: Status.AWAITING_DERIVATION,
    Event.NEEDS_ALLOCATION: Status.AWAITING_ALLOCATION,
}


def _edges() -> dict[tuple[Status, Event], Edge]:
    s, e = Status, Event
    table: dict[tuple[Status, Event], Edge] = {}

    def steps(of: Status, writer: Role, *events: Event) -> None:
        for event in events:
            table[of, event] = Edge(_STEPS[event], writer)

    def edge(of: Status, event: Event, to: Status, writer: Role) -> None:
        table[of, event] = Edge(to, writer)

    first_steps = (e.NEEDS_PREREQUISITES, e.NEEDS_DATA_CHECK, e.NEEDS_ALLOCATION)
    steps(s.ACCEPTED, Role.REQUEST, *first_steps)
    steps(s.AWAITING_PREREQUISITES, Role.SCHEDULER, *first_steps[1:])
    edge(s.AWAITING_PREREQUISITES, e.PREREQUISITE_FAILED, s.FAILED, Role.SCHEDULER)
    steps(s.AWAITING_DATA_CHECK, Role.DATA, e.NEEDS_DERIVATION, *first_steps[2:])
    edge(s.AWAITING_DATA_CHECK, e.UNPROVIDEABLE, s.DATA_UNPROVIDEABLE, Role.DATA)
    # Again, where other data that it needs has gone meanwhile.
    steps(s.AWAITING_DERIVATION, Role.DATA, e.NEEDS_DERIVATION, *first_steps[2:])
    edge(s.AWAITING_DERIVATION, e.DERIVATION_FAILED, s.DATA_FAILURE, Role.DATA)
    for waiting in HOLDS_NOTHING:
        edge(waiting, e.STOP, s.STOPPED, Role.REQUEST)
        edge(waiting, e.CANCEL, s.CANCELED, Role.REQUEST)
    edge(s.AWAITING_ALLOCATION, e.ALLOCATED, s.AWAITING_DATA, Role.SCHEDULER)
    edge(s.AWAITING_ALLOCATION, e.LAUNCHED, s.SCHEDULED, Role.SCHEDULER)
    edge(s.AWAITING_ALLOCATION, e.DEADLINE_PASSED, s.FAILED, Role.SCHEDULER)
    edge(s.AWAITING_DATA, e.STAGED, s.AWAITING_SCHEDULING, Role.DATA)
    edge(s.AWAITING_SCHEDULING, e.LAUNCHED, s.SCHEDULED, Role.SCHEDULER)
    edge(s.SCHEDULED, e.STARTED, s.RUNNING, Role.MONITOR)
    edge(s.RUNNING, e.NEEDS_COLLECTION, s.AWAITING_COLLECTION, Role.MONITOR)
    edge(s.RUNNING, e.COMPLETED, s.COMPLETED, Role.MONITOR)
    edge(s.RUNNING, e.LEADER_EXITED, s.RUNNING, Role.MONITOR)
    edge(s.AWAITING_COLLECTION, e.COMPLETED, s.COMPLETED, Role.DATA)
    for held in HAS_ATTEMPT:
        for bad_end in (e.STOP, e.CANCEL, e.FAILED, e.ATTEMPT_LOST):
            edge(held, bad_end, s.STOPPING, Role.MONITOR)
    for taking in TAKES_TASKS:
        edge(taking, e.NODE_LEFT, taking, Role.MONITOR)
    edge(s.STOPPING, e.SHARE_RETURNED, s.STOPPING, Role.MONITOR)
    edge(s.STOPPING, e.END_STOPPED, s.STOPPED, Role.MONITOR)
    edge(s.STOPPING, e.END_CANCELED, s.CANCELED, Role.MONITOR)
    edge(s.STOPPING, e.END_FAILED, s.FAILED, Role.MONITOR)
    edge(s.STOPPING, e.RETRY, s.AWAITING_ALLOCATION, Role.MONITOR)
    for status in (*HOLDS_NOTHING, *HAS_ATTEMPT, s.STOPPING):
        edge(status, e.OUTPUTS_FOUND, s.COMPLETED, Role.DATA)
    steps(s.STOPPED, Role.REQUEST, *first_steps)
    edge(s.STOPPED, e.CANCEL, s.CANCELED, Role.REQUEST)
    return table


# Statuses in which a job waits and no attempt holds anything: stop, cancel and hold act at once.
HOLDS_NOTHING: Final = (
    Status.AWAITING_PREREQUISITES,
    Status.AWAITING_DATA_CHECK,
    Status.AWAITING_DERIVATION,
    Status.AWAITING_ALLOCATION,
)
# Statuses in which an attempt exists and every bad end leads to STOPPING.
HAS_ATTEMPT: Final = (
    Status.AWAITING_DATA,
    Status.AWAITING_SCHEDULING,
    Status.SCHEDULED,
    Status.RUNNING,
    Status.AWAITING_COLLECTION,
)
# Statuses in which the nodes of an array take tasks, and each may be lost while another lives.
TAKES_TASKS: Final = (Status.SCHEDULED, Status.RUNNING)
EDGES: Final = _edges()


def move(status: Status, event: Event, history: tuple[str, ...] = ()) -> Edge:
    """Look up the edge for `event` in `status`.

    Raises `IllegalTransition`, which carries the job's `history`, where the table has none.
    """
    edge = EDGES.get((status, event))
    if edge is None:
        way = " → ".join(history) if history else "no history given"
        raise IllegalTransition(
            f"{event} can't happen in {status}; the job's way so far: {way}", history=history
        )
    return edge


def as_markdown() -> str:
    """The table for docs/design.md, one row an edge, in the order of the job's way."""
    rows = ["| status | event | next | written by |", "|---|---|---|---|"]
    order = list(Status)
    for (status, event), edge in sorted(EDGES.items(), key=lambda row: order.index(row[0][0])):
        rows.append(f"| {status} | {event} | {edge.to} | {edge.writer} |")
    return "\n".join(rows)


def as_picture() -> str:
    """The state picture (Mermaid) for docs/design.md, one arrow a pair of statuses."""
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (status, event), edge in EDGES.items():
        arrows.setdefault((status, edge.to), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {Status.ACCEPTED.name}"]
    for (of, to), events in arrows.items():
        lines.append(f"    {of.name} --> {to.name}: {', '.join(events)}")
    lines += [f"    {status.name} --> [*]" for status in Status if status.final]
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), "\n\n```mermaid", as_picture(), "```", sep="\n")  # noqa: T201 (a command)
