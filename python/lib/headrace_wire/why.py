"""Why a job waits, as the API tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace_model.status import Status
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
    set: Mapping[str, str]
    nodes: tuple[str, ...]


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
