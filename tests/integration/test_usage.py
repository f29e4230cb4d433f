"""What workers used, as the request service tells it: from the node, else from the store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_model.cause import Cause
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Allocation, Resources, Share
from headrace_model.status import Event, Role
from headrace_model.usage import Sample
from headrace_wire.records import encode
from headrace_wire.usage import LIMIT, write_sample
from tests.support.redis_server import RedisServer
from tests.support.request_desk import NODE, Desk, agent_with, running_desk

SECOND = 1_000
BEGAN_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as found:
        await found.join_node()
        yield found


def lines(*samples: Sample) -> bytes:
    return "".join(map(write_sample, samples)).encode()


REPORT = ("run_s", "time_limit_s", "efficiency", "estimate", "advice")
TAKEN = lines(
    Sample(BEGAN_MS, 1_000, 70, 1, 2),
    Sample(BEGAN_MS + 5 * SECOND, 6_500, 90, 3, 4, 5, 6),
    Sample(BEGAN_MS + 10 * SECOND, 16_000, 80, 7, 8, 9, 10),
)


async def usage(desk: Desk, job: JobId, query: str = "", status: int = 200) -> Any:
    answered, said = await desk.call("GET", f"/jobs/{job}/usage{query}")
    assert answered == status, said
    return said


async def shipped(desk: Desk, name: str, text: bytes) -> None:
    (desk.folder / "shipped").mkdir(exist_ok=True)
    (desk.folder / "shipped" / name).write_bytes(text)


async def complete(desk: Desk, job: JobId) -> None:
    await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,), peak_memory_bytes=95)


async def test_a_running_jobs_samples_come_from_its_node(
    desk: Desk, redis_server: RedisServer
) -> None:
    job = await desk.submit()
    held = (await desk.launch(job)).ask.resources
    await shipped(desk, "0.usage", lines(Sample(1, 1, 1, 1, 1)))
    async with agent_with(redis_server.url, {"0.usage": TAKEN + b"1700000015000 17"}):
        said = await usage(desk, job)
        newer = await usage(desk, job, "?since=2023-11-14T22:13:25.000Z")
    samples = said["ranks"][0].pop("samples")
    for each in (said, newer):
        assert [each.pop(key) for key in REPORT] == [None, None, None, None, []]
    used = {
        "cpus": held.millicpus / 1000, "memory": held.memory_bytes,
        "cpu_s": 16.0, "mean_cpus": 1.5, "peak_memory": 90,
    }  # fmt: skip
    assert said["ranks"] == [{"rank": 0, "node": NODE, **used}]
    assert said == {"job": job, "attempt": 1, **used, "workers": 1, "ranks": said["ranks"]}
    assert [each["at"][-9:] for each in samples] == ["3:20.000Z", "3:25.000Z", "3:30.000Z"]
    assert samples[1] == {
        "at": "2023-11-14T22:13:25.000Z", "cpu_s": 6.5, "memory": 90, "read": 3, "written": 4,
        "received": 5, "sent": 6,
    }  # fmt: skip
    assert (samples[0]["received"], samples[0]["sent"]) == (None, None)
    assert newer["ranks"][0].pop("samples") == samples[2:]
    assert newer == said


async def test_of_a_job_that_ended_the_store_is_asked_first(
    desk: Desk, redis_server: RedisServer
) -> None:
    job = await desk.submit()
    await desk.launch(job)
    await complete(desk, job)
    async with agent_with(redis_server.url, {"0.usage": TAKEN}):
        not_yet_shipped = await usage(desk, job)
        await shipped(desk, "0.usage", TAKEN[: TAKEN.index(b"\n") + 1])
        assert [each["cpu_s"] for each in (not_yet_shipped, await usage(desk, job))] == [16.0, 1.0]
    assert not_yet_shipped["peak_memory"] == 95, "its exit told so, between two samples"
    assert not_yet_shipped["ranks"][0]["peak_memory"] == 90


async def test_memory_that_attempts_had_to_raise_is_asked_of_the_file(desk: Desk) -> None:
    job = await desk.submit(resources={"memory": "50MiB"})
    held = (await desk.launch(job)).ask
    await complete(desk, job)
    assert not [each for each in (await usage(desk, job))["advice"] if "50.0 MiB" in each]
    raised = replace(held, resources=replace(held.resources, memory_bytes=100 * 2**20))
    await desk.redis.command("HSET", f"hr:job:{job}", "ask", encode(raised))
    (told,) = [each for each in (await usage(desk, job))["advice"] if "memory" in each]
    assert "ran out of the 50.0 MiB" in told


async def test_the_hint_of_a_failure_names_the_job(desk: Desk) -> None:
    job = await desk.submit()
    await desk.launch(job)
    await shipped(desk, "0.err", b"giving up\n")
    end: dict[str, Any] = {"cause": Cause.EXIT_CODE, "exit_code": 3, "detail": "worker 0 left"}
    await desk.step(job, Event.FAILED, Role.MONITOR, **end)
    await desk.step(job, Event.END_FAILED, Role.MONITOR, returns=(NODE,), **end)
    _, why = await desk.call("GET", f"/jobs/{job}/why")
    assert why["triage"]["lines"] == ["giving up"]
    assert why["triage"]["line"] == ""
    assert f"`headrace jobs logs {job}`" in why["triage"]["hint"]


async def test_a_node_that_is_silent_leaves_what_was_shipped(desk: Desk) -> None:
    job = await desk.submit()
    await desk.launch(job)
    assert (await usage(desk, job))["ranks"][0]["samples"] == []
    await shipped(desk, "0.usage", TAKEN)
    assert (await usage(desk, job))["cpu_s"] == 16.0


async def test_a_job_without_a_node_has_used_nothing(desk: Desk) -> None:
    job = await desk.submit()
    assert await usage(desk, job) == {
        "job": job, "attempt": 1, "cpus": 0, "memory": 0, "cpu_s": None, "mean_cpus": None,
        "peak_memory": None, "workers": 0, "ranks": [], **dict.fromkeys(REPORT), "advice": [],
    }  # fmt: skip


async def test_of_many_workers_some_are_shown_and_their_samples_are_few(
    desk: Desk, redis_server: RedisServer
) -> None:
    job = await desk.submit()
    await desk.launch(job)
    full = lines(*(Sample(BEGAN_MS + n * SECOND, n, n, 0, 0) for n in range(LIMIT)))
    one = Resources(1_000, 2**20)
    shares = tuple(Share(NodeId(f"n{number}"), one) for number in range(40))
    held = encode(Allocation(shares))
    await desk.redis.command("HSET", f"hr:job:{job}", "allocation", held)
    async with agent_with(redis_server.url, {f"{rank}.usage": full for rank in range(40)}):
        said = await usage(desk, job)
        assert said["workers"] == 40
        assert [each["rank"] for each in said["ranks"]] == list(range(32))
        assert sum(len(each["samples"]) for each in said["ranks"]) <= 8_000
        assert said["cpus"] == 32.0
        assert said["peak_memory"] == 32 * (LIMIT - 1)
        said = await usage(desk, job, "?rank=39")
        assert (said["cpus"], said["workers"]) == (1.0, 40)
        (last,) = said["ranks"]
        assert (last["rank"], last["node"], len(last["samples"])) == (39, "n39", LIMIT)
        await usage(desk, job, "?rank=40", status=422)


@pytest.mark.parametrize(
    ("query", "status"),
    [("?attempt=2", 404), ("?attempt=0", 422), ("?since=now", 422), ("?rank=-1", 422)],
)
async def test_what_is_asked_wrongly_is_refused(desk: Desk, query: str, status: int) -> None:
    await usage(desk, await desk.submit(), query, status=status)
