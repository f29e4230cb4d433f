"""Arrays on real agents and nests: each task's accepted end counts once, whatever is killed."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_model.array import ArrayRecord, TaskState
from headrace_model.cause import Cause
from headrace_model.ids import NodeId, job_id
from headrace_model.job import Job, Need, NewJob, first_step
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Share
from headrace_model.status import Status
from headrace_monitor.core.decide import Seen, decide
from headrace_request.core.accept import ask_of
from headrace_scheduler.core.launch import place
from headrace_wire.jobfile import dump_text, load_jobfile, load_jobtext
from headrace_wire.tasklogs import find_line
from tests.support.agent_bench import WAIT_S, AgentBench, AgentProcess, open_bench
from tests.support.process_bench import EAT, marked
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2
from tests.support.wait import wait_until

TASK = {"cpus": "500m", "memory": "64MiB"}
LONG_S = 3 * WAIT_S


class ArrayBench:
    """The bench of one node, and a second node beside it where a test asks for one."""

    def __init__(self, one: AgentBench, folder: Path) -> None:
        self.one = one
        self.other = replace(one.settings, node=N2, state_dir=folder / "other")
        self.marks = folder / "marks"
        self.marks.mkdir()
        self._others: list[AgentProcess] = []

    async def second_node(self) -> AgentProcess:
        agent = self.one.start(node=N2, state_dir=self.other.state_dir)
        await wait_until(lambda: agent.said("serves node"), "the other agent", within_s=WAIT_S)
        return agent

    async def run(self, script: str, slots: dict[NodeId, int], **file: Any) -> Job:
        """Place an array; each run of a task leaves a mark when it begins."""
        mark = f"mktemp -q {self.marks}/$HEADRACE_TASK.XXXXXX > /dev/null || exit 99; "
        plain = {
            "headrace": 1,
            "kind": "command",
            "name": "array",
            "command": ["sh", "-c", mark + script],
            "resources": TASK,
        }
        spec = load_jobfile({**plain, **file})
        new = NewJob(
            id=job_id(1_700_000_000_000, len(list(self.marks.iterdir())) + 1),
            owner="ann",
            name="array",
            kind="command",
            spec=dump_text(spec),
            priority=50,
            ask=ask_of(spec),
            needs=frozenset({Need.COLLECTION} if spec.outputs else ()),
        )
        await self.one.jobs.create(new, first_step(new.needs))
        return await self.place(await self.one.jobs.get(new.id), slots)

    async def place(self, job: Job, slots: dict[NodeId, int]) -> Job:
        shares = [Share(node, job.ask.resources.times(count)) for node, count in slots.items()]
        return await self.one.apply(place(job, Allocation(tuple(shares))))

    def begun(self) -> Counter[int]:
        """How often each task was begun."""
        return Counter(int(path.name.partition(".")[0]) for path in self.marks.iterdir())

    async def record(self, job: Job) -> ArrayRecord:
        found = await self.one.arrays.read(job.id)
        assert found is not None
        return found

    async def done(self, job: Job, at_least: int) -> ArrayRecord:
        async def enough() -> bool:
            return (await self.record(job)).counts.done >= at_least

        await wait_until(enough, f"{at_least} tasks to be done", within_s=LONG_S)
        return await self.record(job)

    async def step(self, job: Job) -> Job:
        """Be the monitor for one decision."""
        known = await self.one.jobs.get(job.id)
        nodes = [share.node for share in known.allocation.shares] if known.allocation else []
        by = Seen(
            facts=await self.one.jobs.facts(job.id, known.attempt, nodes),
            lost={n.id for n in await self.one.nodes.all() if n.state is NodeState.LOST},
            holding=await self.one.jobs.holders(known),
            retry=load_jobtext(known.spec).retry,
            now_ms=await self.one.jobs.now_ms(),
            array=await self.record(job),
        )
        move = decide(known, by)
        return await self.one.apply(move) if move else known

    async def until(self, job: Job, *statuses: Status) -> Job:
        """Be the monitor until the job is in one of the statuses."""

        async def there() -> Job | None:
            known = await self.step(job)
            return known if known.status in statuses else None

        found = await wait_until(there, f"{job.id} to be {statuses}", within_s=LONG_S)
        assert found is not None
        return found

    def files(self, job: Job, record: ArrayRecord) -> dict[str, str]:
        """What the store has of the output `o`, by path, as the accepted parts say."""
        folder = self.one.data.store
        found: dict[str, str] = {}
        for part in record.parts:
            (document,) = folder.glob(f"**/{part.digest}.json")
            for output in json.loads(document.read_text())["outputs"]:
                for item in output.get("items", ()):
                    if part.covers(int(item["path"].partition("/")[0])):
                        assert item["path"] not in found, "the output of a task counts once"
                        found[item["path"]] = (folder / item["key"]).read_text()
        return found

    async def close(self) -> None:
        for agent in self._others:
            agent.stop()
        if self.other.state_dir.exists():
            backend = ProcessBackend(self.other.state_dir / "nest")
            await backend.open()
            for worker in await backend.list():
                await backend.kill(worker.key.job, worker.key.attempt)
                await backend.clean(worker.key.job, worker.key.attempt)
            await backend.shut_down()


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[ArrayBench]:
    one = await open_bench(state_dir, redis_server.url)
    found = ArrayBench(one, state_dir)
    try:
        yield found
    finally:
        redis_server.start()
        await one.close()
        await found.close()


OUTPUT: dict[str, Any] = {"outputs": {"o": {"format": "GENERIC"}}}


async def test_every_task_runs_with_its_own_values_output_and_log(bench: ArrayBench) -> None:
    await bench.one.agent()
    script = "echo $HEADRACE_TASK/$HEADRACE_TASKS {index} {a}{b}; echo {a}{b} > {output}/f"
    matrix = {"a": ["x", "y"], "b": ["1", "2", "3"]}
    job = await bench.run(script, {N1: 2}, array={"matrix": matrix}, **OUTPUT)
    await bench.until(job, Status.AWAITING_COLLECTION)
    record = await bench.record(job)
    assert record.counts.done == 6
    names = ["x1", "x2", "x3", "y1", "y2", "y3"]
    assert bench.files(job, record) == {f"{i}/f": f"{name}\n" for i, name in enumerate(names)}
    assert bench.begun() == dict.fromkeys(range(6), 1)
    await bench.one.cleaned(job)
    logs = bench.one.data.store / "logs" / job.id / "1"
    names_in_store = {path.name for path in logs.iterdir()}
    assert names_in_store <= {"0.index", "0.0.out", "0.1.out", "0.usage"}
    index = (logs / "0.index").read_text()
    for task, name in enumerate(names):
        line = find_line(index, task, "out")
        assert line is not None
        file = logs / f"0.{line.slot}.out"
        said = file.read_bytes()[line.offset : line.offset + line.size_bytes]
        assert said == f"{task}/6 {task} {name}\n".encode()
    assert await bench.one.nodes.ledger_errors() == []


async def test_no_more_tasks_run_at_a_time_than_there_are_slots(bench: ArrayBench) -> None:
    await bench.one.agent()
    # Each holds a lock of its own while it counts the locks that are held.
    script = (
        f"cd {bench.marks}/..; mkdir run.$HEADRACE_TASK; sleep 0.05; "
        "ls -d run.* | wc -l > {output}/n; rmdir run.$HEADRACE_TASK"
    )
    job = await bench.run(script, {N1: 3}, array={"count": 24}, **OUTPUT)
    await bench.until(job, Status.AWAITING_COLLECTION)
    counts = {int(text) for text in bench.files(job, await bench.record(job)).values()}
    assert max(counts) <= 3


async def test_failed_tasks_are_retried_and_then_fail_the_job_at_its_end(
    bench: ArrayBench,
) -> None:
    await bench.one.agent()
    # Task 1 does well the second time, 3 never, 4 does not start, 5 takes too much memory.
    again = f"[ $(ls {bench.marks}/1.* | wc -l) -ge 2 ] || exit 8"
    script = (
        f"case $HEADRACE_TASK in 1) {again};; 3) exit 3;; 4) kill -9 $$;; "
        f'5) exec python3 -c "{EAT}";; esac'
    )
    job = await bench.run(
        script.replace("{", "{{").replace("}", "}}"),
        {N1: 2},
        array={"count": 8},
        retry={"limit": 2, "on": ["EXIT_CODE"]},
    )
    failed = await bench.until(job, Status.FAILED)
    assert (failed.cause, failed.exit_code) == (Cause.TASKS, 3)
    assert failed.detail.startswith("3 of 8 tasks failed: task 3 (exit code 3), task 4 (")
    record = await bench.record(job)
    assert [record.state(i) for i in range(8)].count(TaskState.DONE) == 5
    tries = {i: (f.tries, f.cause, f.exit_code) for i, f in record.failures.items()}
    assert tries == {
        1: (1, Cause.EXIT_CODE, 8),
        3: (3, Cause.EXIT_CODE, 3),
        4: (3, Cause.EXIT_CODE, -9),
        5: (1, Cause.OOM, -9),
    }
    assert bench.begun() == {0: 1, 1: 2, 2: 1, 3: 3, 4: 3, 5: 1, 6: 1, 7: 1}


async def test_what_a_task_may_not_leave_fails_that_task_alone(bench: ArrayBench) -> None:
    await bench.one.agent()
    script = "echo ok > {output}/f; [ $HEADRACE_TASK != 2 ] || ln -s /etc/passwd {output}/link"
    job = await bench.run(script, {N1: 2}, array={"count": 5}, **OUTPUT)
    await bench.until(job, Status.FAILED)
    record = await bench.record(job)
    assert {i: f.cause for i, f in record.failures.items()} == {2: Cause.COLLECTION}
    assert "symbolic link" in record.failures[2].detail
    assert sorted(bench.files(job, record)) == ["0/f", "1/f", "3/f", "4/f"]


async def test_a_killed_agent_comes_back_to_its_tasks_and_runs_none_twice(
    bench: ArrayBench,
) -> None:
    agent = await bench.one.agent()
    script = "sleep 0.02; echo $HEADRACE_TASK > {output}/f"
    job = await bench.run(script, {N1: 2}, array={"count": 120}, **OUTPUT)
    await bench.until(job, Status.RUNNING)
    for part in (10, 60):
        await bench.done(job, part)
        agent.kill9()
        agent = await bench.one.agent()
    await bench.until(job, Status.AWAITING_COLLECTION)
    record = await bench.record(job)
    assert record.counts.done == 120
    assert bench.begun() == dict.fromkeys(range(120), 1)
    assert bench.files(job, record) == {f"{i}/f": f"{i}\n" for i in range(120)}
    await bench.one.cleaned(job)
    # Who was killed takes a moment to be gone on a busy machine.
    await wait_until(lambda: not marked(job.id), "the end of all its processes")


async def test_tasks_that_die_with_their_nest_run_again_and_the_others_do_not(
    bench: ArrayBench,
) -> None:
    await bench.one.agent()
    job = await bench.run("sleep 0.05", {N1: 2}, array={"count": 60})
    await bench.until(job, Status.RUNNING)
    await bench.done(job, 10)
    pid = int((await nest(bench.one.state / "nest"))["pid"])
    os.kill(pid, signal.SIGKILL)
    await bench.until(job, Status.COMPLETED)
    assert (await bench.record(job)).counts.done == 60
    twice = {task for task, times in bench.begun().items() if times > 1}
    assert set(bench.begun()) == set(range(60))
    # The two that ran, and those whose end the nest had not told (within one gathering).
    assert len(twice) <= 8, twice


async def nest(folder: Path) -> dict[str, Any]:
    """What the living nest of a folder says of itself."""
    backend = ProcessBackend(folder)
    await backend.open()
    try:
        return await backend._call("ping")
    finally:
        await backend.close()


async def test_a_lost_node_returns_its_unfinished_tasks_and_nothing_else(
    bench: ArrayBench,
) -> None:
    await bench.one.agent()
    other = await bench.second_node()
    script = "sleep 0.05; echo $HEADRACE_TASK > {output}/f"
    job = await bench.run(script, {N1: 2, N2: 2}, array={"count": 100}, **OUTPUT)
    await bench.until(job, Status.RUNNING)
    await bench.done(job, 20)
    other.kill9()
    os.kill(int((await nest(bench.other.state_dir / "nest"))["pid"]), signal.SIGKILL)
    counter = {node.id: node.counter for node in await bench.one.nodes.all()}[N2]
    assert await bench.one.nodes.lose(N2, counter, 1)

    async def left() -> bool:
        known = await bench.step(job)
        return known.allocation is not None and len(known.allocation.shares) == 1

    before = {i for i, s in enumerate((await bench.record(job)).states) if s == 2}
    await wait_until(left, "the array to go on without the node", within_s=WAIT_S)
    begun = bench.begun()
    await bench.until(job, Status.AWAITING_COLLECTION)
    record = await bench.record(job)
    assert record.counts.done == 100
    after = bench.begun()
    again = {task for task in before if after[task] > begun[task]}
    assert again == set(), "what was done stays done, though its node is lost"
    assert bench.files(job, record) == {f"{i}/f": f"{i}\n" for i in range(100)}
    assert [event(line) for line in await bench.one.jobs.history(job.id)].count("NODE_LEFT") == 1

    # The node comes back: it ends and removes what it still had, and counts for nothing.
    await bench.second_node()
    stale = bench.other.state_dir / "attempts" / f"{job.id}.1"
    await bench.one.gone(stale.exists, "the stale attempt to be removed")
    assert (await bench.record(job)).parts == record.parts


def event(line: str) -> str:
    return str(json.loads(line)["event"])


async def test_a_stopped_array_keeps_what_is_done_and_gives_the_rest_back(
    bench: ArrayBench,
) -> None:
    await bench.one.agent()
    job = await bench.run("sleep 0.02", {N1: 2}, array={"count": 100})
    await bench.until(job, Status.RUNNING)
    await bench.done(job, 20)
    await bench.one.stop(job)
    stopped = await bench.until(job, Status.STOPPED, Status.FAILED)
    record = await bench.record(job)
    assert marked(job.id) == []
    assert record.counts.running == 0, "every range came back with the share"
    assert 20 <= record.counts.done < 100
    assert {i for i, state in enumerate(record.states) if state == 2} <= set(bench.begun())
    await bench.one.cleaned(stopped)


async def test_an_array_survives_its_redis(bench: ArrayBench, redis_server: RedisServer) -> None:
    await bench.one.agent()
    job = await bench.run("sleep 0.02", {N1: 2}, array={"count": 150})
    await bench.until(job, Status.RUNNING)
    await bench.done(job, 20)
    await asyncio.to_thread(redis_server.kill9)
    await asyncio.to_thread(redis_server.start)
    await bench.until(job, Status.COMPLETED)
    record = await bench.record(job)
    assert record.counts.done == 150
    assert bench.begun() == dict.fromkeys(range(150), 1)
