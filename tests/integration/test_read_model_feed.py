"""Lists of jobs from the read model: never late for a client, whole after whatever happened."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, UnixConnector

from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.packs import PackStore
from headrace_adapters.redis.users import UserStore
from headrace_model.ids import JobId, job_id
from headrace_model.people import UserRole
from headrace_model.status import Role
from headrace_wire.packs import write_pack
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import Desk, running_desk
from tests.support.wait import wait_until

_NOBODYS = job_id(1, 1)  # an id that Redis has never seen


def _forge(folder: Path) -> None:
    """Put a job into a closed file that Redis does not have: only a whole reading drops it."""
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as db, db:
        db.execute(
            "INSERT INTO jobs(id, name, kind, owner, status, entered_ms, shared) "
            "SELECT ?, 'x', kind, owner, status, 1, '' FROM jobs LIMIT 1",
            (_NOBODYS,),
        )


def _rows(folder: Path) -> list[tuple[Any, ...]]:
    """All that the file knows of jobs, its own numbers left out."""
    query = """
        SELECT id, name, k.word, o.word, s.word, entered_ms, shared FROM jobs
        JOIN words k ON k.n = kind JOIN words o ON o.n = owner JOIN words s ON s.n = status
        ORDER BY id
    """
    with closing(sqlite3.connect(folder / "jobs.sqlite")) as db:
        return db.execute(query).fetchall()


async def _listed(desk: Desk, query: str = "") -> list[str]:
    status, said = await desk.call("GET", f"/jobs{query}")
    assert status == 200, said
    return [job["id"] for job in said["jobs"]]


async def test_what_a_client_has_done_is_in_its_next_list(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        for number in range(20):
            job = await desk.submit(name=f"job-{number}")
            assert (await _listed(desk))[0] == job
            await desk.call("POST", f"/jobs/{job}:cancel")
            assert job in await _listed(desk, "?status=CANCELED")
            assert job not in await _listed(desk, "?status=AWAITING_ALLOCATION")
        assert len(await _listed(desk, "?q=JOB-1")) == 11


async def test_what_others_have_done_is_in_the_next_list_too(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        eve = await token_of(UserStore(desk.redis), "eve", UserRole.USER)
        async with ClientSession(
            connector=UnixConnector(str(state_dir / "request.sock")),
            headers={"Authorization": f"Bearer {eve}"},
        ) as session:
            hers = Desk(session, desk.redis, state_dir)
            job = await desk.submit()
            assert await _listed(hers) == []
            share = {"who": "user:eve"}
            await desk.call("POST", f"/jobs/{job}:share", share)
            assert await _listed(hers) == [job]
            await desk.call("POST", f"/jobs/{job}:unshare", share)
            assert await _listed(hers) == []


async def test_a_service_that_starts_again_goes_on_where_it_was(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        first = [await desk.submit(name=f"job-{number}") for number in range(3)]
        assert len(await _listed(desk)) == 3
    _forge(state_dir)
    async with running_desk(state_dir, redis_server.url) as desk:
        # What was done meanwhile, and what is done now, comes by events.
        await desk.call("POST", f"/jobs/{first[0]}:cancel")
        assert set(await _listed(desk)) == set(first)
    assert _NOBODYS in [row[0] for row in _rows(state_dir)]


async def test_a_service_that_missed_events_reads_all_and_is_as_one_that_begins_anew(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        jobs = [await desk.submit(name=f"job-{number}") for number in range(4)]
        await desk.call("POST", f"/jobs/{jobs[1]}:hold")
        assert len(await _listed(desk)) == 4
    _forge(state_dir)
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.call("POST", f"/jobs/{jobs[2]}:cancel")
        await desk.redis.command("XTRIM", "hr:events", "MAXLEN", 0)
        share = {"who": "everyone"}
        await desk.call("POST", f"/jobs/{jobs[3]}:share", share)
        assert set(await _listed(desk)) == set(jobs)
    found = _rows(state_dir)
    assert _NOBODYS not in [row[0] for row in found]
    (state_dir / "jobs.sqlite").unlink()
    async with running_desk(state_dir, redis_server.url) as desk:
        assert set(await _listed(desk)) == set(jobs)
    assert _rows(state_dir) == found


async def test_another_epoch_has_all_read_again(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.submit()
        assert len(await _listed(desk)) == 1
    _forge(state_dir)
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.redis.command("SET", "hr:epoch", "another")
    async with running_desk(state_dir, redis_server.url) as desk:
        assert len(await _listed(desk)) == 1
    assert _NOBODYS not in [row[0] for row in _rows(state_dir)]


async def test_an_event_that_this_redis_never_had_has_all_read_again(
    state_dir: Path, redis_server: RedisServer
) -> None:
    """An older Redis of the same epoch: the file's place is not in its events."""
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.submit()
        assert len(await _listed(desk)) == 1
    _forge(state_dir)
    with closing(sqlite3.connect(state_dir / "jobs.sqlite")) as db, db:
        (at,) = db.execute("SELECT value FROM notes WHERE name = 'at'").fetchone()
        ms, _, _ = at.partition("-")
        lost = f"{int(ms) - 1}-77"  # below the newest event, and none that there is
        db.execute("UPDATE notes SET value = ? WHERE name = 'at'", (lost,))
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.submit()
        assert len(await _listed(desk)) == 2
    assert _NOBODYS not in [row[0] for row in _rows(state_dir)]


async def test_a_file_that_breaks_under_the_service_is_made_anew(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        jobs = [await desk.submit(name=f"job-{number}") for number in range(3)]
        assert len(await _listed(desk)) == 3
        with closing(sqlite3.connect(state_dir / "jobs.sqlite")) as db, db:
            db.execute("DROP TABLE places")

        async def whole() -> bool:
            status, said = await desk.call("GET", "/jobs")
            if status != 200:
                assert (status, said["retryable"]) == (503, True)
                return False
            return {job["id"] for job in said["jobs"]} == set(jobs)

        await wait_until(whole, "the list to be whole again", within_s=60.0)


async def test_a_list_waits_for_redis_to_come_back(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        await desk.submit()
        await asyncio.to_thread(redis_server.kill9)
        asked = asyncio.ensure_future(desk.call("GET", "/jobs"))
        await asyncio.to_thread(redis_server.start)
        status, said = await asked
        assert (status, len(said["jobs"])) == (200, 1)


async def test_many_at_once_lose_nothing(state_dir: Path, redis_server: RedisServer) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        store = JobStore(desk.redis)
        made = await asyncio.gather(*(desk.submit(name=f"job-{n}") for n in range(150)))
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            _, said = await desk.call("GET", f"/jobs?limit=40&cursor={cursor}")
            seen += [job["id"] for job in said["jobs"]]
            cursor = said["cursor"]
        assert sorted(seen) == sorted(made)
        assert len(await store.get_many([JobId(job) for job in seen])) == 150


async def test_a_list_names_a_pack_that_cannot_be_read_for_as_long_as_there_is_one(
    state_dir: Path, redis_server: RedisServer
) -> None:
    (state_dir / "packs").mkdir()
    (state_dir / "packs" / "p1").write_bytes(b"no pack")
    async with running_desk(state_dir, redis_server.url) as desk:
        job = await desk.submit()
        await desk.call("POST", f"/jobs/{job}:cancel")
        packs = PackStore(desk.redis)
        lease = await LeaseStore(desk.redis).acquire(Role.DATA, "me", 600_000)
        await packs.remove("p1", await packs.records([job]), lease.term)

        async def named() -> bool:
            said = (await desk.call("GET", "/jobs"))[1]["incomplete"]
            return bool(said == "packs of archived jobs can't be read: p1")

        await wait_until(named, "the pack to be named", within_s=30.0)
        assert (await desk.call("GET", f"/jobs/{_NOBODYS}"))[0] == 404, "not one to wait for"
        await packs.forget("p1", lease.term)
        assert (await desk.call("GET", "/jobs"))[1]["incomplete"] is None


async def test_a_list_says_that_archived_jobs_are_missing_until_they_are_read(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url) as desk:
        job, live = await desk.submit(name="old"), await desk.submit(name="live")
        await desk.call("POST", f"/jobs/{job}:cancel")
        _, before = await desk.call("GET", f"/jobs/{job}")
        packs = PackStore(desk.redis)
        records = await packs.records([job])
        lease = await LeaseStore(desk.redis).acquire(Role.DATA, "me", 600_000)
        assert await packs.remove("p1", records, lease.term) == 1

        # The store is away: what is said is true, and says what it lacks.
        _, said = await desk.call("GET", "/jobs")
        assert [each["id"] for each in said["jobs"]] == [live]
        assert said["incomplete"] == "1 of 1 packs of archived jobs are still to be read"
        status, said = await desk.call("GET", f"/jobs/{job}")
        assert (status, said["retryable"]) == (503, True)
        status, said = await desk.call("GET", f"/jobs/{_NOBODYS}")
        assert status == 503

        (state_dir / "packs").mkdir()
        part = state_dir / "packs" / "part"
        part.write_bytes(write_pack(records))
        part.rename(part.with_name("p1"))

        async def whole() -> bool:
            return (await desk.call("GET", "/jobs"))[1]["incomplete"] is None

        await wait_until(whole, "the pack to be read", within_s=60.0)
        assert set(await _listed(desk)) == {job, live}
        assert await desk.call("GET", f"/jobs/{job}") == (200, before)
        assert (await desk.call("GET", f"/jobs/{_NOBODYS}"))[0] == 404
        await packs.forget("p1", lease.term)
        assert await _listed(desk) == [live]
        assert (await desk.call("GET", f"/jobs/{job}"))[0] == 404
