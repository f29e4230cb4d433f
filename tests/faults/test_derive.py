"""A derivation whose services die on its way: the data is made once, and the parent goes on.

At points: a service dies right before, or right after, one of its writes to Redis. At moments: any
process is killed at a moment that a seed draws; `HEADRACE_FAULT_SEEDS` seeds a victim (1).
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_model.status import Status
from tests.support.fault_jobs import FaultJobs
from tests.support.faults import VICTIMS, Kill
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON_THE_WAY = (
    ("data", "transition.NEEDS_DERIVATION"),
    ("scheduler", "transition.ALLOCATED"),
    ("agent", "report_fact.staged"),
    ("data", "transition.STAGED"),
    ("agent", "report_fact.exited"),
    ("monitor", "transition.NEEDS_COLLECTION"),
    ("agent", "report_fact.collected"),
    ("data", "transition.COMPLETED"),
    ("data", "mark_dataset"),
)
_FIRST_SEED = int(os.environ.get("HEADRACE_FAULT_FIRST_SEED", "1"))
_SEEDS = range(_FIRST_SEED, _FIRST_SEED + int(os.environ.get("HEADRACE_FAULT_SEEDS", "1")))
_WITHIN_S = 90.0
_HOURS = 48
_LONGEST_S = 1.5  # about what a derivation of this size takes on its whole way


class Derivations:
    """Parents that each miss a part of the forcing that no other has asked for."""

    def __init__(self, jobs: FaultJobs, folder: Path) -> None:
        self.jobs = jobs
        self._folder = folder
        self._asked = 0

    async def prepare(self) -> None:
        """Upload the forcing of one catchment, two days by the hour."""
        self._folder.mkdir()
        rows = [
            f"2015-12-{day:02} {hour:02}:00:00,{hour}.5,280"
            for day in (1, 2)
            for hour in range(24)
        ]
        file = self._folder / "cat-1.csv"
        file.write_text("\n".join(["time,APCP_surface,TMP_2maboveground", *rows]) + "\n")
        async with self.jobs.client() as client:
            made = await client.datasets.create({"name": "forcing", "category": "FORCING"})
            await client.datasets.upload_item(made["id"], LocalFile(file, file.name))
            await client.datasets.seal(made["id"])

    def next_part(self) -> tuple[int, dict[str, Any]]:
        """So many hours, and the requirement for exactly these."""
        length, begin = divmod(self._asked, 24)
        self._asked += 1
        end = begin + length + 2
        time = [f"2015-12-{1 + at // 24:02}T{at % 24:02}:00Z" for at in (begin, end)]
        domain = {"TIME": time, "CATCHMENT_ID": ["cat-1"]}
        return end - begin, {
            "category": "FORCING", "format": "AORC_CSV", "shape": "EXACT", "domain": domain
        }  # fmt: skip

    async def submit(self, client: AsyncClient, wanted: dict[str, Any]) -> str:
        """A parent that counts the lines it gets."""
        accepted = await client.submit(
            {
                "headrace": 1,
                "kind": "command",
                "command": ["sh", "-c", "cat {forcing}/*.csv | wc -l"],
                "inputs": {"forcing": wanted},
                "resources": {"cpus": "100m", "memory": "64MiB"},
                "retry": {"limit": 10},
            }
        )
        return accepted.id

    async def check(self, client: AsyncClient, parents: list[str], hours: int) -> None:
        """All parents completed with the data, which one child made, once."""
        children = set()
        for parent in parents:
            view = await client.ended(parent)
            assert view.status is Status.COMPLETED, (parent, view.status, view.detail)
            children.update((await client.job(parent)).children)
            log = b"".join([part async for part in client.log(parent, stream="out")])
            assert log.split() == [str(hours + 1).encode()]
        (child,) = children
        made = await client.job(child)
        assert made.status is Status.COMPLETED
        versions = [entry.version for entry in await self.jobs.history(child)]
        assert versions[1:] == list(range(1, len(versions))), versions
        assert await self.jobs.made_by(child) == list(made.outputs.values())
        await self.jobs.no_leaks()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def derivations(run_root: Path) -> AsyncIterator[Derivations]:
    """A stack whose services stop where they are told to."""
    folder = run_root / "derive"
    folder.mkdir()
    stack = Stack(folder / "home", keep_alive=True, points=True)
    async with stack:
        found = Derivations(FaultJobs(stack, folder / "gates"), folder / "forcing")
        await found.prepare()
        yield found


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("service", "call"), ON_THE_WAY)
async def test_a_service_that_dies_at_its_write_has_the_data_made_once(
    derivations: Derivations, service: str, call: str, when: str
) -> None:
    point = f"{call}.{when}"
    points = derivations.jobs.stack.points(service)
    points.crash_at(point)
    hours, wanted = derivations.next_part()
    async with derivations.jobs.client() as client:
        parents = [await derivations.submit(client, wanted) for _ in range(2)]
        await wait_until(lambda: points.reached(point), f"{service} to die", within_s=_WITHIN_S)
        await derivations.check(client, parents, hours)


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_kill_at_any_moment_has_the_data_made_once(
    derivations: Derivations, victim: str, seed: int
) -> None:
    moment_s = random.Random(f"{victim} {seed}").uniform(0.0, _LONGEST_S)  # noqa: S311
    hours, wanted = derivations.next_part()
    fault = Kill(victim)
    async with derivations.jobs.client() as client:
        parents = [await derivations.submit(client, wanted) for _ in range(2)]
        await asyncio.sleep(moment_s)
        fault.strike(derivations.jobs.stack)
        fault.heal(derivations.jobs.stack)
        await derivations.check(client, parents, hours)
