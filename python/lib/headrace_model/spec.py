"""What a job asks for: the immutable `spec` that a job file says and that never changes.

A `JobSpec` is complete and in order: every default is filled in, and what has names (env, inputs,
outputs, matrix axes, causes) is sorted, so that two files that mean the same give equal specs.
`headrace_wire.jobfile` reads and writes it; checks that need more than one part of it live there
and in the kinds.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from headrace_model.cause import RETRIED_BY_DEFAULT, Cause
from headrace_model.dataset import Category
from headrace_model.domain import Domain, check_format
from headrace_model.ids import JobId, check_name
from headrace_model.priority import DEFAULT_PRIORITY
from headrace_model.requirement import PathInput, Requirement
from headrace_model.resources import ANYWHERE, GPUS, Constraints, Generic, Paradigm, Resources

DEFAULT_RESOURCES: Final = Resources(millicpus=1_000, memory_bytes=2**30)
DEFAULT_GRACE_MS: Final = 10_000
DEFAULT_RETRY_LIMIT: Final = 3
MOST_RAISED: Final = 4


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A small file that travels with the job and lies in the worker's working directory.

    `name` is its path below the job file's folder; `sha256` is the lower-case hex digest of
    `content`.
    """

    name: str
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Environment:
    """A software environment to build once and share: `pip` holds requirement lines (PEP 508)."""

    pip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """What the whole attempt needs (of an array: one task), and how it may spread over nodes:
    those of a pool, or all, as far as the constraints let it."""

    amount: Resources = DEFAULT_RESOURCES
    paradigm: Paradigm = Paradigm.SINGLE_NODE
    pool: str | None = None
    constraints: Constraints = ANYWHERE

    # As the keys of a job file have it, None where one needs not stand there.

    @property
    def gpus(self) -> int | None:
        """How many GPUs."""
        return self.amount.gpus or None

    @property
    def generic(self) -> Generic | None:
        """Generic resources other than GPUs."""
        return tuple(each for each in self.amount.generic if each[0] != GPUS) or None

    @property
    def labels(self) -> tuple[tuple[str, str], ...] | None:
        """Labels that nodes must have."""
        return self.constraints.labels or None

    @property
    def whole_node(self) -> bool | None:
        """Whether it wants nodes as a whole."""
        return self.constraints.whole_node or None

    @property
    def spread(self) -> bool | None:
        """Whether it goes to the emptiest node."""
        return self.constraints.spread or None


class Parallel(StrEnum):
    """How the workers of one attempt work together."""

    MPI = "mpi"  # rank 0's worker runs the command, which starts ranks on all nodes by `mpirun`


class Signal(StrEnum):
    """Signals that a job may ask for, without their SIG."""

    HUP = "HUP"
    INT = "INT"
    TERM = "TERM"
    USR1 = "USR1"
    USR2 = "USR2"


@dataclass(frozen=True, slots=True)
class Warn:
    """A signal that the worker gets so long before its time limit."""

    signal: Signal
    before_ms: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that the next attempt gets; `signal` asks the worker to fill it before it is
    stopped (TERM: as each stop does)."""

    signal: Signal = Signal.TERM


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on an attempt.

    `time_ms`: None is no limit. `grace_ms`: between SIGTERM and SIGKILL. `exclusive`: the job has
    effects outside its output, so that two of its attempts must never live at once.
    """

    time_ms: int | None = None
    grace_ms: int = DEFAULT_GRACE_MS
    exclusive: bool = False
    warn: Warn | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a new attempt follows one that ended for a cause in `on`.

    After an OOM it asks twice the memory, at most `memory_limit_bytes`; None: `MOST_RAISED` times
    what the job asked.
    """

    limit: int = DEFAULT_RETRY_LIMIT
    on: frozenset[Cause] = RETRIED_BY_DEFAULT
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ProgressSpec:
    """What tells in a worker's output how far it is: `headrace_kinds.patterns` reads it."""

    pattern: str


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A dataset that the job makes.

    `domain` holds what can't be detected from the files (TIME and ids are, where the format
    tells them); it may be empty. Raises `InvalidName`, `InvalidDomain`.
    """

    name: str
    category: Category
    format: str
    domain: Domain

    def __post_init__(self) -> None:
        check_name(self.name, "output")
        check_format(self.format)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """The tasks of a job: a plain `count`, one a member of `items`, or one a point of `matrix`.

    `matrix` holds (axis, values) sorted by axis; its tasks are numbered with the last axis running
    fastest. A count of 1 without items and matrix is an ordinary job.
    """

    count: int = 1
    items: tuple[str, ...] = ()
    matrix: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        if self.items:
            return len(self.items)
        number = self.count
        for _, values in self.matrix:
            number *= len(values)
        return number

    @property
    def is_array(self) -> bool:
        """Tell whether tasks have an index and output folders of their own."""
        return self.count != 1 or bool(self.items or self.matrix)

    def values_of(self, index: int) -> dict[str, str]:
        """Give what the placeholders of task `index` stand for: `index`, `item`, matrix axes.

        Empty for an ordinary job. Raises `IndexError` outside 0 ≤ index < tasks.
        """
        if not 0 <= index < self.tasks:
            raise IndexError(f"task {index} of {self.tasks}")
        if not self.is_array:
            return {}
        values = {"index": str(index)}
        if self.items:
            values["item"] = self.items[index]
        rest = index
        for axis, choices in reversed(self.matrix):
            rest, at = divmod(rest, len(choices))
            values[axis] = choices[at]
        return values

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The placeholder names that differ from task to task."""
        if not self.is_array:
            return ()
        item = ("item",) if self.items else ()
        return ("index", *item, *(axis for axis, _ in self.matrix))


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything a user asks of one job. Times are UTC milliseconds since 1970.

    `settings`: the dataclass of its kind, for kinds that have one; the others follow from it.
    """

    kind: str
    name: str
    settings: Any = None
    image: str | None = None
    environment: Environment | None = None
    command: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    resources: ResourceSpec = ResourceSpec()
    limits: Limits = Limits()
    retry: Retry = Retry()
    after: tuple[JobId, ...] = ()
    start_not_before_ms: int | None = None
    deadline_ms: int | None = None
    priority: int = DEFAULT_PRIORITY
    inputs: tuple[Requirement | PathInput, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    array: ArraySpec = ArraySpec()
    parallel: Parallel | None = None
    progress: ProgressSpec | None = None
    checkpoint: Checkpoint | None = None

    @property
    def is_spread(self) -> bool:
        """Tell whether its workers work together on several nodes."""
        return bool(self.parallel) and self.resources.paradigm is not Paradigm.SINGLE_NODE

    @property
    def tasks(self) -> int:
        """The number of tasks: 1 for an ordinary job."""
        return self.array.tasks

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The inputs that the data service has to fulfil, in order of their names."""
        return tuple(each for each in self.inputs if isinstance(each, Requirement))

    @property
    def path_inputs(self) -> tuple[PathInput, ...]:
        """The inputs that the client uploads before it sends the job; none in a sent one."""
        return tuple(each for each in self.inputs if isinstance(each, PathInput))

    def with_requirement(self, requirement: Requirement) -> "JobSpec":
        """Give the spec with `requirement` in the place of the input of the same name."""
        return replace(
            self,
            inputs=tuple(
                requirement if each.name == requirement.name else each for each in self.inputs
            ),
        )
