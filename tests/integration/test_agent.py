"""The node agent as a process of its own: what it does with records, and what it tells."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.log_replies import LogReplies
from headrace_model.cause import Cause
from headrace_model.job import Job, Need
from headrace_model.node import Cached, Inventory, NodeState
from headrace_model.status import Event, Role, Status
from headrace_model.work import FactKind
from tests.support.agent_bench import WAIT_S, AgentBench, open_bench
from tests.support.docker_engine import DockerEngine
from tests.support.process_bench import EAT, lives, marked, pid_in
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1
from tests.support.wait import wait_until

SLEEP = ("sh", "-c", "echo $$ > {output}/pid; exec sleep 600")


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    bench = await open_bench(state_dir, redis_server.url)
    try:
        yield bench
    finally:
        redis_server.start()
        await bench.close()


async def sleeping(bench: AgentBench, **file: Any) -> tuple[Job, int]:
    """A job whose worker sleeps, and the worker's process."""
    job = await bench.run(*SLEEP, outputs={"o": {"format": "GENERIC"}}, **file)
    path = bench.attempt(job) / "output" / "pid"
    pid = await wait_until(lambda: pid_in(path), "the worker to run", within_s=WAIT_S)
    return job, pid


async def test_a_job_runs_and_leaves_nothing_but_its_log(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run("sh", "-c", "echo hello; echo $HEADRACE_JOB >&2")
    assert (await bench.fact(job, FactKind.STARTED)).cause is None
    exited = await bench.fact(job, FactKind.EXITED)
    assert (exited.cause, exited.exit_code, exited.signal) == (None, 0, None)
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)
    logs = bench.data.store / "logs" / job.id / "1"
    assert (logs / "0.out").read_text() == "hello\n"
    assert (logs / "0.err").read_text() == f"{job.id}\n"
    assert await bench.facts(job) == {}
    assert await bench.nodes.ledger_errors() == []


@pytest.mark.parametrize(
    ("command", "cause", "exit_code", "number", "says"),
    [
        (("sh", "-c", "exit 7"), Cause.EXIT_CODE, 7, None, "exit code 7"),
        (("sh", "-c", "kill -TERM $$"), Cause.EXIT_CODE, None, signal.SIGTERM, "SIGTERM"),
        (
            (sys.executable, "-c", EAT + "import time; time.sleep(600)"),
            Cause.OOM,
            None,
            None,
            "more memory than",
        ),
        (("no-such-program",), Cause.NOT_STARTED, None, None, "could not be started"),
    ],
)
async def test_a_bad_end_is_told_with_its_cause(
    bench: AgentBench,
    command: tuple[str, ...],
    cause: Cause,
    exit_code: int | None,
    number: int | None,
    says: str,
) -> None:
    await bench.agent()
    job = await bench.run(*command, memory_bytes=64 * 2**20)
    exited = await bench.fact(job, FactKind.EXITED)
    assert exited.cause is cause
    assert says in exited.detail
    if cause is Cause.EXIT_CODE:
        assert (exited.exit_code, exited.signal) == (exit_code, number)
    failed = await bench.until(job, Status.FAILED)
    assert failed.cause is cause
    if cause is Cause.OOM:
        assert failed.peak_memory_bytes == exited.peak_memory_bytes
        assert (failed.peak_memory_bytes or 0) > 32 * 2**20
    await bench.cleaned(job)


async def test_stop_ends_the_worker_and_then_says_so(bench: AgentBench) -> None:
    await bench.agent()
    job, pid = await sleeping(bench)
    await bench.stop(job)
    await bench.fact(job, FactKind.STOPPED)
    assert not lives(pid)
    assert marked(job.id) == []
    await bench.until(job, Status.FAILED)
    await bench.cleaned(job)


async def test_a_container_that_comes_late_has_nothing_to_bind_before_a_stop_is_confirmed(
    bench: AgentBench, docker_engine: DockerEngine
) -> None:
    image = docker_engine.add_small_image()
    await bench.agent(backend="docker", docker_url=docker_engine.host, worker_image=image)
    job = await bench.run("sleep", "600", image=image)
    await bench.fact(job, FactKind.STARTED)
    assert (bench.attempt(job) / "job.json").exists()
    await bench.stop(job)
    await bench.fact(job, FactKind.STOPPED)
    assert not (bench.attempt(job) / "job.json").exists()
    await bench.until(job, Status.FAILED)
    await bench.cleaned(job)


async def test_a_new_run_of_a_killed_agent_takes_the_running_worker_over(
    bench: AgentBench,
) -> None:
    first = await bench.agent()
    job = await bench.run(
        "sh", "-c", "echo $$ > {output}/pid; while ! test -e go; do sleep 0.02; done; exit 5",
        outputs={"o": {"format": "GENERIC"}},
    )  # fmt: skip
    path = bench.attempt(job) / "output" / "pid"
    pid = await wait_until(lambda: pid_in(path), "the worker to run", within_s=WAIT_S)
    await bench.fact(job, FactKind.STARTED)
    first.kill9()
    assert lives(pid), "a worker outlives its agent"
    await bench.agent()
    (bench.attempt(job) / "work" / "go").touch()
    exited = await bench.fact(job, FactKind.EXITED)
    assert (exited.cause, exited.exit_code) == (Cause.EXIT_CODE, 5)


async def test_a_worker_that_ended_while_no_agent_ran_is_told_by_the_next(
    bench: AgentBench,
) -> None:
    first = await bench.agent()
    job = await bench.run(
        "sh", "-c", "echo $$ > {output}/pid; while ! test -e go; do sleep 0.02; done; exit 6",
        outputs={"o": {"format": "GENERIC"}},
    )  # fmt: skip
    path = bench.attempt(job) / "output" / "pid"
    pid = await wait_until(lambda: pid_in(path), "the worker to run", within_s=WAIT_S)
    await bench.fact(job, FactKind.STARTED)
    first.kill9()
    (bench.attempt(job) / "work" / "go").touch()
    await bench.gone(lambda: lives(pid), "the worker to end")
    await bench.agent()
    assert (await bench.fact(job, FactKind.EXITED)).exit_code == 6


async def test_staged_inputs_lie_beside_the_worker(bench: AgentBench) -> None:
    bench.data.staged = {"rain": {"a/b.txt": b"wet\n"}}
    await bench.agent()
    job = await bench.run("sh", "-c", "cat $HEADRACE_DATASETS/rain/a/b.txt", needs={Need.STAGING})
    assert (await bench.fact(job, FactKind.STAGED)).cause is None
    await bench.launch(job)
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)
    assert (bench.data.store / "logs" / job.id / "1" / "0.out").read_text() == "wet\n"


async def test_a_fact_kept_on_disk_is_told_again_without_doing_it_again(
    bench: AgentBench,
) -> None:
    bench.data.staged = {"rain": {"b.txt": b"wet\n"}}
    first = await bench.agent()
    job = await bench.run("true", needs={Need.STAGING})
    told = await bench.fact(job, FactKind.STAGED)
    first.kill9()
    await bench.redis.command("DEL", f"hr:facts:{N1}")
    bench.data.staged = {}
    await bench.agent()
    assert await bench.fact(job, FactKind.STAGED) == told
    assert bench.data.asked == ["staging"]


async def test_a_damaged_input_ends_the_staging_with_its_name(bench: AgentBench) -> None:
    bench.data.staged = {"rain": {"b.txt": b"wet\n"}}
    bench.data.lies = {"b.txt": "0" * 64}
    await bench.agent()
    job = await bench.run("true", needs={Need.STAGING})
    staged = await bench.fact(job, FactKind.STAGED)
    assert staged.cause is Cause.STAGING
    assert "b.txt" in staged.detail


async def test_outputs_are_collected_with_their_hashes(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run(
        "sh", "-c", "mkdir {output}/d && echo 1 > {output}/d/x.txt",
        needs={Need.COLLECTION}, outputs={"o": {"format": "GENERIC"}},
    )  # fmt: skip
    job = await bench.until(job, Status.AWAITING_COLLECTION)
    collected = await bench.fact(job, FactKind.COLLECTED)
    (output,) = collected.outputs
    assert [(item.path, item.size_bytes) for item in output.items] == [("d/x.txt", 2)]
    assert (bench.data.store / "o" / "d" / "x.txt").read_text() == "1\n"


async def test_an_output_that_points_outside_ends_the_collection(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run(
        "sh", "-c", "ln -s /etc/passwd {output}/x.txt",
        needs={Need.COLLECTION}, outputs={"o": {"format": "GENERIC"}},
    )  # fmt: skip
    job = await bench.until(job, Status.AWAITING_COLLECTION)
    collected = await bench.fact(job, FactKind.COLLECTED)
    assert collected.cause is Cause.COLLECTION
    assert "x.txt" in collected.detail
    assert bench.data.asked == [], "nothing was put into the store"


async def test_an_attempt_without_a_record_is_ended_and_removed(bench: AgentBench) -> None:
    await bench.agent()
    job, pid = await sleeping(bench)
    await bench.redis.command("DEL", f"hr:work:{N1}")
    await bench.gone(lambda: lives(pid) or bench.attempt(job).exists(), "the stale attempt to go")
    assert marked(job.id) == []


async def test_an_attempt_of_another_epoch_is_left_for_an_admin(bench: AgentBench) -> None:
    first = await bench.agent()
    job, pid = await sleeping(bench)
    first.kill9()
    await bench.redis.command("DEL", f"hr:work:{N1}", f"hr:job:{job.id}")
    await bench.redis.command("SET", "hr:epoch", "restored")
    await bench.redis.open()
    second = await bench.agent()
    await wait_until(lambda: second.said("is kept, not removed"), "the quarantine")
    new = await bench.run("true")
    await bench.until(new, Status.COMPLETED)
    await bench.cleaned(new)
    assert lives(pid)
    assert bench.attempt(job).exists()

    second.kill9()
    await bench.agent()
    new = await bench.run("true")
    await bench.until(new, Status.COMPLETED)
    await bench.cleaned(new)
    assert lives(pid), "a new run of the agent does not forget the quarantine"
    assert bench.attempt(job).exists()


async def test_a_second_agent_is_refused_while_the_first_serves(bench: AgentBench) -> None:
    await bench.agent()
    (before,) = await bench.nodes.all()
    # The same state folder, whose lock the first one holds. It looks whether the first one lives
    # for longer than a busy machine may keep that from its renewals.
    second = bench.start(node_lost_s=3.0)
    await wait_until(lambda: second.said("served already"), "the refusal", within_s=WAIT_S)
    (after,) = await bench.nodes.all()
    assert after.registered_ms == before.registered_ms
    job = await bench.run("true")
    await bench.until(job, Status.COMPLETED)


async def test_a_second_agent_takes_over_once_the_first_is_gone(bench: AgentBench) -> None:
    first = await bench.agent()
    second = bench.start(node_lost_s=3.0)  # longer than the first one may be kept from renewals
    await wait_until(lambda: second.said("served already"), "the refusal", within_s=WAIT_S)
    first.kill9()
    await wait_until(lambda: second.said("serves node"), "the second to serve", within_s=WAIT_S)
    job = await bench.run("true")
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)


async def test_an_agent_that_was_called_lost_ends_what_is_stale_and_comes_back(
    bench: AgentBench,
) -> None:
    await bench.agent()
    job, pid = await sleeping(bench)

    async def lost() -> bool:
        (node,) = await bench.nodes.all()
        return await bench.nodes.lose(N1, node.counter, 1)

    await bench.redis.command("DEL", f"hr:work:{N1}")
    await wait_until(lost, "the node to be called lost between two renewals")
    await bench.gone(lambda: lives(pid), "the stale worker to end")

    async def up() -> bool:
        return (await bench.nodes.all())[0].state is NodeState.UP

    await wait_until(up, "the node to come back", within_s=WAIT_S)
    assert await bench.nodes.ledger_errors() == []
    assert not bench.attempt(job).exists()


async def test_an_exclusive_worker_is_killed_while_redis_is_out_of_reach(
    bench: AgentBench, redis_server: RedisServer
) -> None:
    await bench.agent(exclusive_s=1.0)
    free, free_pid = await sleeping(bench)
    job, pid = await sleeping(bench, limits={"exclusive": True})
    redis_server.pause()
    try:
        await bench.gone(lambda: lives(pid), "the exclusive worker to be killed")
        assert lives(free_pid), "others go on"
    finally:
        redis_server.resume()
    exited = await bench.fact(job, FactKind.EXITED)
    assert exited.cause is Cause.ATTEMPT_LOST
    assert "exclusive" in exited.detail
    assert FactKind.EXITED not in await bench.facts(free)


async def test_what_the_watchdog_killed_is_not_the_jobs_fault_for_the_next_agent_either(
    bench: AgentBench, redis_server: RedisServer
) -> None:
    agent = await bench.agent(exclusive_s=1.0)
    job, pid = await sleeping(bench, limits={"exclusive": True})
    redis_server.pause()
    try:
        await bench.gone(lambda: lives(pid), "the exclusive worker to be killed")
        agent.kill9()
    finally:
        redis_server.resume()
    await bench.agent()
    assert (await bench.fact(job, FactKind.EXITED)).cause is Cause.ATTEMPT_LOST


async def test_an_agent_that_ends_in_good_order_says_so_and_one_that_dies_does_not(
    bench: AgentBench,
) -> None:
    async def left() -> bool:
        return (await bench.nodes.all())[0].left

    (await bench.agent()).stop()
    assert await left()
    again = await bench.agent()
    assert not await left()
    again.kill9()
    assert not await left()


async def test_a_log_is_shown_in_pieces_from_any_place(bench: AgentBench) -> None:
    await bench.agent()
    length = 150_000
    job = await bench.run(
        sys.executable,
        "-c",
        f"print('x' * {length - 1}, flush=True); import time; time.sleep(600)",
    )
    path = bench.attempt(job) / "logs" / "0.out"
    await wait_until(lambda: path.exists() and path.stat().st_size == length, "the log")
    for offset in (0, 100_000):
        pieces = await read_log(bench, job.id, "0.out", offset)
        ends = [piece["end"] for piece in pieces]
        assert [piece["offset"] for piece in pieces] == [offset, *ends[:-1]]
        assert ends[-1] == length
        assert [piece["eof"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert "".join(piece["data"] for piece in pieces) == ("x" * (length - 1) + "\n")[offset:]
        assert all(len(piece["data"]) <= 64 * 1024 for piece in pieces)
    (gone,) = await read_log(bench, job.id, "1.out", 0)
    assert (gone["state"], gone["eof"], gone["end"]) == ("gone", True, 0)


async def test_a_followed_log_is_shown_as_it_grows(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run(
        "sh", "-c", "echo one; while ! test -e go; do sleep 0.02; done; echo two"
    )
    await bench.fact(job, FactKind.STARTED)
    replies = LogReplies(bench.redis)
    shown = ""
    async with asyncio.timeout(WAIT_S), aclosing(replies.follow()) as answers:
        async for _, text in answers:
            if not text:
                await replies.ask(want(job.id, "0.out", 0, replies, follow=True))
                continue
            shown += json.loads(text)["data"]
            if shown == "one\n":
                (bench.attempt(job) / "work" / "go").touch()
            elif shown == "one\ntwo\n":
                break
    assert (await bench.fact(job, FactKind.EXITED)).cause is None


async def read_log(bench: AgentBench, job: str, name: str, offset: int) -> list[dict[str, Any]]:
    """Ask as the request service does, until the end of the file as it is."""
    replies = LogReplies(bench.redis)
    pieces: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_S), aclosing(replies.follow()) as answers:
        async for _, text in answers:
            if not text:
                await replies.ask(want(job, name, offset, replies, follow=False))
                continue
            pieces.append(json.loads(text))
            if pieces[-1]["eof"]:
                return pieces
    raise AssertionError("the answers ended")


def want(job: str, name: str, offset: int, replies: LogReplies, *, follow: bool) -> str:
    """What a reader asks of the node's agent."""
    asked = {
        "job": job,
        "attempt": 1,
        "node": N1,
        "name": name,
        "offset": offset,
        "reply": replies.channel("reader"),
        "follow": follow,
        "lease_ms": 10_000,
    }
    return json.dumps(asked)


async def test_what_the_nest_holds_without_a_record_is_ended(bench: AgentBench) -> None:
    first = await bench.agent()
    job, pid = await sleeping(bench)
    first.kill9()
    await bench.write(await bench.jobs.get(job.id), Event.ATTEMPT_LOST, Role.MONITOR,
                      cause=Cause.NODE_LOST)  # fmt: skip
    await bench.redis.command("DEL", f"hr:work:{N1}")
    second = await bench.agent()
    await bench.gone(lambda: lives(pid) or bench.attempt(job).exists(), "the worker to go")
    second.stop()
    backend = ProcessBackend(bench.state / "nest")
    await backend.open()
    held = await backend.list()
    await backend.close()
    assert not held


async def test_an_agent_tells_what_its_machine_has(bench: AgentBench) -> None:
    await bench.agent(gpus=2)

    async def told() -> Inventory | None:
        return (await bench.nodes.inventories([N1])).get(N1)

    has = await wait_until(told, "the inventory", within_s=WAIT_S)
    assert has is not None
    disk = shutil.disk_usage(bench.state)
    assert (has.backend, has.engine, has.gpus, has.disk_bytes) == ("process", "", 2, disk.total)
    assert 0 < has.disk_free_bytes < has.disk_bytes
    assert has.cached == Cached(0, 0, 0)


async def test_ranks_on_one_node_find_their_slots(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run("sh", "-c", "cat $OMPI_MCA_orte_default_hostfile", parallel="mpi")
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)
    log = bench.data.store / "logs" / job.id / "1" / "0.out"
    assert log.read_text() == "localhost slots=1\n"
