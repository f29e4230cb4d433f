"""What attempts leave for later ones in the store: how much is kept, and for whom it counts."""

import pytest

from headrace_adapters.redis.quotas import QuotaStore
from headrace_data.core.keys import checkpoint_key, checkpoints_folder
from headrace_model.ids import JobId
from headrace_model.job import Need
from headrace_model.status import Event, Role
from tests.support.data_service import NODE, DataHarness, World, write_granted
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

JOB = {"command": ["true"], "checkpoint": {}}


async def _running(all_: World) -> JobId:
    await all_.node()
    job = await all_.submit({Need.CHECKPOINT}, JOB)
    await all_.allocate(job)
    await all_.write(job, Event.STARTED, Role.MONITOR)
    return job


async def _leave(data: DataHarness, job: JobId, rank: int, archive: bytes) -> None:
    asked = {"job": job, "attempt": 1, "node": NODE, "rank": rank, "size_bytes": len(archive)}
    answer = await data.ask("POST", "/internal/checkpoints", json=asked)
    assert answer.status == 200, answer.body
    write_granted(answer.json, archive)


async def test_a_checkpoint_counts_for_the_owner_until_its_job_has_ended_for_good(
    all_: World,
) -> None:
    quotas = QuotaStore(all_.redis)

    async def counts(size_bytes: int) -> bool:
        return (await quotas.stored(["ann"]))["ann"] == size_bytes

    async with all_.data() as data:
        job = await _running(all_)
        other = await all_.submit({Need.CHECKPOINT}, JOB)
        await _leave(data, job, 0, b"x" * 1000)
        await _leave(data, job, 1, b"x" * 10)
        assert await counts(1010)
        await _leave(data, job, 0, b"x" * 200)
        await _leave(data, job, 0, b"x" * 200)
        assert await counts(210), "the newest of each rank"
        await all_.write(other, Event.CANCEL, Role.REQUEST)
        assert len(await all_.store.keys(checkpoints_folder(job))) == 2
        await all_.write(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))

        await wait_until(lambda: counts(0), "nothing to count any more")
        assert await all_.store.keys(checkpoints_folder(job)) == []
        await all_.jobs.count_checkpoint(job, 1, 0, 500)
        assert await counts(0), "a late agent's"


async def test_an_attempt_gets_the_newest_of_its_rank_and_the_older_ones_go(all_: World) -> None:
    async with all_.data() as data:
        job = await _running(all_)
        for attempt in (1, 2, 9, 10, 12):
            for rank in (0, 10):
                key = checkpoint_key(job, attempt, rank)
                await all_.store.put_bytes(key, f"{attempt} {rank}".encode())
        path = f"/internal/checkpoints/{job}"
        assert (await data.ask("GET", f"{path}/1/0")).status == 404
        got = await data.ask("GET", f"{path}/12/0")
        assert (got.status, got.body) == (200, b"10 0")
        left = set(await all_.store.keys(checkpoints_folder(job)))
        assert left == {checkpoint_key(job, attempt, 0) for attempt in (10, 12)} | {
            checkpoint_key(job, attempt, 10) for attempt in (1, 2, 9, 10, 12)
        }
