"""The record of an array in a real Redis, under any order of calls, beside a plain model of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

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
from tests.support.script_scenes import N1, N2, Recorder, Stage

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


class AnyOrder(RuleBasedStateMachine):
    """Two nodes take, finish, fail and lose tasks; the record says what brute force says."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.told: list[tuple[NodeId, list[TaskReport]]] = []

    def do(self, call: Any) -> Any:
        return self.runner.run(call)

    @initialize(total=st.sampled_from([1, 3, 20, 1_540]))
    def begin(self, total: int) -> None:
        async def start() -> tuple[Stage, Job]:
            redis = Recorder(self.url)
            await redis.client.flushdb()
            await redis.open()
            stage = Stage(redis)
            await stage.ready()
            return stage, await stage.running_array(total)

        self.stage, self.job = self.do(start())
        self.plain = Plain(total)
        self.out: set[NodeId] = set()

    def take(self, node: NodeId, most: int, known: int) -> Taken:
        call = self.stage.arrays.take(
            node, f"run of {node}", self.job.id, 1, most=most, known=known
        )
        return self.do(call)  # type: ignore[no-any-return]

    @rule(node=st.sampled_from([N1, N2]), most=st.integers(0, 900), fresh=st.booleans())
    def takes(self, node: NodeId, most: int, fresh: bool) -> None:
        held = self.plain.open_leases(node)
        known = 0 if fresh else max(held, default=0)
        if node in self.out:
            with pytest.raises(Stale):
                self.take(node, most, known)
            return
        taken = self.take(node, most, known)
        assert self.take(node, most, known) == taken, "a repeat takes nothing more"
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

    @rule(data=st.data(), node=st.sampled_from([N1, N2]), again=st.booleans())
    def ends(self, data: st.DataObject, node: NodeId, again: bool) -> None:
        """Of any lease that ever was, some of its own tasks and some others."""
        if not self.plain.holder:
            return
        lease = data.draw(st.sampled_from(sorted(self.plain.holder)))
        near = self.plain.left(lease) or [0]
        tasks = st.lists(st.sampled_from(near) | st.integers(0, self.plain.total - 1), max_size=9)
        done = data.draw(tasks)
        failed = [task for task in data.draw(tasks) if task not in done]
        failures = tuple(
            FailedTask(task, Cause.EXIT_CODE, again, exit_code=3) for task in dict.fromkeys(failed)
        )
        self.told.append(
            (node, [TaskReport(lease, spans_of(done), failures, part=f"part{lease}")])
        )
        self.tell(*self.told[-1])

    @rule(data=st.data())
    def tells_again(self, data: st.DataObject) -> None:
        """A late report, of whatever was told before."""
        if self.told:
            self.tell(*data.draw(st.sampled_from(self.told)))

    def tell(self, node: NodeId, reports: list[TaskReport]) -> None:
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
        arrays = self.stage.arrays
        self.do(arrays.finish(node, f"run of {node}", self.job.id, 1, reports, limit=LIMIT))

    @rule(node=st.sampled_from([N1, N2]))
    def loses(self, node: NodeId) -> None:
        """A node's share comes back, and with it exactly its unfinished tasks."""
        if self.out:
            return
        self.out.add(node)
        end = move_of(self.job, Event.FAILED, Role.MONITOR, cause=Cause.NODE_LOST)
        self.job = self.do(self.stage.apply(replace(end, returns=(node,))))
        self.out.update((N1, N2))  # nothing is taken of an attempt that ends
        for lease in self.plain.open_leases(node):
            for task in self.plain.left(lease):
                self.plain.end(task, lease, TaskState.WAITING)

    @invariant()
    def the_record_says_the_same(self) -> None:
        if not hasattr(self, "plain"):
            return
        record = self.do(self.stage.arrays.read(self.job.id))
        assert [record.state(task) for task in range(self.plain.total)] == self.plain.state
        counts = record.counts
        assert (counts.total, counts.waiting, counts.running, counts.done, counts.failed) == (
            self.plain.total,
            *(self.plain.state.count(state) for state in TaskState),
        )
        assert {task: each.tries for task, each in record.failures.items()} == self.plain.tries
        kept = sorted(task for part in record.parts for task in indices_of(part.spans))
        assert kept == [t for t, s in enumerate(self.plain.state) if s is TaskState.DONE]

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            self.do(self.stage.redis.close())
        self.runner.close()


def test_every_task_counts_once_in_any_order_of_calls(redis_server: RedisServer) -> None:
    AnyOrder.url = redis_server.url
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        ),
    )


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
