"""From just before the submit until the program runs in a container that a swarm made.

Both sides run the same command in the same image, with the same limits and privileges, and without
a network of its own. It prints how long the machine has been up, which the engine's log keeps:
a clock that both sides share, in steps of 10 ms. Rounds of both sides alternate.
"""

import asyncio
import subprocess
import time
from collections.abc import Sequence

from headrace_client.api import AsyncClient
from headrace_model.status import Status
from tests.benchmarks import swarm_attempts
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.rows import Row, Series, series
from tests.support.dev_swarm import Swarm, own_network
from tests.support.docker_engine import why_no_engine
from tests.support.swarm_stack import SwarmStack

NAME = "swarm"
ABOUT = "submit → running in containers of a swarm, beside service create and stack deploy"
_BUDGET = 1.10
_MANY = 20
_NODE = "manager1"
# It goes on until it is ended: what is done after an end takes no part.
_COMMAND = ("sh", "-c", "cat /proc/uptime; exec sleep 300")
_LOOK_S = 0.5


async def measure(bench: Bench) -> list[Row]:
    """A row for one job, and one for many."""
    if why := why_no_engine():
        raise NotHere(why)
    swarm = Swarm(bench.folder / "swarm", own_network(11))
    one: tuple[list[float], list[float]] = ([], [])
    many: tuple[list[float], list[float]] = ([], [])
    try:
        swarm.run("up", "--workers", "0", "--network", f"{swarm.network}.0/24")
        image = swarm.add_small_image()
        made = SwarmStack(bench.folder / "home", swarm, image, cpus=_MANY)
        async with made as stack, stack.stack.client() as client:
            await _ours(client, image, 1)  # warm
            until = time.monotonic() + bench.seconds
            while time.monotonic() < until or not many[1]:
                for _ in range(5):
                    one[0].extend(await _ours(client, image, 1))
                    one[1].extend(await asyncio.to_thread(_peer, swarm, image, 1))
                many[0].append(max(await _ours(client, image, _MANY)))
                many[1].append(max(await asyncio.to_thread(_peer, swarm, image, _MANY)))
    finally:
        swarm.run("down")
    return [
        _row("Swarm job running", one),
        _row(f"the last of {_MANY} Swarm jobs at once running", many),
        await swarm_attempts.measure(bench),
    ]


def _row(name: str, samples: tuple[Sequence[float], Sequence[float]]) -> Row:
    ours, peer = (series(each) for each in samples)
    return Row(
        name=name,
        unit="ms",
        ours=ours,
        budget=f"≤ {_BUDGET:g}x",
        met=_ratio(ours, peer) <= _BUDGET,
        peer_name="docker service create",
        peer=peer,
    )


def _ratio(ours: Series, peer: Series) -> float:
    return ours.p50 / peer.p50


async def _ours(client: AsyncClient, image: str, number: int) -> list[float]:
    """How long after the submit each job ran, in ms."""
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "start",
        "image": image,
        "command": list(_COMMAND),
        "resources": {"cpus": 1, "memory": "32MiB"},
        "limits": {"grace": "0s"},
    }
    began = _up_ms()
    accepted = await client.submit_many([job] * number)
    took = []
    for each in accepted:
        said = b""
        while not said:
            await client.until(each.id, lambda view: view.status is not Status.SCHEDULED)
            await asyncio.sleep(_LOOK_S)
            said = b"".join([part async for part in client.log(each.id, stream="out")])
        took.append(_told_ms(said.decode()) - began)
    await asyncio.gather(*(client.desire(each.id, "cancel") for each in accepted))
    await asyncio.gather(*(client.ended(each.id) for each in accepted))
    return took


def _peer(swarm: Swarm, image: str, number: int) -> list[float]:
    """The same by the command line of Docker, all of them side by side."""
    names = [f"peer-{n}" for n in range(number)]
    began = _up_ms()
    making = [
        subprocess.Popen(
            [
                "docker",
                "service",
                "create",
                "--detach",
                "--quiet",
                "--name",
                name,
                "--mode",
                "replicated-job",
                "--restart-condition",
                "none",
                "--no-resolve-image",
                "--limit-cpu",
                "1",
                "--limit-memory",
                "32M",
                "--limit-pids",
                "4096",
                "--read-only",
                "--init",
                "--cap-drop",
                "ALL",
                "--user",
                "10001:10001",
                "--mount",
                "type=tmpfs,target=/tmp",
                "--endpoint-mode",
                "dnsrr",
                "--constraint",
                f"node.hostname=={_NODE}",
                image,
                *_COMMAND,
            ],
            env={**swarm.environ, "DOCKER_HOST": swarm.host(_NODE)},
            stdout=subprocess.DEVNULL,
        )
        for name in names
    ]
    for each in making:
        each.wait(60)
    took = [_told_ms(_log(swarm, name)) - began for name in names]
    swarm.docker(_NODE, "service", "rm", *names)
    ids = swarm.docker(_NODE, "ps", "-aq", "--filter", "name=peer-").split()
    swarm.docker(_NODE, "rm", "--force", *ids)  # else they end only after their grace
    return took


def _log(swarm: Swarm, name: str) -> str:
    """What the container of a service has printed."""
    while True:
        listed = swarm.docker(_NODE, "ps", "-q", "--filter", f"name={name}.").split()
        if listed and (said := swarm.docker(_NODE, "logs", listed[0])):
            return said
        time.sleep(_LOOK_S)


def _up_ms() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def _told_ms(printed: str) -> float:
    return float(printed.split()[0]) * 1000
