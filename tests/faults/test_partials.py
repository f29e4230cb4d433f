"""What a failed attempt had written is kept to be looked at, whoever dies; it is no result."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_client.cli.partials import read_partials
from headrace_model.errors import Conflict
from headrace_model.status import Status
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_WITHIN_S = 90.0
_KEPT_S = 60.0
_AT = [
    ("data", "create_dataset.before"),
    ("data", "create_dataset.after"),
    ("data", "put_items.before"),
    ("data", "put_items.after"),
    ("agent", "finish_work.before"),
    ("agent", "finish_work.after"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(run_root: Path) -> AsyncIterator[Stack]:
    """A stack that keeps partial outputs for some seconds, and small ones only."""
    folder = run_root / "partial"
    folder.mkdir()
    settings = {"partial_keep_days": str(_KEPT_S / 86_400), "partial_limit_bytes": "10000"}
    # An agent that dies is back in time: a lost node would bring nothing.
    stack = Stack(folder / "home", keep_alive=True, points=True, settings=settings)
    async with stack:
        yield stack


def _job(script: str, **keys: Any) -> Mapping[str, Any]:
    return {
        "headrace": 1, "kind": "command", "name": "half", "command": ["sh", "-c", script],
        "resources": {"cpus": "100m", "memory": "32MiB"},
        "outputs": {"flow": {"category": "OUTPUT", "format": "GENERIC"}},
        "retry": {"limit": 1, "on": ["EXIT_CODE"]}, **keys,
    }  # fmt: skip


_WRITES = (
    "echo $HEADRACE_ATTEMPT > {output}/half.txt; mkdir {output}/more; echo x > {output}/more/b; "
    "head -c 20000 /dev/zero > {output}/large"
)


async def _partials(client: AsyncClient, job: str) -> dict[int, dict[str, bytes]]:
    """The files of each attempt that failed."""
    found: dict[int, dict[str, bytes]] = {}
    for view in await read_partials(client, job):
        assert view["partial"]
        files = {}
        async for item in client.datasets.items(view["id"]):
            parts = [part async for part in client.datasets.read(view["id"], item["path"])]
            files[item["path"]] = b"".join(parts)
        found[view["origin"]["attempt"]] = files
    return found


async def _kept(client: AsyncClient, job: str) -> None:
    both = {n: {"half.txt": b"%d\n" % n, "more/b": b"x\n"} for n in (1, 2)}

    async def there() -> bool:
        return await _partials(client, job) == both

    await wait_until(there, "what both attempts had written to be kept", within_s=_WITHIN_S)


@pytest.mark.parametrize(("service", "point"), _AT)
async def test_both_attempts_of_a_failed_job_are_kept_whoever_dies(
    stack: Stack, service: str, point: str
) -> None:
    async with stack.client() as client:
        stack.points(service).crash_at(point)
        job = (await client.submit(_job(f"{_WRITES}; exit 3"))).id
        view = await client.ended(job)
        assert (view.status, view.attempt, dict(view.outputs)) == (Status.FAILED, 2, {})
        await _kept(client, job)
        await wait_until(
            lambda: _reached(stack, service, point), "it to have died", within_s=_WITHIN_S
        )


async def _reached(stack: Stack, service: str, point: str) -> bool:
    return stack.points(service).reached(point)


async def test_a_partial_output_is_no_result_and_expires(stack: Stack) -> None:
    async with stack.client() as client:
        script = f"{_WRITES}; test $HEADRACE_ATTEMPT = 2"
        job = (await client.submit(_job(script))).id
        view = await client.ended(job)
        assert (view.status, view.attempt) == (Status.COMPLETED, 2)

        async def first() -> bool:
            return await _partials(client, job) == {1: {"half.txt": b"1\n", "more/b": b"x\n"}}

        await wait_until(first, "what the first attempt had written", within_s=_WITHIN_S)
        (partial,) = await read_partials(client, job)
        result = view.outputs["flow"]
        assert partial["id"] != result
        assert [part async for part in client.datasets.read(str(result), "half.txt")] == [b"2\n"]
        for refused in (
            client.datasets.seal(partial["id"]),
            client.datasets.remove(partial["id"], "half.txt"),
        ):
            with pytest.raises(Conflict, match="failed attempt"):
                await refused
        wanted = {"category": "OUTPUT", "format": "GENERIC", "domain": {}}
        found = await client.datasets.match(wanted)
        assert partial["id"] not in str(found)

        async def gone() -> bool:
            return await read_partials(client, job) == []

        await wait_until(gone, "it to expire", within_s=_WITHIN_S)
        assert (await client.datasets.get(str(result)))["state"] == "SEALED"


async def test_a_job_that_fails_without_the_data_service_is_over_in_time(stack: Stack) -> None:
    """Nothing that is only a comfort holds a job, or its node's share."""
    async with stack.client() as client:
        gate = stack.home.root.parent / "gate"
        script = f"echo x > {{output}}/a; while [ ! -e {gate} ]; do sleep 0.1; done; exit 3"
        job = (await client.submit(_job(script, retry={"limit": 0}))).id
        await client.until(job, lambda view: view.status is Status.RUNNING)
        stack.pause("data")
        await asyncio.to_thread(gate.touch)
        async with asyncio.timeout(_WITHIN_S):
            view = await client.ended(job)
        assert view.status is Status.FAILED
        (node,) = await client.nodes()
        assert f"{job}.1" not in node.jobs, "its share is back"
        stack.resume("data")
