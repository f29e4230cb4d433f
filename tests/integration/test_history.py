"""One history per job: who, what, when, from, to and why; by REST over a real Redis."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_model.cause import Cause
from headrace_model.job import Job
from headrace_model.people import UserRole
from headrace_model.status import Event, Role, Status
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import NODE, Desk, running_desk
from tests.support.soak.checks import replay


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


async def _told(desk: Desk, job: str) -> Any:
    status, said = await desk.call("GET", f"/jobs/{job}/history")
    assert status == 200, said
    return said


async def test_who_did_what_and_why_is_told(desk: Desk) -> None:
    await desk.join_node()
    boss = await token_of(UserStore(desk.redis), "boss", role=UserRole.ADMIN)
    as_boss = {"Authorization": f"Bearer {boss}"}
    job = await desk.submit()
    await desk.call("POST", f"/jobs/{job}:hold", **as_boss)
    await desk.call("POST", f"/jobs/{job}:release")
    share = {"who": "user:bob", "level": "write"}
    for _ in range(2):  # a repeat is success, and no event
        assert (await desk.call("POST", f"/jobs/{job}:share", share))[0] == 200
        assert (await desk.call("POST", f"/jobs/{job}:share", share))[0] == 200
        await desk.call("POST", f"/jobs/{job}:unshare", {"who": "user:bob"}, **as_boss)
    await desk.launch(job)
    await desk.call("POST", f"/jobs/{job}:stop")
    await desk.step(job, Event.STOP, Role.MONITOR, cause=Cause.STOPPED)
    await desk.step(job, Event.END_STOPPED, Role.MONITOR, cause=Cause.STOPPED, returns=(NODE,))
    await desk.call("POST", f"/jobs/{job}:restart", **as_boss)
    await desk.call("POST", f"/jobs/{job}:cancel")

    history = (await _told(desk, job))["history"]
    told = [
        (e["event"], e.get("user") or e["by"], e["attempt"], e.get("detail", "")) for e in history
    ]
    assert told == [
        ("SUBMIT", "ann", 1, ""),
        ("NEEDS_ALLOCATION", "request", 1, ""),
        ("DESIRE_HOLD", "boss", 1, ""),
        ("DESIRE_RUN", "ann", 1, ""),
        ("SHARE", "ann", 1, "user:bob (write)"),
        ("UNSHARE", "boss", 1, "user:bob"),
        ("SHARE", "ann", 1, "user:bob (write)"),
        ("UNSHARE", "boss", 1, "user:bob"),
        ("LAUNCHED", "scheduler", 1, ""),
        ("STARTED", "monitor", 1, ""),
        ("DESIRE_STOP", "ann", 1, ""),
        ("STOP", "monitor", 1, ""),
        ("END_STOPPED", "monitor", 1, ""),
        ("NEEDS_ALLOCATION", "boss", 1, ""),
        ("CANCEL", "ann", 2, ""),
    ]
    nodes = {e["event"]: e["nodes"] for e in history if "nodes" in e}
    assert nodes == {"LAUNCHED": [str(NODE)], "END_STOPPED": [str(NODE)]}
    for before, after in pairwise(history[1:]):
        assert before["to"] == after["from"]
        assert before["at"] <= after["at"]
    state = await desk.redis.command("HGETALL", f"hr:job:{job}")
    assert list(replay(state, history)) == []


async def test_a_job_that_repeats_another_says_so_and_by_whom(desk: Desk) -> None:
    boss = await token_of(UserStore(desk.redis), "boss", role=UserRole.ADMIN)
    job = await desk.submit()
    await desk.call("POST", f"/jobs/{job}:cancel")
    _, said = await desk.call("POST", f"/jobs/{job}:retry", Authorization=f"Bearer {boss}")
    first = (await _told(desk, said["id"]))["history"][0]
    assert (first["user"], first["detail"]) == ("boss", f"repeats job {job}")


async def test_phases_tell_how_long_it_was_where_in_each_attempt(desk: Desk) -> None:
    await desk.join_node()
    job = await desk.submit()
    await desk.launch(job)
    await desk.step(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE, exit_code=3)
    ended: Job = await desk.store.get(job)
    await desk.step(job, Event.RETRY, Role.MONITOR, opens=ended.ask, returns=(NODE,), retries=1)
    await desk.call("POST", f"/jobs/{job}:hold")
    said = await _told(desk, job)
    failed = [each for each in said["history"] if each["event"] == "FAILED"]
    assert [(each["cause"], each["exit_code"]) for each in failed] == [("EXIT_CODE", 3)]
    stays = said["phases"]
    assert [(each["attempt"], each["status"]) for each in stays] == [
        (1, Status.AWAITING_ALLOCATION),
        (1, Status.SCHEDULED),
        (1, Status.RUNNING),
        (1, Status.STOPPING),
        (2, Status.AWAITING_ALLOCATION),
    ]
    for one, other in pairwise(stays):
        assert one["ended"] == other["began"]
    assert stays[-1]["ended"] is None
    assert stays[-1]["seconds"] >= 0
    await desk.call("POST", f"/jobs/{job}:cancel")
    last = (await _told(desk, job))["phases"][-1]
    assert (last["attempt"], last["ended"] is None) == (2, False)
