"""The node agent beside a Redis that was restored from a backup."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace_model.cause import Cause
from headrace_model.job import Job
from headrace_model.status import Status
from headrace_model.work import FactKind
from tests.support.agent_bench import SIZE, WAIT_S, AgentBench, open_bench
from tests.support.process_bench import lives, pid_in
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1
from tests.support.wait import wait_until

_SLEEP = ("sh", "-c", "echo $$ > {output}/pid; exec sleep 600")


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    bench = await open_bench(state_dir, redis_server.url)
    try:
        yield bench
    finally:
        await bench.close()


async def _pid(bench: AgentBench, job: Job, other_than: int = 0) -> int:
    path = bench.attempt(job) / "output" / "pid"

    def there() -> int | None:
        pid = pid_in(path)
        return pid if pid and pid != other_than else None

    found = await wait_until(there, "the worker to run", within_s=WAIT_S)
    assert found
    return found


async def _run(bench: AgentBench) -> tuple[Job, int]:
    job = await bench.run(*_SLEEP, outputs={"o": {"format": "GENERIC"}})
    return job, await _pid(bench, job)


async def _restore(bench: AgentBench, *lost: str) -> None:
    """A new epoch of a Redis without the keys `lost`, and an agent that serves its node there."""
    if lost:
        await bench.redis.command("DEL", *lost)
    await bench.redis.command("SET", "hr:epoch", "restored")
    await bench.redis.open()
    await bench.lead()
    await bench.agent()


async def _kept(bench: AgentBench) -> tuple[str, ...]:
    return (await bench.nodes.quarantined([N1]))[N1]


async def _keeps(bench: AgentBench, *runs: str) -> None:
    async def told() -> bool:
        return await _kept(bench) == runs

    await wait_until(told, f"the node to keep {runs}", within_s=WAIT_S)


async def test_workers_that_a_restored_redis_expects_are_adopted(bench: AgentBench) -> None:
    first = await bench.agent()
    job, pid = await _run(bench)
    first.kill9()
    await _restore(bench)
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)
    assert (await bench.fact(job, FactKind.EXITED)).signal == signal.SIGKILL
    assert await _kept(bench) == ()


async def test_an_agent_that_lives_through_it_adopts_too(bench: AgentBench) -> None:
    await bench.agent()
    job, pid = await _run(bench)
    await bench.redis.command("SET", "hr:epoch", "restored")
    await bench.redis.open()
    os.kill(pid, signal.SIGKILL)
    assert (await bench.fact(job, FactKind.EXITED)).signal == signal.SIGKILL


async def test_an_attempt_that_is_expected_and_not_there_is_told_to_be_gone(
    bench: AgentBench,
) -> None:
    first = await bench.agent()
    first.kill9()
    job = await bench.run(*_SLEEP)
    await _restore(bench)
    gone = await bench.fact(job, FactKind.EXITED)
    assert (gone.cause, "has this attempt no more" in gone.detail) == (Cause.RESTORED, True)
    assert not bench.attempt(job).exists(), "it was not begun anew"
    await bench.until(job, Status.AWAITING_ALLOCATION)
    await bench.cleaned(job)
    assert await bench.nodes.ledger_errors() == []


async def test_a_known_jobs_worker_ends_where_none_is_expected_and_its_folder_stays(
    bench: AgentBench,
) -> None:
    first = await bench.agent()
    job, pid = await _run(bench)
    record = (await bench.jobs.work(N1))[f"{job.id}.1"]
    first.kill9()
    await _restore(bench, f"hr:work:{N1}", f"hr:held:{N1}")
    assert not lives(pid), "the job will run anew, and the node must have room for it"
    assert bench.attempt(job).exists()
    await _keeps(bench, f"{job.id}.1")
    await bench.redis.command("HSET", f"hr:work:{N1}", f"{job.id}.1", record)
    again = await _pid(bench, job, other_than=pid)
    assert lives(again), "a new attempt of that name begins in an empty folder"
    await _keeps(bench)


async def test_a_worker_of_an_unknown_job_lives_on_and_its_share_is_not_offered(
    bench: AgentBench,
) -> None:
    first = await bench.agent()
    # It asks for more than this node gives: a job on several nodes does.
    job = await bench.run(
        *_SLEEP, outputs={"o": {"format": "GENERIC"}}, resources={"cpus": 64, "memory": "64GiB"}
    )
    pid = await _pid(bench, job)
    first.kill9()
    await _restore(bench, f"hr:work:{N1}", f"hr:held:{N1}", f"hr:job:{job.id}")
    (node,) = await bench.nodes.all()
    assert lives(pid)
    whole = node.capacity + SIZE
    assert whole.millicpus == bench.settings.cpus * 1000
    await _keeps(bench, f"{job.id}.1")
    assert await bench.nodes.discard(N1, [f"{job.id}.1"])
    await bench.gone(lambda: lives(pid) or bench.attempt(job).exists(), "it to be discarded")
    await _keeps(bench)

    async def offered() -> bool:
        (node,) = await bench.nodes.all()
        return node.capacity == whole

    await wait_until(offered, "its share to be offered", within_s=WAIT_S)
