"""The waiting jobs, kept so that a plan finds those that may start without looking at the rest."""

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from headrace_model.estimate import Estimate
from headrace_model.ids import JobId
from headrace_scheduler.core.snapshot import Place, WaitingJob

_place = attrgetter("place")


class Waiting:
    """Jobs in AWAITING_ALLOCATION: lines of jobs of one owner that ask alike, and apart those not
    yet due.
    """

    def __init__(self) -> None:
        self._jobs: dict[JobId, WaitingJob] = {}
        self._line_of: dict[Hashable, list[WaitingJob]] = {}
        self._lines: list[list[WaitingJob]] = []  # in the order of their first jobs
        self._places: list[Place] = []  # of these first jobs
        self._shifts: Mapping[str, int] = {}
        self._held: set[JobId] = set()
        self._later: list[tuple[int, JobId]] = []  # start_not_before and back-off, soonest first
        self._latest: list[tuple[int, JobId]] = []  # when those with a deadline must start

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[JobId]:
        return iter(self._jobs)

    def __contains__(self, job: object) -> bool:
        return job in self._jobs

    @property
    def held(self) -> frozenset[JobId]:
        """Those that their owner holds."""
        return frozenset(self._held)

    @property
    def lined(self) -> Sequence[Sequence[WaitingJob]]:
        """The lines as they are now; who has become due since the last `lines` is in none."""
        return self._lines

    def line_of(self, id: JobId) -> Sequence[WaitingJob]:
        """The line that a job is in; nothing where it is in none."""
        job = self._jobs.get(id)
        return () if job is None else self._line_of.get(job.line, ())

    def put(self, job: WaitingJob) -> None:
        """Take a job in, in place of what was known of it."""
        self.drop(job.id)
        self._jobs[job.id] = job
        if job.latest_start_ms is not None:
            insort(self._latest, (job.latest_start_ms, job.id))
        if job.held:
            self._held.add(job.id)
        elif job.not_before_ms:
            insort(self._later, (job.not_before_ms, job.id))
        else:
            self._line_up(job)

    def drop(self, id: JobId) -> None:
        """Forget a job, known or not."""
        job = self._jobs.pop(id, None)
        if job is None:
            return
        if job.latest_start_ms is not None:
            del self._latest[bisect_left(self._latest, (job.latest_start_ms, id))]
        if job.held:
            self._held.remove(id)
            return
        if job.not_before_ms:
            entry = (job.not_before_ms, id)
            at = bisect_left(self._later, entry)
            if self._later[at : at + 1] == [entry]:
                del self._later[at]
                return
        line = self._line_of[job.line]
        self._take_out(line)
        del line[bisect_left(line, job.place, key=_place)]
        if line:
            self._put_in(line)
        else:
            del self._line_of[job.line]

    def estimate(self, id: JobId, estimate: Estimate | None) -> None:
        """Put another estimate to a job, if it is here: no place and no line depends on it."""
        old = self._jobs.get(id)
        if old is None:
            return
        new = self._jobs[id] = replace(old, estimate=estimate)
        line = self._line_of.get(new.line, [])
        at = bisect_left(line, new.place, key=_place)
        if line[at : at + 1] == [old]:
            line[at] = new

    def lines(self, now_ms: int) -> tuple[Sequence[WaitingJob], ...]:
        """The jobs that may start now, as a snapshot has them; good until the next change."""
        due = bisect_left(self._later, (now_ms + 1, JobId("")))
        for _, id in self._later[:due]:
            self._line_up(self._jobs[id])
        del self._later[:due]
        return tuple(self._lines)

    def later(self) -> tuple[WaitingJob, ...]:
        """The jobs that may not start yet, soonest first."""
        return tuple(self._jobs[id] for _, id in self._later)

    def next_start_ms(self) -> int | None:
        """When the next job that is not yet due may start."""
        return self._later[0][0] if self._later else None

    def overdue(self, now_ms: int) -> list[JobId]:
        """Those that can't end by their deadlines any more, whether held, due or not."""
        return [id for _, id in self._latest[: bisect_left(self._latest, (now_ms, JobId("")))]]

    def next_overdue_ms(self) -> int | None:
        """When the next one can't end by its deadline any more."""
        return self._latest[0][0] + 1 if self._latest else None

    def shift(self, shifts: Mapping[str, int]) -> None:
        """Put the jobs of each owner so far back; inside a line nothing changes."""
        if shifts == self._shifts:
            return
        self._shifts = shifts
        self._lines.sort(key=self._first_place)
        self._places = [self._first_place(line) for line in self._lines]

    def _line_up(self, job: WaitingJob) -> None:
        line = self._line_of.setdefault(job.line, [])
        if line:
            self._take_out(line)
        insort(line, job, key=_place)
        self._put_in(line)

    def _first_place(self, line: Sequence[WaitingJob]) -> Place:
        return line[0].place_in(self._shifts)

    def _put_in(self, line: list[WaitingJob]) -> None:
        place = self._first_place(line)
        at = bisect_left(self._places, place)
        self._places.insert(at, place)
        self._lines.insert(at, line)

    def _take_out(self, line: list[WaitingJob]) -> None:
        at = bisect_left(self._places, self._first_place(line))
        del self._places[at]
        del self._lines[at]
