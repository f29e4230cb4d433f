"""A real model in ranks: HBV over all units of the Delaware, two years of days, on three nodes.

Beside it the model's worker alone: one process, no services, the forcing on the disk. The outputs
of all have to be the same files.
"""

import asyncio
import subprocess
import sys
import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from headrace_wire.jobfile import load_jobfile
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series
from tests.benchmarks.swarm_attempts import image_in
from tests.support import delaware
from tests.support.dev_swarm import Swarm, own_network
from tests.support.docker_images import TAG
from tests.support.person import Person
from tests.support.swarm_stack import SwarmStack

NAME = "ranks"
ABOUT = "HBV over 765 units of the Delaware in 1, 2 and 4 ranks on a swarm of three nodes"
_IMAGE = f"headrace/worker-bmi:{TAG}"
_UNITS = 765
_END = "1981-01-01"
_RANKS = (1, 2, 4)
_BEFORE = frozenset({Status.AWAITING_DATA_CHECK, Status.AWAITING_DERIVATION})


async def measure(bench: Bench) -> list[Row]:
    """A row for each number of ranks."""
    swarm = Swarm(bench.folder / "three", own_network(14))
    data = await asyncio.to_thread(delaware.fetch, bench.folder)
    try:
        up = ["up", "--workers", "2", "--network", f"{swarm.network}.0/24"]
        await asyncio.to_thread(swarm.run, *up)
        file = await asyncio.to_thread(image_in, bench.folder, "worker-bmi")
        for node in swarm.nodes:
            await asyncio.to_thread(swarm.docker, node, "load", "--input", str(file))
        made = SwarmStack(bench.folder / "home3", swarm, _IMAGE, cpus=2, node_lost_s=30.0)
        async with made as stack, stack.stack.client() as client:
            person = Person("admin", bench.folder, stack.stack.url)
            said = partial(person.said, token=stack.stack.token)
            await asyncio.to_thread(delaware.put, said, data, _UNITS)
            return await _rows(bench.folder, client, said)
    finally:
        swarm.run("down")


async def _rows(folder: Path, client: AsyncClient, said: Any) -> list[Row]:
    catchments = delaware.units(folder / "data", _UNITS)
    jobs = {n: delaware.job(_IMAGE, n, catchments, _END) for n in _RANKS}
    done = {n: await delaware.run(client, job) for n, job in jobs.items()}
    written = {}
    for n, (_, output, _) in done.items():
        items = await asyncio.to_thread(said, "dataset", "items", output)
        written[n] = {each["path"]: each["sha256"] for each in items}
    alone_s, files = await asyncio.to_thread(_alone, folder, said, jobs[1])
    rows = []
    for n, (id_, _, nodes) in done.items():
        took = {each.status: each.seconds for each in await client.phases(id_)}
        whole_s = sum(each for status, each in took.items() if status not in _BEFORE)
        rows.append(
            Row(
                name=f"HBV over {_UNITS} units, ranks: {n}",
                unit="s",
                ours=series([took[Status.RUNNING]]),
                budget="same files",
                met=written[n] == files,
                peer_name="the worker alone",
                peer=series([alone_s]),
                note=f"on {len({*nodes})} nodes; placed, staged, run, collected: {whole_s:.1f} s",
            )
        )
    return rows


def _alone(folder: Path, said: Any, job: dict[str, Any]) -> tuple[float, dict[str, str]]:
    """Run the worker over the forcing that was derived; returns seconds, and the files' sha256."""
    (name,) = (each["name"] for each in said("dataset", "list", "--format", "BMI_FORCING_NETCDF"))
    said("dataset", "download", name, str(folder / "alone"))
    (config,) = (each for each in load_jobfile(job).files if each.name == "bmi.json")
    (folder / config.name).write_bytes(config.content)
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "headrace_bmi", config.name, "alone", "out"],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    took = time.monotonic() - began
    found = {each.name: sha256(each.read_bytes()).hexdigest() for each in folder.glob("out/*.csv")}
    return took, found
