"""Why a job waits, when it starts, and what would come of a submit, as the API tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace_model.estimate import Likeness
from headrace_model.job import Ask, Need
from headrace_model.resources import Paradigm
from headrace_model.status import Status
from headrace_wire.api import RangeView, ResourcesView, ShareView
from headrace_wire.triage import TriageView


@dataclass(frozen=True, slots=True)
class CauseView:
    """One thing that is in the way: what it is, in a word and in a sentence."""

    cause: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """The smallest change that lets the job start now. `set`: keys of the job file and their
    values, as for `--set`; empty where a command does it. `nodes`: where it starts."""

    cause: str
    sentence: str
    set: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why a job is where it is, and what to do. `position`: its place among the waiting jobs that
    may start now, from 1; `causes`: all that is in the way, what stands first is said in
    `sentence` too; `change` is null where no smaller ask would start now; `triage` is there of a
    failed job only."""

    job: str
    status: Status
    sentence: str
    hint: str | None = None
    position: int | None = None
    causes: tuple[CauseView, ...] = field(default=())
    change: ChangeView | None = None
    triage: TriageView | None = None


@dataclass(frozen=True, slots=True)
class WhenView:
    """When a job starts, in a sentence and as a range; `at`, `low` and `high` are null where that
    can't be told, and when it got its nodes where it has. `position`: of one that may start now;
    `basis`: from what it is foreseen; `made`: when that was, or when this was said."""

    job: str
    status: Status
    sentence: str
    at: str | None = None
    low: str | None = None
    high: str | None = None
    position: int | None = None
    basis: str | None = None
    made: str | None = None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the scheduler is asked of a job that is not submitted. `together`: its workers work
    together; `groups`: of its owner; `likeness` and `input_bytes`: what earlier runs tell by."""

    ask: Ask
    priority: int
    owner: str
    together: bool = False
    groups: tuple[str, ...] = field(default=())
    likeness: Likeness | None = None
    input_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlacedView:
    """Where a job would start now (`nodes` is empty where it would wait), and when else. `never`:
    not as the nodes and quotas are; `quotas`: those of running use that bound its owner."""

    sentence: str
    hint: str | None = None
    position: int | None = None
    causes: tuple[CauseView, ...] = field(default=())
    change: ChangeView | None = None
    nodes: tuple[ShareView, ...] = field(default=())
    start: RangeView | None = None
    end: RangeView | None = None
    basis: str | None = None
    never: bool = False
    quotas: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class InputView:
    """How an input would be met: `result` is fulfilled, promised, derivable, missing or upload
    (it is sent before the job is submitted). `datasets`: those that it is met or made by."""

    input: str
    result: str
    why: str
    datasets: tuple[str, ...] = field(default=())


class Outcome(StrEnum):
    """What would come of a submit now."""

    STARTS = "STARTS"
    WAITS = "WAITS"
    DATA_MISSING = "DATA_MISSING"
    NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class PlanView:
    """What a submit would lead to. `data`: each input; `image`: what nodes must run; `placement`:
    now, and when the job would start and end."""

    outcome: Outcome
    sentence: str
    resources: ResourcesView
    paradigm: Paradigm
    backend: str
    spec: Mapping[str, object]
    placement: PlacedView
    needs: tuple[Need, ...] = field(default=())
    image: str | None = None
    data: tuple[InputView, ...] = field(default=())
