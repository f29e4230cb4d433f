"""The smallest change of what a waiting job asks that would let it start now.

What a job asks is never changed: who wants less submits it anew and cancels this one. So a change
is tried as just that: this job is out of the queue, and one that asks less comes in at the end of
its priority. It starts exactly if `plan` starts it; nothing else is known here of how a plan is
made but this:

* a job that gets neither room nor a reservation changes nothing for those behind it, so that a
  trial is planned with the others alone, and costs little however many wait;
* who asks less of one thing (with the rest as before), or stands earlier, starts where who asks
  more does, so that the least change of one thing is found by halving.

Each change is of one thing; CPUs and memory together are tried where no single one suffices.
`_RANKS` orders what suffices: by the part of the ask that is given up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from headrace_model.fit import CPU, undivided
from headrace_model.ids import NodeId
from headrace_model.resources import Paradigm, Resources
from headrace_scheduler.core.order import in_turn, with_job
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.snapshot import Snapshot, WaitingJob


class Part(StrEnum):
    """What of the ask is changed."""

    PRIORITY = "PRIORITY"
    POOL = "POOL"
    TIME = "TIME"
    MEMORY = "MEMORY"
    CPUS = "CPUS"
    CPUS_AND_MEMORY = "CPUS_AND_MEMORY"
    PARADIGM = "PARADIGM"


@dataclass(frozen=True, slots=True)
class Anew:
    """How the job would stand in the queue if it were submitted now.

    `rank` gives the rank by priority; `highest` is the highest priority that its owner may ask.
    `spread`: the backend that it needs where its workers are on several nodes; None where they
    can't be (they do not work together).
    """

    priority: int
    highest: int
    rank: Callable[[int], float]
    spread: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One that suffices: the job as it would be, and where it would start.

    `given_up` is the part of the ask, 0 to 1, that it costs; what costs nothing of the ask has a
    fixed place among the others.
    """

    part: Part
    job: WaitingJob
    priority: int
    nodes: tuple[NodeId, ...]
    given_up: float


_TRIALS: Final = 250  # plans at most for one question
_MEMORY_STEP: Final = 1 << 20
_LONGEST_S: Final = 365 * 86_400
_SLACK_MS: Final = 120_000
_MOST_POOLS: Final = 16
_PAIR_STEPS: Final = 8
# What takes nothing away from the job stands as if it took this part of it; a higher priority
# comes last, for others pay for it.
_RANKS: Final = {Part.PARADIGM: 0.1, Part.POOL: 0.2, Part.PRIORITY: 3.0}


def changes(snapshot: Snapshot, job: WaitingJob, anew: Anew, now_ms: int) -> tuple[Change, ...]:
    """All changes of one thing that suffice, the smallest first; else one of CPUs and memory.

    `snapshot` is without the job, and holds the whole queue. Of each thing it is the smallest
    change, in steps of what people write (a MiB, a CPU, a minute above ten of them); a time limit
    is up to two minutes shorter, for what passes until it is submitted. Empty where none helps, or
    where the job would start as it is.
    """
    trials = Trials(snapshot, now_ms)
    search = _Search(trials, replace(job, held=False, not_before_ms=None), anew)
    found = [each for each in search.single() if each is not None]
    if not found and (both := search.cpus_and_memory()):
        found = [both]
    return tuple(sorted(found, key=lambda each: (each.given_up, each.part)))


class Trials:
    """Plans a job into the queue, as often as it is allowed to."""

    def __init__(self, snapshot: Snapshot, now_ms: int) -> None:
        self._now_ms = now_ms
        self._left = _TRIALS
        waiting = sum(map(len, snapshot.lines))
        made = plan(snapshot, now_ms, limit=waiting + 1)
        lines = ((each,) for each in _that_count(snapshot, made))
        self._that_count = replace(snapshot, lines=in_turn(lines, snapshot.shifts))

    @property
    def pools(self) -> frozenset[str]:
        """The pools that nodes are in."""
        return frozenset(pool for node in self._that_count.nodes for pool in node.pools)

    def start(self, job: WaitingJob) -> tuple[NodeId, ...]:
        """The nodes where the job would start; none where it would not, or after too many."""
        if self._left == 0:
            return ()
        self._left -= 1
        tried = with_job(self._that_count, job)
        started = plan(tried, self._now_ms, limit=len(tried.lines)).allocation_of(job.id)
        return started.nodes if started else ()


def _that_count(snapshot: Snapshot, made: Plan) -> Iterator[WaitingJob]:
    """The jobs that a plan gave room or a reservation."""
    count = {each.job for each in made.placements} | {each.job for each in made.reservations}
    for line in snapshot.lines:
        for job in line:
            if job.id in count:
                yield job
            elif job.id not in made.reasons:
                break


class _Search:
    def __init__(self, trials: Trials, job: WaitingJob, anew: Anew) -> None:
        self._trials = trials
        self._anew = anew
        self._job = replace(job, rank=anew.rank(anew.priority))

    def single(self) -> Iterator[Change | None]:
        if self._trials.start(self._job):
            return  # the next plan starts it as it is
        yield self._paradigm()
        yield self._pool()
        yield self._time()
        yield self._memory()
        yield self._cpus()
        yield self._priority()

    def _try(self, part: Part, given_up: float, **other: object) -> Change | None:
        job = replace(self._job, **other)  # type: ignore[arg-type]  # fields by keyword
        nodes = self._trials.start(job)
        return Change(part, job, self._anew.priority, nodes, given_up) if nodes else None

    def _least(
        self, steps: int, made: Callable[[int], Change | None], first: int = 1
    ) -> Change | None:
        """The change for the greatest step in [first, steps]; what suffices at a step does below.

        The steps are tried from the lowest, as where that does not suffice none does.
        """
        if steps < first or (best := made(first)) is None:
            return None
        low, high = first, steps + 1
        while high - low > 1:
            middle = (low + high) // 2
            if found := made(middle):
                low, best = middle, found
            else:
                high = middle
        return best

    def _priority(self) -> Change | None:
        now, highest = self._anew.priority, self._anew.highest

        def at(step: int) -> Change | None:
            priority = highest - step
            found = self._try(Part.PRIORITY, _RANKS[Part.PRIORITY], rank=self._anew.rank(priority))
            return replace(found, priority=priority) if found else None

        return self._least(highest - now - 1, at, first=0)

    def _pool(self) -> Change | None:
        pools: list[str | None] = [*sorted(self._trials.pools - {self._job.pool})]
        if self._job.pool is not None:
            pools.insert(0, None)
        tries = (
            self._try(Part.POOL, _RANKS[Part.POOL], pool=pool) for pool in pools[:_MOST_POOLS]
        )
        return next((found for found in tries if found), None)

    def _time(self) -> Change | None:
        limit_ms = self._job.time_limit_ms
        longest_ms = _LONGEST_S * 1000 if limit_ms is None else limit_ms - 1
        of_ms = limit_ms or _LONGEST_S * 1000

        def of(time_ms: int) -> Change | None:
            return self._try(Part.TIME, 1 - time_ms / of_ms, time_limit_ms=time_ms)

        longest = self._least(_steps_of(longest_ms), lambda step: of(_time_ms(step)))
        if longest is None:
            return None
        return of(_with_slack(longest.job.time_limit_ms or 0)) or longest

    def _memory(self, millicpus: int | None = None) -> Change | None:
        asked = self._job.resources
        step = _MEMORY_STEP if asked.memory_bytes > _MEMORY_STEP else 1
        cpus = asked.millicpus if millicpus is None else millicpus
        part = Part.MEMORY if millicpus is None else Part.CPUS_AND_MEMORY

        def at(count: int) -> Change | None:
            resources = replace(asked, millicpus=cpus, memory_bytes=count * step)
            return self._try(part, _given_up(asked, resources), resources=resources)

        return self._least((asked.memory_bytes - 1) // step, at)

    def _cpus(self, memory_bytes: int | None = None) -> Change | None:
        """Fewer CPUs; of a job that is cut each keeps its memory."""
        asked = self._job.resources
        step = _cpu_step(asked)
        cut = not undivided(asked, self._job.cut)
        each = asked.memory_bytes * CPU // asked.millicpus if cut else 0
        kept = asked.memory_bytes if memory_bytes is None else memory_bytes
        part = Part.CPUS if memory_bytes is None else Part.CPUS_AND_MEMORY

        def at(count: int) -> Change | None:
            millicpus = count * step
            memory = each * millicpus // CPU if cut else kept
            resources = replace(asked, millicpus=millicpus, memory_bytes=memory)
            lost = 1 - millicpus / asked.millicpus if cut else _given_up(asked, resources)
            return self._try(part, lost, resources=resources)

        return self._least((asked.millicpus - 1) // step, at)

    def _paradigm(self) -> Change | None:
        """On several nodes, where it is to be on one (the others find room where FILL does)."""
        backend = self._anew.spread
        if backend is None or self._job.cut is not Paradigm.SINGLE_NODE or self._job.tasks:
            return None
        lost = _RANKS[Part.PARADIGM]
        return self._try(Part.PARADIGM, lost, paradigm=Paradigm.FILL_NODES, backend=backend)

    def cpus_and_memory(self) -> Change | None:
        """Less of both, of a job that is not cut: neither could be less little with the other.

        From a few numbers of CPUs the one that costs least with its memory.
        """
        asked = self._job.resources
        if not undivided(asked, self._job.cut):
            return None
        step = _cpu_step(asked)
        most = (asked.millicpus - 1) // step
        counts = sorted({-(-most * n // _PAIR_STEPS) for n in range(1, _PAIR_STEPS + 1)} - {0})
        tries = (self._memory(count * step) for count in counts)
        found = [each for each in tries if each]
        if not found:
            return None
        best = min(found, key=lambda each: each.given_up)
        return self._cpus(best.job.resources.memory_bytes) or best


def _given_up(asked: Resources, left: Resources) -> float:
    """The part of the ask that is given up, of CPUs and memory the sum."""
    lost = 0.0
    if asked.millicpus:
        lost += 1 - left.millicpus / asked.millicpus
    if asked.memory_bytes:
        lost += 1 - left.memory_bytes / asked.memory_bytes
    return lost


def _cpu_step(asked: Resources) -> int:
    return next((step for step in (CPU, 100) if asked.millicpus > step), 1)


def _time_ms(step: int) -> int:
    """Seconds up to ten minutes, then minutes."""
    return 1000 * (step if step <= 600 else 600 + (step - 600) * 60)


def _with_slack(time_ms: int) -> int:
    """A limit that is shorter by what passes until who reads of it has submitted."""
    return time_ms - min(_SLACK_MS, time_ms // 2000 * 1000)


def _steps_of(longest_ms: int) -> int:
    seconds = longest_ms // 1000
    return seconds if seconds <= 600 else 600 + (seconds - 600) // 60
