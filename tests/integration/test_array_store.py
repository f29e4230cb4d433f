"""The record of an array in a real Redis, under any order of calls, beside a plain model of it."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_model.array import FailedTask, Taken, TaskReport, TaskState, indices_of, spans_of
from headrace_model.cause import Cause
from headrace_model.errors import Fenced, Stale
from headrace_model.ids import NodeId
from headrace_model.job import Job
from headrace_model.move import move_of
from headrace_model.status import Event, Role
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, Stage

LIMIT = 1


@dataclass
class Plain:
    """The array by brute force: who runs what, one entry a task, one a lease."""

    total: int
    state: list[TaskState] = field(default_factory=list)
    runs_under: dict[int, int] = field(default_factory=dict)  # task → lease
    holder: dict[int, NodeId] = field(default_factory=dict)  # lease → node, also of closed ones
    tries: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = [TaskState.WAITING] * self.total

    def left(self, lease: int) -> list[int]:
        return sorted(task for task, under in self.runs_under.items() if under == lease)

    def end(self, task: int, lease: int, state: TaskState) -> bool:
        if self.runs_under.get(task) != lease:
            return False
        del self.runs_under[task]
        self.state[task] = state
        return True

    def open_leases(self, node: NodeId) -> list[int]:
        return sorted({each for each in self.runs_under.values() if self.holder[each] == node})


class AnyOrder:
    """Two nodes take, finish, fail and lose tasks by chance; the record says what brute force
    says.
    """

    def __init__(self, stage: Stage, job: Job, total: int, chance: random.Random) -> None:
        self.stage = stage
        self.job = job
        self.plain = Plain(total)
        self.chance = chance
        self.told: list[tuple[NodeId, list[TaskReport]]] = []

    def node(self) -> NodeId:
        return self.chance.choice([N1, N2])

    async def take(self, node: NodeId, most: int, known: int) -> Taken:
        return await self.stage.arrays.take(
            node, f"run of {node}", self.job.id, 1, most=most, known=known
        )

    async def takes(self) -> None:
        node, fresh = self.node(), self.chance.random() < 0.2
        most = self.chance.choice([0, 1, 2, 3, 5, self.plain.total // 2])
        held = self.plain.open_leases(node)
        known = 0 if fresh else max(held, default=0)
        taken = await self.take(node, most, known)
        assert await self.take(node, most, known) == taken, "a repeat takes nothing more"
        if fresh and held:
            assert [lease.number for lease in taken.leases] == held
            for lease in taken.leases:
                assert indices_of(lease.left) == self.plain.left(lease.number)
            return
        waiting = [t for t, s in enumerate(self.plain.state) if s is TaskState.WAITING]
        got = [task for lease in taken.leases for task in indices_of(lease.left)]
        assert got == waiting[: len(got)]
        assert len(got) == min(most, len(waiting)) or len(taken.leases) == 64
        for lease in taken.leases:
            self.plain.holder[lease.number] = node
            for task in indices_of(lease.left):
                self.plain.state[task] = TaskState.RUNNING
                self.plain.runs_under[task] = lease.number

    async def ends(self) -> None:
        """Of any lease that ever was, some of its own tasks and some others."""
        if not self.plain.holder:
            return
        lease = self.chance.choice(sorted(self.plain.holder))
        node = self.plain.holder[lease] if self.chance.random() < 0.9 else self.node()
        own = self.plain.left(lease)
        some = self.chance.sample(own, self.chance.randint(0, min(4, len(own))))
        some += [self.chance.randrange(self.plain.total) for _ in range(self.chance.randint(0, 3))]
        done = [task for task in some if self.chance.random() < 0.5]
        failures = tuple(
            FailedTask(task, Cause.EXIT_CODE, self.chance.random() < 0.8, exit_code=3)
            for task in dict.fromkeys(some)
            if task not in done
        )
        report = TaskReport(lease, spans_of(done), failures, part=f"part{lease}")
        self.told.append((node, [report]))
        await self.tell(*self.told[-1])

    async def tells_again(self) -> None:
        """A late report, of whatever was told before."""
        if self.told:
            await self.tell(*self.chance.choice(self.told))

    async def tell(self, node: NodeId, reports: list[TaskReport]) -> None:
        for report in reports:
            if self.plain.holder[report.lease] != node:
                continue
            for task in indices_of(report.done):
                self.plain.end(task, report.lease, TaskState.DONE)
            for one in report.failed:
                tries = self.plain.tries.get(one.index, 0) + 1
                waits = one.again and tries <= LIMIT
                state = TaskState.WAITING if waits else TaskState.FAILED
                if self.plain.end(one.index, report.lease, state):
                    self.plain.tries[one.index] = tries
        await self.stage.arrays.finish(
            node, f"run of {node}", self.job.id, 1, reports, limit=LIMIT
        )

    async def loses(self, node: NodeId) -> None:
        """A node's share comes back, and with it exactly its unfinished tasks."""
        end = move_of(self.job, Event.FAILED, Role.MONITOR, cause=Cause.NODE_LOST)
        self.job = await self.stage.apply(replace(end, returns=(node,)))
        for lease in self.plain.open_leases(node):
            for task in self.plain.left(lease):
                self.plain.end(task, lease, TaskState.WAITING)
        with pytest.raises(Stale):
            await self.take(node, 1, 0)

    async def check(self) -> None:
        record = await self.stage.arrays.read(self.job.id)
        assert record is not None
        assert [record.state(task) for task in range(self.plain.total)] == self.plain.state
        counts = record.counts
        assert (counts.total, counts.waiting, counts.running, counts.done, counts.failed) == (
            self.plain.total,
            *(self.plain.state.count(state) for state in TaskState),
        )
        assert {task: each.tries for task, each in record.failures.items()} == self.plain.tries
        kept = sorted(task for part in record.parts for task in indices_of(part.spans))
        assert kept == [t for t, s in enumerate(self.plain.state) if s is TaskState.DONE]
        leases = await self.stage.redis.command("HGET", f"hr:array:{self.job.id}", "leases")
        still = {int(line.split(" ")[0]) for line in (leases or "").splitlines()}
        assert still == set(self.plain.runs_under.values()), "what has nothing left is closed"


@pytest.mark.parametrize("seed", range(12))
async def test_every_task_counts_once_in_any_order_of_calls(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same every time
    total = chance.choice([5, 12, 30, 800])
    order = AnyOrder(stage, await stage.running_array(total), total, chance)
    acts = [order.takes] * 5 + [order.ends] * 6 + [order.tells_again]
    for _ in range(120):
        await chance.choice(acts)()
        await order.check()
    await order.loses(order.node())
    await order.check()
    for _ in range(10):
        await chance.choice([order.ends, order.tells_again])()
        await order.check()


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    redis = Redis(redis_server.url)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


async def test_another_agent_of_the_node_takes_and_ends_nothing(stage: Stage) -> None:
    job = await stage.running_array(10)
    with pytest.raises(Fenced):
        await stage.arrays.take(N1, "an older run", job.id, 1, most=5, known=0)
    await stage.arrays.take(N1, f"run of {N1}", job.id, 1, most=5, known=0)
    reports = [TaskReport(1, ((0, 5),))]
    with pytest.raises(Fenced):
        await stage.arrays.finish(N1, "an older run", job.id, 1, reports, limit=0)


async def test_a_task_costs_less_than_50_bytes(stage: Stage) -> None:
    tasks = 100_000
    job = await stage.running_array(tasks)
    arrays: ArrayStore = stage.arrays
    known = 0
    while True:
        taken = await arrays.take(N1, f"run of {N1}", job.id, 1, most=1_000, known=known)
        if not taken.leases:
            break
        known = taken.leases[-1].number
        for lease in taken.leases[:1]:
            spans = ((lease.span[0], lease.span[1] - 1),)  # one is left: the lease stays open
            report = TaskReport(lease.number, spans, part="0" * 64)
            await arrays.finish(N1, f"run of {N1}", job.id, 1, [report], limit=0)
    used = await stage.redis.command("MEMORY", "USAGE", f"hr:array:{job.id}", "SAMPLES", 0)
    assert used / tasks <= 50, f"{used / tasks:.2f} B a task"
