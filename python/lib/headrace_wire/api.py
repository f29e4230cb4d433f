"""What the public REST API says: views of jobs, their histories and nodes.

Every view has all of its keys, null or empty where there is nothing to say. A reader ignores keys
that it does not know: a client may be older than its server.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from headrace_model.array import ArrayRecord, TaskCounts, TaskState
from headrace_model.bounds import Window
from headrace_model.cause import Cause
from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.node import Inventory, NodeState, check_label, check_labels
from headrace_model.people import Share
from headrace_model.priority import class_of
from headrace_model.resources import GPUS, Resources
from headrace_model.status import Desired, Status
from headrace_model.times import Instant, format_instant
from headrace_wire.schema import from_plain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShareView:
    """A node's share of a job's attempt."""

    node: str
    cpus: float
    memory: int


@dataclass(frozen=True, slots=True)
class ResourcesView:
    """CPUs, memory (bytes), GPUs, and generic resources by name."""

    cpus: float
    memory: int
    gpus: int = 0
    generic: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TasksView:
    """How many tasks of an array are in each state."""

    total: int
    waiting: int
    running: int
    done: int
    failed: int


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of an array. What is said of a failure is of its last run that went wrong."""

    index: int
    state: TaskState
    failures: int = 0
    cause: Cause | None = None
    exit_code: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks in the order of their index; it is the last page when `cursor` is null."""

    tasks: tuple[TaskView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class RangeView:
    """A time that is foreseen, and the range that holds it in 8 of 10 cases (ISO 8601, UTC)."""

    at: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the API shows it. Times are ISO 8601 in UTC, to the millisecond.

    `peak_memory`: bytes, the most that a worker of the last ended attempt was seen to use.
    `outputs` holds the dataset (its id) of each output that is sealed. `spec` is the canonical
    job file; None in lists. `children` made data that it missed, for its `parents` such a job made
    it; both are empty in lists. `position` and `start` of a job that waits in the queue are there
    where it alone is shown and they could be told at once: see `when`.
    """

    id: str
    name: str
    kind: str
    owner: str
    status: Status
    desired: Desired
    version: int
    attempt: int
    retries: int
    priority: int
    created: str
    entered: str
    cause: Cause | None
    detail: str
    exit_code: int | None
    resources: ResourcesView
    allocation: tuple[ShareView, ...]
    outputs: Mapping[str, object]
    after: tuple[str, ...]
    origin: str | None
    shared: tuple[Share, ...] = ()
    peak_memory: int | None = None
    tasks: TasksView | None = None
    spec: Mapping[str, object] | None = None
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    priority_class: str = ""
    deadline: str | None = None
    position: int | None = None
    start: RangeView | None = None


@dataclass(frozen=True, slots=True)
class AcceptedView:
    """The answer to a submit."""

    id: str
    name: str
    status: Status
    created: str


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One transition of a job, or a wish of somebody: `user` tells whose.

    `nodes`: those that it took, or whose shares came back; `exit_code`: of the worker that ended.
    """

    at: str
    by: str
    event: str
    to: str
    version: int
    attempt: int
    from_: str = ""
    cause: str = ""
    detail: str = ""
    desired: str = ""
    user: str = ""
    nodes: tuple[str, ...] = ()
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class CachedView:
    """What a node's input cache holds; of datasets those that it holds whole."""

    size: int
    files: int
    datasets: int


@dataclass(frozen=True, slots=True)
class InventoryView:
    """What a node has, told by its agent about once a minute. Sizes are bytes.

    `engine` is the version of its container engine, empty where workers are processes; `disk` is
    the file system of its state folder.
    """

    backend: str
    engine: str
    gpus: int
    disk: int
    disk_free: int
    cached: CachedView


@dataclass(frozen=True, slots=True)
class LabelChange:
    """POST /nodes/{node}:label: labels to set, and names of labels to remove."""

    set: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.set)
        for name in self.remove:
            check_label(name)


@dataclass(frozen=True, slots=True)
class WindowView:
    """A time for which nothing may run on a node, which is or comes."""

    begin: str
    end: str
    why: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node. `usable` is what resources.yaml lets be used of it, `free` what of that nothing
    holds; that is None while it takes no work; `jobs` are "<job>.<attempt>".

    `quarantined` are such, too: it keeps them, and a restored Redis does not know them.
    `confirmed`: it is LOST, and an admin said that it is gone with its workers.
    `pools`: those that an admin has put it into, by resources.yaml.
    """

    id: str
    state: NodeState
    capacity: ResourcesView
    free: ResourcesView | None
    backends: tuple[str, ...]
    jobs: tuple[str, ...] = field(default=())
    labels: Mapping[str, str] = field(default_factory=dict)
    inventory: InventoryView | None = None
    quarantined: tuple[str, ...] = field(default=())
    confirmed: bool = False
    pools: tuple[str, ...] = field(default=())
    usable: ResourcesView | None = None
    maintenance: tuple[WindowView, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DiscardRequest:
    """POST /nodes/{node}:discard. No attempts: all that the node keeps in quarantine."""

    attempts: tuple[str, ...] = ()


def iso(at_ms: int) -> str:
    """Write milliseconds since 1970 as ISO 8601 with milliseconds: `2026-01-31T06:00:00.000Z`."""
    whole_s, rest_ms = divmod(at_ms, 1000)
    day_s = whole_s % 86_400
    date = format_instant(Instant((whole_s - day_s) * 1000))
    clock = f"{day_s // 3600:02}:{day_s // 60 % 60:02}:{day_s % 60:02}"
    return f"{date}T{clock}.{rest_ms:03}Z"


def amount(resources: Resources) -> dict[str, Any]:
    """Write resources as CPUs and bytes, and what is counted by the piece where there is some."""
    generic = dict(resources.generic)
    gpus = generic.pop(GPUS, 0)
    return {
        "cpus": resources.millicpus / 1000,
        "memory": resources.memory_bytes,
        **({"gpus": gpus} if gpus else {}),
        **({"generic": generic} if generic else {}),
    }


def job_view(job: Job, *, spec: bool, tasks: TaskCounts | None = None) -> dict[str, Any]:
    """Show a job; `spec`: with its canonical job file. `tasks`: how an array is getting on."""
    shares = job.allocation.shares if job.allocation else ()
    view = {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "owner": job.owner,
        "status": job.status,
        "desired": job.desired,
        "version": job.version,
        "attempt": job.attempt,
        "retries": job.retries,
        "priority": job.priority,
        "priority_class": class_of(job.priority),
        "deadline": iso(job.ask.deadline_ms) if job.ask.deadline_ms is not None else None,
        "created": iso(job.created_ms),
        "entered": iso(job.entered_ms),
        "cause": job.cause,
        "detail": job.detail,
        "exit_code": 0 if job.status is Status.COMPLETED else job.exit_code,
        "peak_memory": job.peak_memory_bytes,
        "resources": amount(job.ask.resources),
        "allocation": [{"node": share.node, **amount(share.resources)} for share in shares],
        "outputs": json.loads(job.outputs) if job.outputs else {},
        "after": list(job.after),
        "origin": job.origin,
        "shared": [{"level": share.level, "who": share.who} for share in job.shared],
    }
    if tasks is not None:
        view["tasks"] = asdict(tasks)
    if spec:
        view |= {
            "spec": json.loads(job.spec),
            "children": list(job.children),
            "parents": list(job.parents),
        }
    return view


def task_page(
    record: ArrayRecord, state: TaskState | None, begin: int, limit: int
) -> dict[str, Any]:
    """Show tasks of an array, from one on."""
    indices, after = record.page(state, begin, limit)
    return {
        "tasks": [_task_view(record, index) for index in indices],
        "cursor": str(after) if after >= 0 else None,
    }


def _task_view(record: ArrayRecord, index: int) -> dict[str, Any]:
    failure = record.failures.get(index)
    return {
        "index": index,
        "state": record.state(index),
        "failures": failure.tries if failure else 0,
        "cause": failure.cause if failure else None,
        "exit_code": failure.exit_code if failure else None,
        "detail": failure.sentence if failure else "",
    }


def accepted_view(job: JobId, name: str, status: Status, created_ms: int) -> dict[str, Any]:
    """Show the answer to a submit."""
    return {"id": job, "name": name, "status": status, "created": iso(created_ms)}


def history_view(line: str) -> dict[str, Any]:
    """Show one line of a job's history, without what only Headrace itself needs."""
    entry = json.loads(line)
    entry.pop("txn", None)
    return {**entry, "at": iso(int(entry["at"]))}


def node_view(
    node: str,
    state: NodeState,
    capacity: Resources,
    free: Resources | None,
    backends: frozenset[str],
    held: tuple[str, ...],
    labels: Mapping[str, str],
    inventory: Inventory | None,
    quarantined: tuple[str, ...],
    *,
    confirmed: bool,
    pools: frozenset[str],
    usable: Resources,
    maintenance: Iterable[Window],
) -> dict[str, Any]:
    """Show a node."""
    return {
        "id": node,
        "state": state,
        "capacity": amount(capacity),
        "free": amount(free) if free else None,
        "backends": sorted(backends),
        "jobs": sorted(held),
        "labels": dict(sorted(labels.items())),
        "inventory": _inventory_view(inventory) if inventory else None,
        "quarantined": sorted(quarantined),
        "confirmed": confirmed,
        "pools": sorted(pools),
        "usable": amount(usable),
        "maintenance": [
            {"begin": iso(each.from_ms), "end": iso(each.until_ms), "why": each.why}
            for each in maintenance
        ],
    }


def _inventory_view(inventory: Inventory) -> dict[str, Any]:
    cached = inventory.cached
    return {
        "backend": inventory.backend,
        "engine": inventory.engine,
        "gpus": inventory.gpus,
        "disk": inventory.disk_bytes,
        "disk_free": inventory.disk_free_bytes,
        "cached": {
            "size": cached.size_bytes,
            "files": cached.files,
            "datasets": cached.datasets,
        },
    }


def read_history(plain: Mapping[str, Any]) -> HistoryView:
    """Read what `history_view` wrote."""
    return read_view(HistoryView, {**plain, "from_": plain.get("from", "")})


def read_view(kind: type[T], plain: object) -> T:
    """Read a view; raises `InvalidInput` when it is not one."""
    if not isinstance(plain, Mapping):
        raise InvalidInput(f"the server's answer is no {kind.__name__}")
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type] # views are dataclasses
    return from_plain(kind, {key: value for key, value in plain.items() if key in known})
