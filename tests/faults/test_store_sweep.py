"""The data service dies in the middle of a sweep of the store; the next one goes on with it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_data.core.keys import DATASETS
from headrace_model.ids import job_id
from tests.support.fault_jobs import CONTENT, FaultJobs
from tests.support.stack import Stack
from tests.support.wait import wait_until

LOOK = "look_at_datasets.page"
_WITHIN_S = 60.0
_NUMBERS = count(1)


@asynccontextmanager
async def swept_stack(folder: Path) -> AsyncIterator[tuple[FaultJobs, DirectoryStore]]:
    """A stack with a job that has made its output, and its store, which is swept all the time."""
    settings = {"store": str(folder / "store"), "store_unnamed_s": "0"}
    stack = Stack(folder / "home", keep_alive=True, sweep_s=0.1, points=True, settings=settings)
    async with stack:
        jobs = FaultJobs(stack, folder / "gates")
        await jobs.prepare()
        yield jobs, DirectoryStore(folder / "store")


async def late(store: DirectoryStore, datasets: int, objects: int) -> set[str]:
    """Objects of datasets that are not in the catalogue."""
    keys = [
        f"{DATASETS}/{job_id(1, next(_NUMBERS))}/1/upload/{sha256(b'%d' % n).hexdigest()}"
        for _ in range(datasets)
        for n in range(objects)
    ]
    await store.put_many(dict.fromkeys(keys, b"late"))
    return set(keys)


async def until(store: DirectoryStore, holds: Callable[[set[str]], bool], what: str) -> None:
    async def found() -> bool:
        return holds(set(await store.keys(DATASETS)))

    await wait_until(found, what, within_s=_WITHIN_S)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_at_the_look_costs_nothing(state_dir: Path, when: str) -> None:
    async with swept_stack(state_dir) as (jobs, store), jobs.client() as client:
        job = await jobs.submit(client, jobs.new_gate(is_open=True))
        await jobs.completed(client, job)
        kept = set(await store.keys(DATASETS))
        jobs.stack.points("data").crash_at(f"{LOOK}.{when}")
        await late(store, 3, 1)
        await wait_until(lambda: jobs.stack.points("data").reached(f"{LOOK}.{when}"), "the kill")
        await until(store, lambda there: there == kept, "only what is named to be left")
        await jobs.check(client, job, stopped=False, most_lost=0)


async def test_a_kill_among_the_removals_leaves_the_rest_to_the_next(state_dir: Path) -> None:
    async with swept_stack(state_dir) as (jobs, store), jobs.client() as client:
        gate = jobs.new_gate()
        job = await jobs.submit(client, gate)
        kept = set(await store.keys(DATASETS))
        killed = 0
        for _ in range(20):
            all_ = kept | await late(store, 200, 3)
            await until(store, all_.__gt__, "the sweep to have begun")
            jobs.stack.kill9("data")
            killed += len(set(await store.keys(DATASETS)) - kept) > 0
            await until(store, lambda there: there == kept, "only what is named to be left")
            if killed == 3:
                break
        assert killed == 3, "the sweep was always quicker than the kill"
        gate.touch()
        await jobs.completed(client, job)
        await jobs.check(client, job, stopped=False, most_lost=0)
        (output,) = (await client.outputs(job)).values()
        (item,) = [each async for each in client.datasets.items(output)]
        assert item["sha256"] == sha256(CONTENT).hexdigest()
