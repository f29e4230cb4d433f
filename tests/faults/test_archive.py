"""Archiving: whoever dies in the middle of it, each job is there once, and answers as before."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from headrace_client.api import AsyncClient
from headrace_model.errors import HeadraceError
from headrace_model.status import Status
from headrace_wire.packs import read_pack
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RETENTION_S = 1.0
_WITHIN_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(run_root: Path) -> AsyncIterator[Stack]:
    """A stack that archives what has been over for a second."""
    folder = run_root / "archive"
    folder.mkdir()
    settings = {"retention_days": str(_RETENTION_S / 86_400)}
    async with Stack(folder / "home", keep_alive=True, points=True, settings=settings) as made:
        yield made


def _job(script: str, **keys: Any) -> Mapping[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": "old",
        "command": ["sh", "-c", script],
        "resources": {"cpus": "100m", "memory": "32MiB"},
        **keys,
    }


_OUTPUT = _job(
    "echo said; echo made > {output}/a.txt",
    outputs={"made": {"category": "OUTPUT", "format": "GENERIC"}},
)


async def _in_redis(stack: Stack, *jobs: str) -> list[str]:
    async with stack.redis() as redis:
        there = await redis.commands([("EXISTS", f"hr:job:{job}") for job in jobs])
    return [job for job, is_there in zip(jobs, there, strict=True) if is_there]


async def _archived(stack: Stack, *jobs: str) -> None:
    async def gone() -> bool:
        return not await _in_redis(stack, *jobs)

    await wait_until(gone, "the jobs to leave Redis", within_s=_WITHIN_S)


async def _over(client: AsyncClient, *scripts: str) -> list[str]:
    jobs = [(await client.submit(_job(script))).id for script in scripts]
    for job in jobs:
        await client.ended(job)
    return jobs


async def _whole(client: AsyncClient) -> bool:
    return (await client.jobs(limit=1)).incomplete is None


async def _listed(client: AsyncClient) -> list[str]:
    """All jobs that the list has, once it says that it is whole."""
    await wait_until(lambda: _whole(client), "the list to be whole", within_s=_WITHIN_S)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await client.jobs(cursor=cursor, limit=100)
        assert page.incomplete is None
        found += [job.id for job in page.jobs]
        cursor = page.cursor
    return found


def _packs(stack: Stack) -> dict[str, list[str]]:
    """The packs in the store and their jobs."""
    folder = stack.home.store / "archive"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.name: [each.id for each in read_pack(file.read_bytes())] for file in files}


async def _check_whole(stack: Stack, client: AsyncClient, jobs: list[str]) -> None:
    """Each job is listed once, is in one pack, and replays to its end."""
    listed = await _listed(client)
    assert len(listed) == len(set(listed))
    assert set(jobs) <= set(listed)
    packed = [job for pack in _packs(stack).values() for job in pack]
    assert sorted(job for job in packed if job in jobs) == sorted(jobs)
    for job in jobs:
        view = await client.job(job)
        history = await client.history(job)
        assert view.status is Status.COMPLETED
        assert history[-1].to == view.status
        assert history[-1].version == view.version
        assert [entry.version for entry in history[1:]] == list(range(1, view.version + 1))


async def test_an_archived_job_answers_as_before(stack: Stack) -> None:
    async with stack.client() as client:
        job = (await client.submit(_OUTPUT, key="once")).id
        before = await client.ended(job)
        history, outputs = await client.history(job), await client.outputs(job)
        await _archived(stack, job)

        assert (await client.submit(_OUTPUT, key="once")).id == job
        assert await client.job(job) == before
        assert await client.history(job) == history
        assert await client.outputs(job) == outputs
        assert [item["path"] async for item in client.datasets.items(outputs["made"])] == ["a.txt"]
        assert [part async for part in client.log(job, stream="out")] == [b"said\n"]
        assert await client.ended(job) == before
        assert (await client.why(job)).status == before.status
        for page in (
            await client.jobs(q=job),
            await client.jobs(q="old", status=("COMPLETED",)),
            await client.jobs(status=("CLOSED",), kind="command", owner=before.owner),
        ):
            (found,) = [each for each in page.jobs if each.id == job]
            assert found.outputs == before.outputs
            assert (found.entered, found.allocation) == (before.entered, before.allocation)
        assert not [
            each for each in (await client.jobs(status=("FAILED",))).jobs if each.id == job
        ]


async def test_archived_jobs_are_in_the_lineage_of_what_they_took_and_made(stack: Stack) -> None:
    async with stack.client() as client:
        first = (await client.submit(_OUTPUT)).id
        await client.ended(first)
        made = (await client.outputs(first))["made"]
        name = (await client.datasets.get(made))["name"]
        # Whatever else there is: the newest of what fits is chosen.
        takes = {"made": {"category": "OUTPUT", "format": "GENERIC", "domain": {}}}
        second = (await client.submit(_job("true", inputs=takes))).id
        await client.ended(second)
        await _archived(stack, first, second)
        await wait_until(lambda: _whole(client), "the list to be whole", within_s=_WITHIN_S)
        took = (await client.lineage(second, depth=1)).edges
        assert [(each.target, each.name) for each in took if each.attempt is None] == [
            (second, "made")
        ]
        before = await client.datasets.lineage(made)
        assert {first, made} <= {node.id for node in before.nodes}
        (edge,) = [each for each in before.edges if each.target == made]
        assert (edge.source, edge.name, edge.attempt) == (first, "made", 1)
        source = took[0].source
        after = await client.datasets.lineage(source)
        assert second in [node.id for node in after.nodes]

        await client.datasets.delete(made)
        (gone,) = [node for node in (await client.lineage(first)).nodes if node.id == made]
        assert (gone.name, gone.state) == (f"{name} v1", "DELETED")


async def test_what_is_archived_stays_as_it_is_and_can_be_built_upon(stack: Stack) -> None:
    async with stack.client() as client:
        first, failed = await _over(client, "true", "exit 3")
        await _archived(stack, first, failed)
        with pytest.raises(HeadraceError, match="is over"):
            await client.desire(first, "cancel")
        with pytest.raises(HeadraceError, match="archived"):
            await client.share(first, "everyone")

        again = (await client.retry(failed)).id
        ended = await client.ended(again)
        assert (ended.origin, ended.status, ended.exit_code) == (failed, Status.FAILED, 3)

        next_one = (await client.submit(_job("true", after=[first]))).id
        assert (await client.ended(next_one)).status is Status.COMPLETED
        with pytest.raises(HeadraceError, match="will never complete"):
            await client.submit(_job("true", after=[failed]))
        with pytest.raises(HeadraceError, match="there is no job"):
            await client.submit(_job("true", after=["0" * 16]))


async def test_a_job_that_another_waits_for_stays_until_that_is_over(
    stack: Stack, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with stack.client() as client:
        first = (await client.submit(_job("true"))).id
        slow = (await client.submit(_job(f"while [ ! -e {gate} ]; do sleep 0.05; done"))).id
        waits = (await client.submit(_job("true", after=[first, slow]))).id
        await client.ended(first)
        # A job that was over later is archived: so was the turn of the first one.
        (later,) = await _over(client, "true")
        await _archived(stack, later)
        assert await _in_redis(stack, first) == [first]
        gate.touch()
        assert (await client.ended(waits)).status is Status.COMPLETED
        await _archived(stack, first, slow, waits)


@pytest.mark.parametrize("point", ["archive_jobs.before", "archive_jobs.after"])
async def test_a_data_service_that_dies_while_it_archives_loses_and_doubles_nothing(
    stack: Stack, point: str
) -> None:
    async with stack.client() as client:
        stack.points("data").crash_at(point)
        jobs = await _over(client, "true", "true", "true")
        await wait_until(
            lambda: stack.points("data").reached(point), "the death", within_s=_WITHIN_S
        )
        await _archived(stack, *jobs)
        await _check_whole(stack, client, jobs)


async def test_a_request_service_that_is_killed_meanwhile_catches_up(stack: Stack) -> None:
    async with stack.client() as client:
        jobs = await _over(client, "true", "true")
        stack.kill9("request")
        more = await _over(client, "true", "true")
        stack.kill9("request")
        await _archived(stack, *jobs, *more)
        stack.kill9("request")
        await _check_whole(stack, client, [*jobs, *more])


async def test_a_lost_read_model_is_rebuilt_from_redis_and_packs(stack: Stack) -> None:
    async with stack.client() as client:
        jobs = await _over(client, "true", "exit 1", "true")
        await _archived(stack, *jobs)
        live = (await client.submit(_job("true", start_not_before="2999-01-01"))).id
        before = await _listed(client)
        assert {*jobs, live} <= set(before)
        stack.kill9("request")
        for file in stack.home.state_of("request").glob("jobs.sqlite*"):
            file.unlink()
        assert await _listed(client) == before
        await client.desire(live, "cancel")


async def test_a_restored_redis_with_an_archived_job_archives_it_again_without_a_new_pack(
    stack: Stack,
) -> None:
    async with stack.client() as client:
        stack.points("data").hold_at("archive_jobs.before")  # its turn comes a second later
        (job,) = await _over(client, "true")
        await wait_until(
            lambda: stack.points("data").reached("archive_jobs.before"),
            "the pack to be in the store",
            within_s=_WITHIN_S,
        )
        keys = (f"hr:job:{job}", f"hr:history:{job}", f"hr:attempt:{job}.1")
        async with stack.redis() as redis:
            fields = await redis.command("HGETALL", keys[0])
            lines = await redis.command("LRANGE", keys[1], 0, -1)
            attempt = await redis.command("HGETALL", keys[2])
        stack.points("data").let_go("archive_jobs.before")
        await _archived(stack, job)
        (pack,) = [name for name, jobs in _packs(stack).items() if job in jobs]
        packs = _packs(stack).keys()
        # As from a backup of before: the job is there, its pack's name is not.
        async with stack.redis() as redis:
            await redis.command("ZREM", "hr:packs", pack)
            await redis.command("HSET", keys[0], *(x for pair in fields.items() for x in pair))
            await redis.command("RPUSH", keys[1], *lines)
            if attempt:
                await redis.command("HSET", keys[2], *(x for p in attempt.items() for x in p))
            status = f"hr:status:{fields['status']}"
            await redis.command("ZADD", status, fields["entered_ms"], job)
        stack.kill9("request", "data")
        await _archived(stack, job)
        await _check_whole(stack, client, [job])
        assert _packs(stack).keys() == packs


async def test_live_followers_may_name_archived_jobs(stack: Stack) -> None:
    async with stack.client() as client:
        (job,) = await _over(client, "true")
        await _archived(stack, job)
        headers = {"Authorization": f"Bearer {stack.token}"}
        async with (
            ClientSession(headers=headers) as session,
            session.ws_connect(f"{stack.url}/api/v1/ws") as socket,
        ):
            await socket.receive(timeout=_WITHIN_S)
            follow = {"op": "follow", "id": "a", "topic": "jobs", "jobs": [job]}
            await socket.send_str(json.dumps(follow))
            told = json.loads((await socket.receive(timeout=_WITHIN_S)).data)
            assert [each["id"] for each in told["jobs"]] == [job]
