"""The forecast, kept up while it is asked for: an answer is read from it, and never waits for a
new one but for the first."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headrace_model.errors import HeadraceError
from headrace_model.ids import JobId
from headrace_scheduler.core.calibrate import Calibration
from headrace_scheduler.core.causes import ahead_of
from headrace_scheduler.core.forecast import Start
from headrace_scheduler.core.order import with_job
from headrace_scheduler.core.snapshot import END, NEW, Place, Snapshot, WaitingJob
from headrace_scheduler.foresee import foresee
from headrace_scheduler.reading import Reader, Seen
from headrace_service.logs import logger

_WANTED_S: Final = 900.0  # so long after it was last asked for
_PAUSE_S: Final = 5.0  # between two, at least
_PART: Final = 4  # and as many times as long as the making took
_FIRST_S: Final = 20.0
_AT_ONCE_S: Final = 0.2
_FEW: Final = 50  # waiting jobs: with fewer, who came or moved up since gets one of its own


@dataclass(frozen=True, slots=True)
class Expected:
    """When a job starts, from what that is foreseen (without a start: why it can't be told), and
    when it was."""

    start: Start | None
    basis: str
    made_ms: int | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """One forecast: starts by job, and the last start of those that ask alike; None: they can't
    start as things are.

    `places`: those of the jobs that were seen and may start, in order, by `shifts`. `last`: the
    latest start of all; `drawn`: the starts before the ranges were widened; `basis`: what is known
    of how long jobs run.
    """

    made_ms: int
    shifts: Mapping[str, int]
    places: Sequence[Place]
    drawn: Mapping[JobId, Start]
    starts: Mapping[JobId, Start]
    by_line: Mapping[Hashable, Start | None]
    last: Start | None
    basis: str

    def of(self, job: WaitingJob) -> Expected:
        """When a job starts; one that came since stands behind those alike, or behind all."""
        start, basis = self.starts.get(job.id), self.basis
        if start is None and job.alike in self.by_line:
            start, basis = self.by_line[job.alike], f"{basis}; as the last one that asks alike"
        elif start is None:
            start, basis = self.last, f"{basis}; as the last one that waits"
        if start is None:
            basis = "as things are nothing lets it start"
            if job.id != NEW:
                basis += f" (`headrace jobs why {job.id}`)"
        position = None
        if job.is_due(self.made_ms):
            position = bisect_left(self.places, job.place_in(self.shifts)) + 1
        return Expected(start, basis, self.made_ms, position)


class Forecasts:
    """Keeps the newest forecast of one replica."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked = asyncio.Event()
        self._asked_s = 0.0
        self._made = asyncio.Event()
        self._newest: Forecast | None = None
        self._calibration = Calibration()
        self._anew = asyncio.Lock()  # one forecast for one job alone at a time
        self._log = logger("scheduler")

    async def expected(self, job: WaitingJob, *, at_once: bool = False) -> Expected:
        """When a job starts that waits, or would."""
        newest = await self._latest(_AT_ONCE_S if at_once else _FIRST_S)
        if newest is None:
            return Expected(None, "the first forecast is being made; ask again")
        if at_once or len(newest.places) >= _FEW:
            return newest.of(job)
        seen = await self._reader.read(without=job.id)
        known = newest.of(job)
        position = ahead_of(job, seen.snapshot) + 1 if job.is_due(seen.now_ms) else None
        holds = job.id in newest.starts and known.position == position
        if holds or self._anew.locked():
            return replace(known, position=position)
        async with self._anew:
            seen = replace(seen, snapshot=with_job(seen.snapshot, job))
            return (await _made(seen, self._calibration)).of(job)

    async def _latest(self, within_s: float) -> Forecast | None:
        """The newest one; None where the first is not made within some seconds."""
        self._asked_s = time.monotonic()
        self._asked.set()
        if self._newest is None:
            try:
                async with asyncio.timeout(within_s):
                    await self._made.wait()
            except TimeoutError:
                return None
        return self._newest

    async def run(self) -> None:
        """Make forecasts as long as somebody asks for them."""
        while True:
            await self._asked.wait()
            began_s = time.monotonic()
            if began_s - self._asked_s > _WANTED_S:
                self._asked.clear()
                self._made.clear()
                self._newest = None
                continue
            try:
                seen = await self._reader.first()
                self._take_in(seen.snapshot)
                self._newest = await _made(seen, self._calibration)
                self._calibration.tell(self._newest.drawn, seen.now_ms)
                self._made.set()
            except (HeadraceError, OSError) as error:
                self._log.warning(f"no forecast: {error}", action="forecast")
            await asyncio.sleep(max(_PAUSE_S, _PART * (time.monotonic() - began_s)))

    def _take_in(self, snapshot: Snapshot) -> None:
        """Learn how far off the ranges were of those that have started."""
        waiting = (job.id for line in snapshot.lines for job in line)
        self._calibration.saw(waiting, {job.id: job.since_ms for job in snapshot.running})


async def _made(seen: Seen, calibration: Calibration) -> Forecast:
    snapshot = replace(seen.snapshot, until=END)
    drawn = await foresee(snapshot, seen.now_ms)
    starts = calibration.widened(drawn, seen.now_ms)
    return await asyncio.to_thread(_summed_up, snapshot, drawn, starts, seen.now_ms)


def _summed_up(
    snapshot: Snapshot, drawn: Mapping[JobId, Start], starts: Mapping[JobId, Start], now_ms: int
) -> Forecast:
    by_line: dict[Hashable, Start | None] = {}
    for line in snapshot.lines:
        start, known = starts.get(line[-1].id), by_line.get(line[0].alike)
        if known is None or (start is not None and start.at_ms > known.at_ms):
            by_line[line[0].alike] = start
    places = sorted(
        job.place_in(snapshot.shifts)
        for line in snapshot.lines
        for job in line
        if job.is_due(now_ms)
    )
    last = max(starts.values(), key=lambda each: each.at_ms, default=None)
    basis = basis_of(snapshot)
    return Forecast(now_ms, snapshot.shifts, places, drawn, starts, by_line, last, basis)


def basis_of(snapshot: Snapshot) -> str:
    """Say what is known of how long jobs run, those that wait and those that run."""
    learned = limited = unknown = 0
    for line in snapshot.lines:
        for job in line:
            learned += job.estimate is not None
            limited += job.estimate is None and job.time_limit_ms is not None
            unknown += job.estimate is None and job.time_limit_ms is None
    for running in snapshot.running:
        learned += running.estimate is not None
        limited += running.estimate is None and running.ends_ms is not None
        unknown += running.estimate is None and running.ends_ms is None
    parts = [
        f"{count} {what}"
        for count, what in (
            (learned, "from earlier runs"),
            (limited, "from time limits"),
            (unknown, "unknown"),
        )
        if count
    ]
    return "run times: " + (", ".join(parts) or "none needed")
