"""The request service over HTTP, with a real Redis; data service and agent are stand-ins."""

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.packs import PackStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_adapters.redis.users import UserStore
from headrace_client.api import AsyncClient
from headrace_model.cause import Cause
from headrace_model.ids import JobId
from headrace_model.status import Desired, Event, Role, Status
from headrace_wire.packs import write_pack
from headrace_wire.people import decode_user
from tests.support.cut_line import cut_line
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import JOB, NODE, Desk, agent_with, running_desk
from tests.support.wait import wait_until


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


async def test_a_job_that_is_accepted_can_be_read(desk: Desk) -> None:
    status, said = await desk.call("POST", "/jobs", {**JOB, "name": "first"})
    assert status == 201
    assert said["status"] == Status.AWAITING_ALLOCATION
    status, view = await desk.call("GET", f"/jobs/{said['id']}")
    assert (status, view["name"], view["owner"]) == (200, "first", "ann")
    assert view["spec"]["command"] == ["true"]
    _, history = await desk.call("GET", f"/jobs/{said['id']}/history")
    assert [entry["event"] for entry in history["history"]] == ["SUBMIT", "NEEDS_ALLOCATION"]


async def test_without_a_known_token_nothing_is_told(desk: Desk) -> None:
    for shown in ("", "Bearer hrt_wrong", "Basic abc"):
        status, said = await desk.call("GET", "/jobs", None, Authorization=shown)
        assert (status, said["code"]) == (401, "UNAUTHORIZED")


async def test_an_expired_token_is_refused(desk: Desk) -> None:
    token = await token_of(UserStore(desk.redis), "ann", expires_ms=1)
    status, said = await desk.call("GET", "/jobs", None, Authorization=f"Bearer {token}")
    assert (status, said["detail"]) == (401, "this token has expired")


@pytest.mark.parametrize(
    ("path", "hint"),
    [("/jobs?stauts=CLOSED", "did you mean status?"), ("/me?x=1", "nothing is known here")],
)
async def test_a_misspelt_parameter_is_told_and_never_ignored(
    desk: Desk, path: str, hint: str
) -> None:
    status, said = await desk.call("GET", path)
    assert status == 422
    assert hint in said["detail"]


async def test_a_wrong_method_is_told_which_are_right(desk: Desk) -> None:
    url = "http://request/api/v1/me"
    async with desk.session.delete(url) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/page.js"])
async def test_what_tells_of_the_service_is_open_and_told_again_only_when_it_changed(
    desk: Desk, path: str
) -> None:
    nobody = {"Authorization": ""}
    async with desk.session.get(f"http://request{path}", headers=nobody) as answer:
        assert answer.status == 200
        etag = answer.headers["ETag"]
    for names in (etag, f'"other", W/{etag}'):
        headers = {**nobody, "If-None-Match": names}
        async with desk.session.get(f"http://request{path}", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
    headers = {**nobody, "If-None-Match": '"other"'}
    async with desk.session.get(f"http://request{path}", headers=headers) as answer:
        assert answer.status == 200


async def test_the_bare_address_leads_anybody_to_the_page(desk: Desk) -> None:
    nobody = {"Authorization": ""}
    async with desk.session.get(
        "http://request/", headers=nobody, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/docs")
    async with desk.session.get("http://request/", headers=nobody) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_the_page_that_is_shown_a_token_runs_its_own_script_alone(desk: Desk) -> None:
    async with desk.session.get("http://request/docs") as answer:
        policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
    assert "unsafe" not in " ".join(policy)


async def test_a_repeated_submit_with_its_key_makes_one_job(desk: Desk) -> None:
    first = await desk.call("POST", "/jobs", JOB, **{"Idempotency-Key": "k1"})
    again = await desk.call("POST", "/jobs", JOB, **{"Idempotency-Key": "k1"})
    assert first == again
    other = {**JOB, "command": ["false"]}
    status, said = await desk.call("POST", "/jobs", other, **{"Idempotency-Key": "k1"})
    assert (status, said["code"]) == (409, "CONFLICT")


async def test_a_repeat_gets_its_first_answer_though_a_new_job_would_be_refused(
    desk: Desk,
) -> None:
    big = {**JOB, "resources": {"cpus": 64}}
    key, again = {"Idempotency-Key": "k1"}, {"Idempotency-Key": "k2"}
    first = await desk.call("POST", "/jobs", [big, JOB], **key)
    assert first[0] == 201
    job = first[1]["jobs"][0]["id"]
    await desk.call("POST", f"/jobs/{job}:cancel")
    retried = await desk.call("POST", f"/jobs/{job}:retry", **again)
    await desk.join_node()

    async def too_big() -> bool:
        return (await desk.call("POST", "/jobs:validate", big))[0] == 422

    await wait_until(too_big, "the node to be known")
    assert await desk.call("POST", "/jobs", [big, JOB], **key) == first
    assert await desk.call("POST", f"/jobs/{job}:retry", **again) == retried
    status, said = await desk.call("POST", "/jobs", [{**big, "name": "x"}, JOB], **key)
    assert (status, said["code"]) == (409, "CONFLICT")
    assert (await desk.call("POST", "/jobs", big))[0] == 422
    queue = await desk.store.queue()
    assert (await desk.call("POST", "/jobs", [{**JOB, "name": "x"}, JOB, JOB], **key))[0] == 409
    assert await desk.store.queue() == queue


async def test_a_list_with_one_wrong_job_is_refused_as_a_whole(desk: Desk) -> None:
    status, said = await desk.call("POST", "/jobs", [JOB, {**JOB, "command": []}])
    assert status == 422
    assert said["detail"].startswith("job 1 of the list: ")
    assert (await desk.call("GET", "/jobs"))[1]["jobs"] == []
    status, said = await desk.call("POST", "/jobs", [JOB, JOB])
    assert status == 201
    assert len({each["id"] for each in said["jobs"]}) == 2


async def _archive(desk: Desk, job: JobId) -> None:
    """Put a job that is over into a pack, and wait until the service has read it."""
    packs = PackStore(desk.redis)
    records = await packs.records([job])
    (desk.folder / "packs").mkdir()
    (desk.folder / "packs" / "p1").write_bytes(write_pack(records))
    lease = await LeaseStore(desk.redis).acquire(Role.DATA, "me", 600_000)
    assert await packs.remove("p1", records, lease.term) == 1

    async def read() -> bool:
        return (await desk.call("GET", f"/jobs/{job}"))[0] == 200

    await wait_until(read, "the pack to be read", within_s=60.0)


async def test_a_repeat_gets_its_first_answer_though_what_it_waited_for_is_gone(
    desk: Desk,
) -> None:
    gone = await desk.submit()
    waiting, key = {**JOB, "after": [gone]}, {"Idempotency-Key": "k1"}
    taken = await desk.call("POST", "/jobs", waiting, **key)
    assert (taken[0], taken[1]["status"]) == (201, Status.AWAITING_PREREQUISITES)
    await desk.redis.command("DEL", f"hr:job:{gone}")
    assert await desk.call("POST", "/jobs", waiting, **key) == taken
    assert (await desk.call("POST", "/jobs", waiting))[0] == 404


async def test_a_repeat_gets_its_first_answer_though_what_it_waited_for_is_archived(
    desk: Desk,
) -> None:
    await desk.join_node()
    done = await desk.submit()
    waiting, key = {**JOB, "after": [done]}, {"Idempotency-Key": "k1"}
    taken = await desk.call("POST", "/jobs", waiting, **key)
    await desk.call("POST", f"/jobs/{taken[1]['id']}:cancel")
    await desk.launch(done)
    await desk.step(done, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
    await _archive(desk, done)
    assert await desk.call("POST", "/jobs", waiting, **key) == taken
    status, new = await desk.call("POST", "/jobs", waiting)
    assert (status, new["status"]) == (201, Status.AWAITING_ALLOCATION)


async def test_a_list_after_an_archived_job_that_failed_is_refused_as_a_whole(desk: Desk) -> None:
    old = await desk.submit()
    await desk.call("POST", f"/jobs/{old}:cancel")
    await _archive(desk, old)
    waiting = {**JOB, "after": [old]}
    status, said = await desk.call("POST", "/jobs", [JOB, waiting])
    assert (status, said["code"]) == (409, "CONFLICT")
    assert await desk.store.queue() == []
    assert said["detail"].startswith(f"job 1 of the list: after: job {old} ended in ")
    assert (await desk.call("POST", "/jobs:validate", waiting))[0] == 409


@pytest.mark.parametrize("body", [[], [1], "x", 3, None, {"headrace": 1}, {"kind": {}}])
async def test_what_is_no_job_is_a_problem_and_never_a_crash(desk: Desk, body: object) -> None:
    status, said = await desk.call("POST", "/jobs", body)
    assert status == 422, said
    assert said["detail"]


async def test_what_no_node_could_ever_hold_is_refused(desk: Desk) -> None:
    await desk.join_node()
    big = {**JOB, "resources": {"cpus": 64}}
    status, said = await desk.call("POST", "/jobs", big)
    assert (status, said["code"]) == (422, "NEVER_FITS")
    assert (await desk.call("POST", "/jobs:plan", JOB))[1]["backend"] == "process"


async def test_what_the_scheduler_tells_of_its_file_bounds_what_is_taken(desk: Desk) -> None:
    await desk.join_node()
    asked = {**JOB, "resources": {"cpus": 2}}
    pooled = {**JOB, "resources": {"pool": "lagre"}}
    # Nobody has told yet: only the node counts.
    assert (await desk.call("POST", "/jobs:plan", pooled))[0] == 200
    assert (await desk.call("POST", "/jobs:plan", asked))[0] == 200
    lease = await LeaseStore(desk.redis).acquire(Role.SCHEDULER, "me", 600_000)
    text = f"nodes:\n  {NODE}: {{cpus: 1}}\npools:\n  large: [{NODE}]\n"
    await ResourcesStore(desk.redis).publish(text, lease.term)

    async def is_refused() -> bool:
        return (await desk.call("POST", "/jobs", asked))[0] == 422

    await wait_until(is_refused, "what was told to be known")
    _, said = await desk.call("POST", "/jobs", asked)
    assert said["code"] == "NEVER_FITS"
    assert "one node has is 1 CPU" in said["detail"]
    assert "resources.yaml" in said["hint"]
    status, said = await desk.call("POST", "/jobs", pooled)
    assert (status, said["code"], said["hint"]) == (422, "INVALID_SPEC", "did you mean large?")
    assert "resources.pool: there is no pool 'lagre'" in said["detail"]
    job = await desk.submit(resources={"pool": "large"})
    assert (await desk.store.get(JobId(job))).ask.pool == "large"
    _, shown = await desk.call("GET", "/nodes")
    assert [node["pools"] for node in shown["nodes"]] == [["large"]]


async def test_nodes_are_shown_with_what_the_file_gives_and_the_windows_to_come(
    desk: Desk,
) -> None:
    await desk.join_node()
    _, before = await desk.call("GET", "/nodes")
    (node,) = before["nodes"]
    assert (node["usable"], node["maintenance"]) == (node["capacity"], [])
    lease = await LeaseStore(desk.redis).acquire(Role.SCHEDULER, "me", 600_000)
    text = f"""
nodes:
  {NODE}: {{cpus: 1, gpus: 2, generic: {{licence: 3}}}}
maintenance:
  - {{nodes: [{NODE}], from: 2099-01-01T06:00Z, until: 2099-01-01T18:00Z, why: new disks}}
  - {{nodes: [{NODE}], from: 2001-01-01T06:00Z, until: 2001-01-01T18:00Z, why: it is over}}
"""
    await ResourcesStore(desk.redis).publish(text, lease.term)

    async def shown() -> Any:
        _, said = await desk.call("GET", "/nodes")
        return said["nodes"][0] if said["nodes"][0]["usable"]["cpus"] == 1 else None

    node = await wait_until(shown, "the file to be known")
    assert node["usable"] == {
        "cpus": 1, "memory": node["capacity"]["memory"], "gpus": 2, "generic": {"licence": 3}
    }  # fmt: skip
    assert node["free"] == node["usable"]
    window = {"begin": "2099-01-01T06:00:00.000Z", "end": "2099-01-01T18:00:00.000Z"}
    assert node["maintenance"] == [{**window, "why": "new disks"}]


async def test_a_retry_is_refused_what_a_submit_is(desk: Desk) -> None:
    big = {**JOB, "resources": {"cpus": 64}}
    job = await desk.submit(resources={"cpus": 64})
    await desk.call("POST", f"/jobs/{job}:cancel")
    await desk.join_node()

    async def too_big() -> bool:
        return (await desk.call("POST", "/jobs:validate", big))[0] == 422

    await wait_until(too_big, "the node to be known")
    status, said = await desk.call("POST", f"/jobs/{job}:retry")
    assert (status, said["code"]) == (422, "NEVER_FITS")


async def test_a_full_disk_takes_no_new_job(state_dir: Path, redis_server: RedisServer) -> None:
    async with running_desk(
        state_dir, redis_server.url, disk_percent=0, disk_spare_bytes=2**62
    ) as desk:
        status, said = await desk.call("POST", "/jobs", JOB)
        assert (status, said["code"], said["retryable"]) == (503, "UNAVAILABLE", True)


async def test_a_full_redis_takes_no_new_job(desk: Desk) -> None:
    await desk.redis.command("CONFIG", "SET", "maxmemory", 1_000_000)
    try:
        status, said = await desk.call("POST", "/jobs", JOB)
    finally:
        await desk.redis.command("CONFIG", "SET", "maxmemory", 0)
    assert (status, said["code"]) == (503, "UNAVAILABLE")


async def test_a_full_redis_still_answers_a_repeat(desk: Desk) -> None:
    first = await desk.call("POST", "/jobs", JOB, **{"Idempotency-Key": "k1"})
    assert first[0] == 201
    await desk.redis.command("CONFIG", "SET", "maxmemory", 1_000_000)
    try:

        async def full() -> bool:
            # Said before Redis is asked, and no longer by Redis itself.
            status, said = await desk.call("POST", "/jobs", JOB)
            return status == 503 and "no new job is taken" in said["detail"]

        await wait_until(full, "the room to be seen as full")
        again = await desk.call("POST", "/jobs", JOB, **{"Idempotency-Key": "k1"})
    finally:
        await desk.redis.command("CONFIG", "SET", "maxmemory", 0)
    assert again == first


async def test_verbs_act_at_once_on_a_job_that_holds_nothing(desk: Desk) -> None:
    job = await desk.submit()
    for verb, desired, status in (
        ("hold", "HOLD", Status.AWAITING_ALLOCATION),
        ("hold", "HOLD", Status.AWAITING_ALLOCATION),
        ("release", "RUN", Status.AWAITING_ALLOCATION),
        ("stop", "STOP", Status.STOPPED),
        ("stop", "STOP", Status.STOPPED),
        ("restart", "RUN", Status.AWAITING_ALLOCATION),
        ("cancel", "CANCEL", Status.CANCELED),
    ):
        code, view = await desk.call("POST", f"/jobs/{job}:{verb}")
        assert (code, view["desired"], view["status"]) == (200, desired, status), verb
    assert view["attempt"] == 2
    code, said = await desk.call("POST", f"/jobs/{job}:restart")
    assert code == 409
    assert "retry" in said["hint"]
    code, said = await desk.call("POST", f"/jobs/{job}:retry")
    assert code == 201
    assert (await desk.store.get(JobId(said["id"]))).origin == job


async def test_stopping_a_running_job_is_a_wish_for_the_monitor(desk: Desk) -> None:
    await desk.join_node()
    job = await desk.submit()
    await desk.launch(job)
    code, view = await desk.call("POST", f"/jobs/{job}:stop")
    assert (code, view["status"], view["desired"]) == (200, Status.RUNNING, Desired.STOP)
    code, said = await desk.call("POST", f"/jobs/{job}:hold")
    assert (code, "use stop" in said["hint"]) == (409, True)


async def test_a_long_poll_answers_when_the_job_changes(desk: Desk) -> None:
    job = await desk.submit()
    waiting = asyncio.ensure_future(desk.call("GET", f"/jobs/{job}?after_version=1&wait=20"))
    soon = await desk.call("GET", f"/jobs/{job}?after_version=0&wait=20")
    assert soon[1]["version"] == 1
    await desk.call("POST", f"/jobs/{job}:hold")
    async with asyncio.timeout(60):
        status, view = await waiting
    assert (status, view["version"], view["desired"]) == (200, 2, "HOLD")


async def test_lists_page_by_cursor_over_all_statuses(desk: Desk) -> None:
    jobs = [await desk.submit(name=f"job-{number}") for number in range(7)]
    await desk.call("POST", f"/jobs/{jobs[2]}:cancel")
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        _, page = await desk.call("GET", f"/jobs?limit=3&cursor={cursor}")
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"]
    assert seen[0] == jobs[2]
    assert sorted(seen) == sorted(jobs)
    _, page = await desk.call("GET", "/jobs?status=canceled")
    assert [job["id"] for job in page["jobs"]] == [jobs[2]]
    _, page = await desk.call("GET", "/jobs?q=job-5")
    assert [job["id"] for job in page["jobs"]] == [jobs[5]]
    assert (await desk.call("GET", "/jobs?cursor=xx"))[0] == 422


async def test_why_says_what_a_job_waits_for(desk: Desk) -> None:
    first = await desk.submit()
    after = await desk.submit(after=[first])
    _, said = await desk.call("GET", f"/jobs/{after}/why")
    assert said["sentence"] == f"It waits for job {first} to complete."
    assert said["causes"] == [
        {
            "cause": "PREREQUISITE",
            "sentence": f"Job {first} is in MODEL_EXEC:AWAITING_ALLOCATION.",
        }
    ]
    assert f"`headrace jobs why {first}`" in said["hint"]
    status, said = await desk.call("POST", "/jobs", {**JOB, "after": ["0" * 16]})
    assert (status, said["code"]) == (404, "NOT_FOUND")


async def test_datasets_pass_through_with_the_user_and_ranges(desk: Desk) -> None:
    body = bytes(range(256)) * 5000
    url = "http://request/api/v1/datasets/x/items/a%20b/c"
    async with desk.session.put(
        url, data=io.BytesIO(body), headers={"X-Headrace-User": "eve"}
    ) as answer:
        assert answer.status == 201
        passed = await answer.json()
        assert decode_user(passed["user"]).name == "ann"
        assert passed["auth"] == "Bearer " + "i" * 40
    async with desk.session.get(url, headers={"Range": "bytes=1000-"}) as answer:
        assert (answer.status, await answer.read()) == (206, body[1000:])
    async with desk.session.head(url) as answer:
        assert answer.headers["Content-Length"] == str(len(body))
    async with desk.session.get("http://request/api/v1/datasets/none") as answer:
        assert answer.status == 404


async def test_a_followed_log_is_told_as_it_grows_by_one_answer(
    desk: Desk, redis_server: RedisServer
) -> None:
    """The agent's end of the file is that of now: whoever follows goes on listening."""
    await desk.join_node()
    job = await desk.submit()
    await desk.launch(job)
    redis = await asyncio.to_thread(Redis, redis_server.url)
    pubsub = redis.client.pubsub()
    await pubsub.subscribe("hr:logs:want")

    async def first_want() -> dict[str, Any]:
        async for message in pubsub.listen():
            if message["type"] == "message":
                return dict(json.loads(message["data"]))
        raise AssertionError("nobody asked")

    url = f"http://request/api/v1/jobs/{job}/logs?stream=out&follow=true"
    asked = asyncio.ensure_future(first_want())
    async with asyncio.timeout(60), desk.session.get(url) as answer:
        want = await asked
        for offset, data in ((0, ""), (0, "one\n"), (4, "two\n")):
            piece = {"offset": offset, "data": data, "eof": True, "state": "running"}
            await redis.client.publish(want["reply"], json.dumps(piece))
            if data:
                assert await answer.content.readline() == data.encode()
    await pubsub.aclose()
    await redis.close()


async def test_a_followed_log_ends_when_the_job_does(
    desk: Desk, redis_server: RedisServer
) -> None:
    await desk.join_node()
    job = await desk.submit()
    files = {"0.out": b"one\n"}
    async with agent_with(redis_server.url, files):
        url = f"http://request/api/v1/jobs/{job}/logs?stream=out&follow=true"
        async with desk.session.get(url) as answer:
            assert answer.status == 200
            await desk.launch(job)
            assert await answer.content.readline() == b"one\n"
            files["0.out"] += b"two\n"
            await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
            async with asyncio.timeout(60):
                assert await answer.content.read() == b"two\n"


async def test_a_log_that_the_node_has_no_more_comes_from_the_store(
    desk: Desk, redis_server: RedisServer
) -> None:
    await desk.join_node()
    job = await desk.submit()
    await desk.launch(job)
    await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
    shipped = desk.folder / "shipped"
    shipped.mkdir()
    (shipped / "0.out").write_bytes(b"kept\n")
    (shipped / "0.err").write_bytes(b"bad\n")
    async with agent_with(redis_server.url, {}):
        async with desk.session.get(f"http://request/api/v1/jobs/{job}/logs") as answer:
            assert sorted((await answer.read()).splitlines()) == [b"bad", b"kept"]
        url = f"http://request/api/v1/jobs/{job}/logs?stream=out&offset=2"
        async with desk.session.get(url) as answer:
            assert await answer.read() == b"pt\n"


async def test_a_submit_is_kept_when_redis_restarts_meanwhile(
    desk: Desk, redis_server: RedisServer
) -> None:
    await desk.submit()
    redis_server.kill9()
    waiting = asyncio.ensure_future(desk.call("POST", "/jobs", JOB))
    redis_server.start()
    async with asyncio.timeout(60):
        status, said = await waiting
    assert status == 201
    await wait_until(lambda: desk.store.get(JobId(said["id"])), "the job in Redis")


@contextlib.asynccontextmanager
async def _listening(
    state_dir: Path, redis_url: str
) -> AsyncIterator[tuple[Desk, dict[str, str]]]:
    """A desk that listens on TCP too, and the environment in which the CLI finds it."""
    async with (
        running_desk(state_dir, redis_url) as desk,
        cut_line(state_dir / "request.sock") as line,
    ):
        yield (
            desk,
            {
                **os.environ,
                "HEADRACE_HOME": str(state_dir),
                "HEADRACE_URL": line.url,
                "HEADRACE_TOKEN": desk.session.headers["Authorization"].removeprefix("Bearer "),
            },
        )


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _cli(environ: dict[str, str], *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from headrace_client.cli import main; main()", *words),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert "Traceback" not in err.decode(), err.decode()
    return process.returncode, out.decode(), err.decode()


async def test_the_cli_submits_shows_and_steers(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with _listening(state_dir, redis_server.url) as (desk, environ):
        code, out, err = await _cli(environ, "exec", "run", "--name", "hi", "--", "echo", "x")
        assert code == 0, err
        job = out.strip()
        assert (await desk.store.get(JobId(job))).name == "hi"
        code, out, _ = await _cli(environ, "jobs", "list")
        assert (code, job in out, "AWAITING_ALLOCATION" in out) == (0, True, True)
        assert max(map(len, out.splitlines())) <= 100
        assert json.loads((await _cli(environ, "jobs", "info", job, "-o", "json"))[1])["id"] == job
        assert "SUBMIT" in (await _cli(environ, "jobs", "history", job))[1]
        assert (await _cli(environ, "jobs", "hold", job))[0] == 0
        assert (await _cli(environ, "jobs", "cancel", job))[0] == 0
        code, _, err = await _cli(environ, "jobs", "restart", job)
        assert (code, "next: " in err) == (4, True)
        assert (await _cli(environ, "jobs", "watch", job))[0] == 7
        assert (await _cli(environ, "jobs", "info", "0" * 16))[0] == 3
        assert (await _cli({**environ, "HEADRACE_TOKEN": "hrt_no"}, "jobs", "list"))[0] == 6
        assert (await _cli(environ, "nodes", "list"))[0] == 0


async def test_a_followed_run_shows_its_logs_and_exits_as_its_worker(
    state_dir: Path, redis_server: RedisServer
) -> None:
    files = {"0.out": b"to out\n", "0.err": b"to err\n"}
    async with (
        _listening(state_dir, redis_server.url) as (desk, environ),
        agent_with(redis_server.url, files),
    ):
        await desk.join_node()
        running = asyncio.ensure_future(_cli(environ, "exec", "run", "-f", "--", "x"))
        (job,) = await wait_until(
            lambda: desk.store.in_status(Status.AWAITING_ALLOCATION), "the submitted job"
        )
        await desk.launch(job)
        end = {"cause": Cause.EXIT_CODE, "exit_code": 3}
        await desk.step(job, Event.FAILED, Role.MONITOR, **end)
        await desk.step(job, Event.END_FAILED, Role.MONITOR, returns=(NODE,), **end)
        code, out, err = await running
        assert (code, out) == (3, "to out\n")
        assert "to err\n" in err


async def test_a_submit_survives_a_request_service_that_dies_meanwhile(
    state_dir: Path, redis_server: RedisServer
) -> None:
    """The connection breaks after the job was made durable and before the answer came."""
    cut = asyncio.Event()
    async with running_desk(state_dir, redis_server.url) as desk:

        async def hand(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner = await asyncio.open_unix_connection(str(state_dir / "request.sock"))
            pouring = asyncio.ensure_future(_pour(reader, inner[1]))
            if not cut.is_set():
                await inner[0].read(1)  # it has answered, and nobody hears it
                cut.set()
                writer.close()
                inner[1].close()
            else:
                await _pour(inner[0], writer)
            await pouring

        server = await asyncio.start_server(hand, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        token = desk.session.headers["Authorization"].removeprefix("Bearer ")
        async with AsyncClient(f"http://127.0.0.1:{port}", token) as client:
            accepted = await client.submit(JOB)
        assert cut.is_set()
        assert await desk.store.in_status(Status.AWAITING_ALLOCATION) == [accepted.id]
        server.close()


async def test_health_and_metrics_need_no_token(desk: Desk) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        async with desk.session.get(
            f"http://request{path}", headers={"Authorization": ""}
        ) as answer:
            assert answer.status == 200
