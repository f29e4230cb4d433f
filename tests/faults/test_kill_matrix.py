"""Every process killed and paused while a job with data is in every status on its way.

A round breaks one victim in one way while several jobs rest, each in another status, because
the process that would move it on is paused or its worker waits at a gate. The history tells
afterwards whether a job was in its status when the blow came; only that counts as a hit.

One seed a cell by default; a seed moves the blow before or behind the moment at which the jobs
are let go, and changes the length of the pause. 200 seeds of all cells, by hand:
`scripts/run-tests.sh faults --seeds 200 -- -k matrix`; HEADRACE_FAULT_FIRST_SEED says with which
seed to begin (1).
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.faults.conftest import Table
from tests.support.fault_jobs import Entry, FaultJobs
from tests.support.faults import VICTIMS, Fault, Kill, Pause, replicas
from tests.support.stack import Stack
from tests.support.status_watch import StatusWatch

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATUSES = (
    Status.AWAITING_DATA_CHECK,
    Status.AWAITING_ALLOCATION,
    Status.AWAITING_DATA,
    Status.AWAITING_SCHEDULING,
    Status.SCHEDULED,
    Status.RUNNING,
    Status.AWAITING_COLLECTION,
    Status.STOPPING,
)
_OF_SECOND = frozenset({Status.SCHEDULED, Status.AWAITING_DATA})
_OF_FIRST = frozenset(STATUSES) - _OF_SECOND
_FIRST_SEED = int(os.environ.get("HEADRACE_FAULT_FIRST_SEED", "1"))
_SEEDS = range(_FIRST_SEED, _FIRST_SEED + int(os.environ.get("HEADRACE_FAULT_SEEDS", "1")))
_TRIES = 3
# Longer than the lease of a leader (1.5 s), shorter than what makes a node lost.
_PAUSE_S = (1.6, 2.4)


@dataclass(slots=True)
class Bench:
    """The stack that rounds share; a round that failed makes the next one begin with another."""

    root: Path
    _made: int = 0
    _jobs: FaultJobs | None = None

    async def jobs(self) -> FaultJobs:
        """Give the running stack, with the input of all jobs in it."""
        if self._jobs is None:
            self._made += 1
            folder = self.root / f"matrix{self._made}"
            folder.mkdir()
            stack = Stack(folder / "home", keep_alive=True)
            await stack.start()
            self._jobs = FaultJobs(stack, folder / "gates")
            await self._jobs.prepare()
        return self._jobs

    async def stop(self) -> None:
        """End the stack."""
        if self._jobs is not None:
            jobs, self._jobs = self._jobs, None
            await jobs.stack.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(run_root: Path) -> AsyncIterator[Bench]:
    """The shared stack."""
    made = Bench(run_root)
    yield made
    await made.stop()


@dataclass(slots=True)
class Round:
    """Jobs that rest, each in its status, until they are let go."""

    jobs: FaultJobs
    client: AsyncClient
    watch: StatusWatch
    resting: dict[Status, str] = field(default_factory=dict)
    _held: list[str] = field(default_factory=list)
    _gates: list[Path] = field(default_factory=list)

    async def first(self) -> None:
        """Bring jobs to rest in six of the statuses."""
        running, collected, stopping = [await self._behind_a_gate() for _ in range(3)]
        for job, _ in (running, collected, stopping):
            await self.watch.until(job, Status.RUNNING)
        self.resting[Status.RUNNING] = running[0]
        self._gates.append(running[1])

        self._hold("agent")
        staged = await self._submit()
        await self.watch.until(staged, Status.AWAITING_DATA)
        self._hold("scheduler")
        self._release("agent")
        await self._rests(staged, Status.AWAITING_SCHEDULING)
        await self._rests(await self._submit(), Status.AWAITING_ALLOCATION)

        self._hold("data")
        collected[1].touch()
        await self._rests(collected[0], Status.AWAITING_COLLECTION)
        await self._rests(await self._submit(), Status.AWAITING_DATA_CHECK)

        self._hold("agent")
        await self.client.desire(stopping[0], "stop")
        await self._rests(stopping[0], Status.STOPPING)
        self._gates.append(stopping[1])

    async def second(self) -> None:
        """Bring jobs to rest in the other two, which other holds make."""
        self._hold("monitor")
        scheduled, gate = await self._behind_a_gate()
        self._gates.append(gate)
        await self._rests(scheduled, Status.SCHEDULED)
        self._hold("agent")
        await self._rests(await self._submit(), Status.AWAITING_DATA)

    def let_go(self, paused: tuple[str, ...] = ()) -> None:
        """Open all gates, and continue all that was held but not these."""
        for gate in self._gates:
            gate.touch()
        for name in self._held:
            if name not in paused and self.jobs.stack.alive(name):
                self.jobs.stack.resume(name)
        self._held.clear()

    async def _behind_a_gate(self) -> tuple[str, Path]:
        gate = self.jobs.new_gate()
        return await self.jobs.submit(self.client, gate), gate

    async def _submit(self) -> str:
        return await self.jobs.submit(self.client, self.jobs.new_gate(is_open=True))

    async def _rests(self, job: str, status: Status) -> None:
        await self.watch.until(job, status)
        self.resting[status] = job

    def _hold(self, role: str) -> None:
        for name in replicas(role):
            self.jobs.stack.pause(name)
            self._held.append(name)

    def _release(self, role: str) -> None:
        for name in replicas(role):
            self._held.remove(name)
            self.jobs.stack.resume(name)


async def _strike(fault: Fault, resting: Round, chance: random.Random, jitter_s: float) -> range:
    """Break the victim about when the jobs are let go; returns the blow's first and last ms."""
    stack = resting.jobs.stack
    if jitter_s < 0:
        resting.let_go()
        await asyncio.sleep(-jitter_s)  # not a wait: it is what the seed chose
    before = int(time.time() * 1000)
    struck = fault.strike(stack)
    after = int(time.time() * 1000)
    if jitter_s >= 0:
        await asyncio.sleep(jitter_s)
        resting.let_go(struck if isinstance(fault, Pause) else ())
    if isinstance(fault, Pause):
        await asyncio.sleep(chance.uniform(*_PAUSE_S))  # the pause is the fault
    fault.heal(stack)
    return range(before, after)


def _is_hit(history: list[Entry], status: Status, blow: range) -> bool:
    """Tell whether the job was in its status from before the blow until after it."""
    entered = [entry for entry in history if entry.at_ms <= blow.start]
    left = [entry for entry in history[len(entered) :] if entry.to is not status]
    return bool(entered) and entered[-1].to is status and left[0].at_ms > blow.stop


def _jitters(seed: int, chance: random.Random) -> Iterator[float]:
    """Seconds from the blow to the jobs' release: below 0 the blow may come too late to hit."""
    early = chance.uniform(-0.02, 0.3) if seed > 1 else 0.0
    yield early
    while True:
        yield max(0.0, early)


async def _play(
    bench: Bench,
    fault: Fault,
    chance: random.Random,
    jitter_s: float,
    rest: Callable[[Round], Awaitable[None]],
    table: Table,
) -> set[Status]:
    """Play one round; returns the statuses that were hit."""
    jobs = await bench.jobs()
    row = f"{fault.victim} {type(fault).__name__.lower()}"
    async with jobs.client() as client, StatusWatch(jobs.stack) as watch:
        resting = Round(jobs, client, watch)
        try:
            await rest(resting)
            blow = await _strike(fault, resting, chance, jitter_s)
            hit: set[Status] = set()
            for status, job in resting.resting.items():
                await jobs.completed(client, job)
                if _is_hit(await jobs.history(job), status, blow):
                    hit.add(status)
                    table.struck[row, status] += 1
                await jobs.check(
                    client,
                    job,
                    stopped=status is Status.STOPPING,
                    most_lost=_most_lost(fault, status),
                )
            await jobs.no_leaks()
            for status in hit:
                table.ended_well[row, status] += 1
        except BaseException:
            resting.let_go()
            await bench.stop()
            raise
    return hit


def _most_lost(fault: Fault, status: Status) -> int:
    """How many attempts the fault may cost: only the nest's death takes workers with it."""
    if fault != Kill("nest"):
        return 0
    # One that waits for its worker may have it when the blow comes a moment after its release.
    return int(status not in (Status.AWAITING_COLLECTION, Status.STOPPING))


@pytest.mark.parametrize("kind", [Kill, Pause])
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("seed", _SEEDS)
async def test_a_job_with_data_completes_once_whatever_is_broken_at_whichever_status(
    bench: Bench, table: Table, seed: int, victim: str, kind: type[Kill] | type[Pause]
) -> None:
    fault = kind(victim)
    chance = random.Random(f"{seed} {victim} {kind.__name__}")  # noqa: S311 - of a test
    missing = set(STATUSES)
    for _, jitter_s in zip(range(_TRIES), _jitters(seed, chance), strict=False):
        for rest, statuses in ((Round.first, _OF_FIRST), (Round.second, _OF_SECOND)):
            if missing & statuses:
                missing -= await _play(bench, fault, chance, jitter_s, rest, table)
        if not missing:
            return
    raise AssertionError(f"{victim} was never hit in {sorted(missing)}")
