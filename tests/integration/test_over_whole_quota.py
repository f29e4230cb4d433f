"""What asks for more than a quota lets anybody use at all is refused at submit, and told why."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.users import UserStore
from headrace_model.quota import parse_quotas
from headrace_model.status import Event, Role
from headrace_model.times import checked_instant, format_instant
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import JOB, Desk, running_desk

HALF = {"resources": {"cpus": 2, "memory": "1GiB"}, "limits": {"time": "1h"}}


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        await made.join_node()
        yield made


@pytest.mark.parametrize(
    ("quota", "asked", "said"),
    [
        ("cpus=2", {"resources": {"cpus": 3}}, "3 CPUs, and ann may use 2 CPUs at a time"),
        ("memory=1GiB", {"resources": {"memory": "2GiB"}}, "2.0 GiB of memory, and ann may use"),
        ("jobs=0", HALF, "ann may use 0 running jobs at a time"),
        (
            "cpu_hours=2/7d",
            {"resources": {"cpus": 3}, "limits": {"time": "1h"}},
            "3 CPU hours (by `limits.time`), and ann may use 2 CPU hours in 7 days",
        ),
        ("cpu_hours=2/7d", {"resources": {"cpus": 1}}, "24 CPU hours (a day's"),
    ],
)
async def test_more_than_a_whole_quota_is_refused_with_what_to_do(
    desk: Desk, quota: str, asked: dict[str, Any], said: str
) -> None:
    quotas = QuotaStore(desk.redis)
    await quotas.change("user", "ann", parse_quotas(quota))
    status, error = await desk.call("POST", "/jobs", {**JOB, **asked})
    assert (status, error["code"]) == (422, "NEVER_FITS")
    assert said in error["detail"]
    assert "ask for less" in error["hint"]
    assert "an admin" in error["hint"]
    status, page = await desk.call("POST", "/jobs:plan", {**JOB, **asked})
    assert (status, page["outcome"]) == (200, "NEVER")
    assert said in page["sentence"]
    assert page["placement"]["hint"] == error["hint"]


@pytest.mark.parametrize("quota", ["cpus=2", "memory=1GiB", "jobs=1", "cpu_hours=2/7d"])
async def test_what_asks_for_just_as_much_as_the_quota_is_taken(desk: Desk, quota: str) -> None:
    await QuotaStore(desk.redis).change("user", "ann", parse_quotas(quota))
    await desk.submit(**HALF)


async def test_the_quota_of_a_group_counts_for_its_members_alone(desk: Desk) -> None:
    zoe = await token_of(UserStore(desk.redis), "zoe", groups=("models",))
    await QuotaStore(desk.redis).change("group", "models", parse_quotas("cpus=1"))
    headers = {"Authorization": f"Bearer {zoe}"}
    status, error = await desk.call("POST", "/jobs", {**JOB, **HALF}, **headers)
    assert (status, error["code"]) == (422, "NEVER_FITS")
    assert "the members of group models together may use 1 CPU at a time" in error["detail"]
    await desk.submit(**HALF)


async def test_a_plan_after_a_job_that_has_failed_says_never_and_after_a_live_one_waits(
    desk: Desk,
) -> None:
    first = await desk.submit()
    status, page = await desk.call("POST", "/jobs:plan", {**JOB, "after": [first]})
    assert (status, page["outcome"]) == (200, "WAITS")
    await desk.call("POST", f"/jobs/{first}:cancel")
    status, page = await desk.call("POST", "/jobs:plan", {**JOB, "after": [first]})
    assert (status, page["outcome"]) == (200, "NEVER")
    assert "will never complete" in page["sentence"]


async def test_a_plan_after_a_running_job_tells_when_that_ends(
    desk: Desk,
) -> None:
    first = await desk.submit(**HALF)
    running = await desk.launch(first)
    status, page = await desk.call("POST", "/jobs:plan", {**JOB, "after": [first]})
    assert (status, page["outcome"]) == (200, "WAITS")
    ends = format_instant(checked_instant(running.entered_ms + 3_600_000))
    assert page["sentence"] == (
        f"It waits for job {first} to complete, which runs; its time limit ends it at {ends}."
    )


async def test_a_plan_tells_the_job_that_is_still_to_complete_and_not_one_that_has(
    desk: Desk,
) -> None:
    done, open_one = await desk.submit(), await desk.submit()
    await desk.launch(done)
    await desk.step(done, Event.COMPLETED, Role.MONITOR)
    _, page = await desk.call("POST", "/jobs:plan", {**JOB, "after": [done, open_one]})
    assert page["sentence"] == f"It waits for job {open_one} to complete."
