"""The planner on nodes with room and on full ones, and what 1,000 to 100,000 waiting jobs change.

1,000 nodes; no two jobs ask alike. Nodes with room are filled from empty, 100 placements a plan.
Full nodes are kept full: before each plan the 100 jobs have ended that end next, and as many new
ones wait. CPU time counts, not the clock: the planner is pure code. The peer is the same policy as
a textbook has it (`textbook.py`), on the same nodes and the first jobs of the same queue; in each
round both have to decide the same of these. Large jobs are dealt over all nodes while these are
full: nothing starts, and each reservation keeps a thousand shares.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sized
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from itertools import islice
from typing import Final

from headrace_model.bounds import Policy
from headrace_model.ids import JobId
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_scheduler.core.placement import Room
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.policy import rule_of
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from tests.benchmarks.bench import Bench
from tests.benchmarks.placements import nodes_for
from tests.benchmarks.rows import Row, Series, series
from tests.benchmarks.textbook import Textbook

NAME: Final = "planner"
ABOUT: Final = "placements a second on nodes with room and on full ones, 1k to 100k waiting jobs"
_SIZES: Final = (1_000, 10_000, 100_000)
_PROMISED: Final = 10_000
_BUDGET: Final = 5_000
_BUDGET_BYTES: Final = 1_000
_AT_ONCE: Final = 100
_COMPARED: Final = 150
_LARGE: Final = 50
_BUDGET_LARGE_MS: Final = 1_000  # the lease that is renewed between plans is 6 s
_GIB: Final = 2**30
# The larger ones have no room on full nodes, so that room is kept for them.
_MILLICPUS: Final = (500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
_ONE: Final = (Paradigm.SINGLE_NODE,)
_SCENES: Final[dict[str, tuple[Policy, tuple[Paradigm, ...], bool]]] = {
    "EASY, nodes with room": (Policy.EASY, _ONE, False),
    "EASY, full nodes": (Policy.EASY, _ONE, True),
    "CONSERVATIVE, full nodes": (Policy.CONSERVATIVE, _ONE, True),
    "CONSERVATIVE, full nodes, all paradigms": (Policy.CONSERVATIVE, tuple(Paradigm), True),
}


async def measure(bench: Bench) -> list[Row]:
    """A row for each scene, its growth, large jobs, and memory."""
    rows = []
    each_s = bench.seconds / (len(_SCENES) * len(_SIZES))
    for name, (policy, paradigms, full) in _SCENES.items():
        found = {size: _measure(policy, paradigms, full, size, each_s) for size in _SIZES}
        ours, peer = found[_PROMISED]
        rows.append(_row(f"planner, {name}, {_PROMISED:,} waiting", ours, "textbook", peer))
        rows += [
            _row(f"planner, {name}, {size:,} waiting", ours, f"{_SIZES[0]:,} waiting",
                 found[_SIZES[0]][0], promised=False)
            for size, (ours, _) in found.items()
            if size != _SIZES[0]
        ]  # fmt: skip
    return [*rows, _large(), _memory()]


def _measure(
    policy: Policy, paradigms: tuple[Paradigm, ...], full: bool, size: int, seconds: float
) -> tuple[Series, Series | None]:
    """Placements a second of each plan, ours and the textbook's."""
    scene = Scene(policy, paradigms, full, size)
    until = time.monotonic() + seconds
    ours, peer = [], []
    scene.round()  # after it what runs is summed up, as it is from plan to plan
    while len(ours) < 5 or time.monotonic() < until:
        placed, spent_s, compared = scene.round(compare=len(paradigms) == 1 and len(peer) < 3)
        ours.append(placed / spent_s)
        if compared is not None:
            peer.append(compared)
    return series(ours), series(peer) if peer else None


class Scene:
    """1,000 nodes, what runs on them and who waits, from plan to plan."""

    def __init__(
        self, policy: Policy, paradigms: tuple[Paradigm, ...], full: bool, size: int
    ) -> None:
        self._chance = random.Random(1)  # noqa: S311 - the same jobs and nodes at each run
        self._policy, self._paradigms, self._full, self._size = policy, paradigms, full, size
        self._numbers = iter(range(10**9))
        self._now_ms = 0
        self.queue = Waiting()
        self._limits: dict[JobId, int | None] = {}
        self._empty()
        if full:
            self._fill()
        self._refill()

    def round(self, compare: bool = False) -> tuple[int, float, float | None]:
        """One plan: its placements and CPU seconds; placements a second of the peer."""
        if self._full:
            self._end_some()
        elif len(self._running) > 8_000:
            self._empty()
        now = Snapshot(
            self._nodes, self.queue.lines(self._now_ms), self._running, policy=self._policy
        )
        rate = self._compare(now) if compare else None
        began = time.process_time()
        found = plan(now, self._now_ms, limit=_AT_ONCE)
        self._apply(found)
        spent_s = time.process_time() - began
        self._settle(found)
        return len(found.placements), spent_s, rate

    def large_ms(self) -> float:
        """CPU time of a plan for jobs each of which is dealt over all nodes."""
        large = [
            replace(
                self._job(),
                resources=Resources((4_000 + 10 * number) * 1_000, 4_000 * _GIB),
                paradigm=Paradigm.ROUND_ROBIN,
            )
            for number in range(_LARGE)
        ]
        lines = tuple((job,) for job in large)
        now = Snapshot(self._nodes, lines, self._running, policy=self._policy)
        began = time.process_time()
        found = plan(now, self._now_ms)
        spent_ms = (time.process_time() - began) * 1000
        if found.placements or not found.reservations:
            raise AssertionError("there is room for large jobs, or never will be")
        return spent_ms

    def _compare(self, now: Snapshot) -> float:
        jobs = [next(iter(line)) for line in islice(now.lines, _COMPARED)]
        began = time.process_time()
        peer = Textbook(now.nodes, now.running, rule_of(now.policy).reservations)
        theirs = peer.plan(jobs, self._now_ms)
        spent_s = time.process_time() - began
        found = plan(replace(now, lines=now.lines[:_COMPARED]), self._now_ms, limit=_COMPARED)
        ours = {each.job: each.allocation.shares[0].node for each in found.placements}
        if ours != theirs:
            raise AssertionError("the planner and the textbook decide differently")
        return len(theirs) / spent_s

    def _apply(self, found: Plan) -> None:
        for placement in found.placements:
            self.queue.drop(placement.job)
            limit_ms = self._limits.pop(placement.job)
            ends_ms = None if limit_ms is None else self._now_ms + limit_ms
            self._running.put(RunningJob(placement.job, placement.allocation, ends_ms))

    def _settle(self, found: Plan) -> None:
        self._give((placement.allocation for placement in found.placements), -1)
        self._refill()

    def _end_some(self) -> None:
        ended = [job for _, job in islice(self._running.ends(-1), _AT_ONCE)]
        self._now_ms = max(self._now_ms, *(job.ends_ms or 0 for job in ended))
        for job in ended:
            self._running.drop(job.id)
        self._give((job.allocation for job in ended), 1)

    def _give(self, allocations: Iterator[Allocation], sign: int) -> None:
        free = {node.id: node.free for node in self._nodes}
        for allocation in allocations:
            for share in allocation.shares:
                before = free[share.node]
                part = share.resources
                free[share.node] = before + part if sign > 0 else before - part
        self._nodes = tuple(
            node if free[node.id] is node.free else replace(node, free=free[node.id])
            for node in self._nodes
        )

    def _empty(self) -> None:
        self._nodes: tuple[Node, ...] = nodes_for(self._chance)
        self._running = Running()

    def _fill(self) -> None:
        """Start jobs until one has no room."""
        free = {node.id: node.free for node in self._nodes}
        room = Room(free)
        while True:
            job = self._job()
            found = room.find(job.resources, job.paradigm)
            if not isinstance(found, Allocation):
                break
            for share in found.shares:
                free[share.node] -= share.resources
                room.set(share.node, free[share.node])
            self._running.put(RunningJob(job.id, found, job.time_limit_ms))
        self._nodes = tuple(replace(node, free=free[node.id]) for node in self._nodes)

    def _refill(self) -> None:
        while len(self.queue) < self._size:
            job = self._job()
            self.queue.put(job)
            self._limits[job.id] = job.time_limit_ms

    def _job(self) -> WaitingJob:
        number, chance = next(self._numbers), self._chance
        return WaitingJob(
            id=JobId(f"j{number:09}"),
            version=1,
            attempt=1,
            rank=float(number),
            resources=Resources(
                chance.choice(_MILLICPUS[: 7 if self._full else 5]),
                chance.randrange(_GIB, 8 * _GIB),
            ),
            paradigm=chance.choice(self._paradigms),
            backend="process",
            held=False,
            not_before_ms=None,
            time_limit_ms=chance.randrange(1000, 10**6),
            queued_ms=0,
        )


def _row(
    name: str, ours: Series, peer_name: str, peer: Series | None, promised: bool = True
) -> Row:
    return Row(
        name=name,
        unit="1/s",
        ours=ours,
        budget=f"≥ {_BUDGET:,}/s" if promised else "-",
        met=ours.p50 >= _BUDGET if promised else None,
        peer_name=peer_name if peer else None,
        peer=peer,
        note="by CPU time",
    )


def _large() -> Row:
    found: dict[Policy, Series] = {}
    for policy in (Policy.CONSERVATIVE, Policy.EASY):
        scene = Scene(policy, _ONE, True, 1)
        found[policy] = series([scene.large_ms() for _ in range(5)])
    ours = found[Policy.CONSERVATIVE]
    return Row(
        name=f"planner, CONSERVATIVE, full nodes, {_LARGE} jobs of 4,000 CPUs and more",
        unit="ms",
        ours=ours,
        budget=f"≤ {_BUDGET_LARGE_MS:,} ms",
        met=ours.p50 <= _BUDGET_LARGE_MS,
        peer_name="EASY",
        peer=found[Policy.EASY],
        note="by CPU time",
    )


def _memory() -> Row:
    """Bytes a waiting job of a queue in which no two ask alike, beside dictionaries."""

    def queue() -> Waiting:
        return Scene(Policy.EASY, _ONE, False, _PROMISED).queue

    def fields() -> list[dict[str, object]]:
        return [
            {each.name: getattr(line[0], each.name) for each in dataclass_fields(WaitingJob)}
            for line in queue().lines(0)
        ]

    ours, peer = _bytes(queue), _bytes(fields)
    return Row(
        name="planner, memory per waiting job",
        unit="B",
        ours=Series(_PROMISED, ours, ours),
        budget=f"≤ {_BUDGET_BYTES:,} B",
        met=ours <= _BUDGET_BYTES,
        peer_name="a dictionary of its fields each",
        peer=Series(_PROMISED, peer, peer),
        note="by tracemalloc",
    )


def _bytes(made: Callable[[], Sized]) -> float:
    gc.collect()
    tracemalloc.start()
    kept = made()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / len(kept)
