"""The network and key of an attempt on a real swarm: made once, seen by its workers, removed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.backends.swarm_manager import SwarmManager
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from headrace_model.service import Progress, ServiceWish
from tests.support.dev_swarm import NODES, Swarm, own_network
from tests.support.docker_engine import SMALL_IMAGE, small_image_tar, why_no_engine
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

JOB = JobId("00000000000000ab")
KEY = "/run/secrets/headrace-parallel"
_WITHIN_S = 300.0


@pytest.fixture(scope="module")
def swarm(run_root: Path) -> Iterator[Swarm]:
    made = Swarm(run_root / "networks", own_network(1))
    made.run("up", "--network", f"{made.network}.0/24")
    try:
        tar = small_image_tar()
        for node in NODES:
            made.docker(node, "import", "-", SMALL_IMAGE, stdin=tar)
        yield made
    finally:
        made.run("down")


@pytest.fixture
async def manager(swarm: Swarm) -> AsyncIterator[SwarmManager]:
    made = SwarmManager(swarm.host("manager1"), "ours")
    yield made
    await made.close()


def wish(swarm: Swarm, rank: int, command: str) -> ServiceWish:
    image = swarm.docker(NODES[rank], "image", "inspect", "-f", "{{.Id}}", SMALL_IMAGE).strip()
    return ServiceWish(
        JOB, 1, rank, image, ("sh", "-c", command), {}, "/", "10001:10002", {}, (), None, 500, 3
    )


async def test_workers_of_an_attempt_share_a_network_and_a_key_until_nobody_needs_them(
    swarm: Swarm, manager: SwarmManager
) -> None:
    members = {each.host: each.id for each in await manager.members()}
    wishes = [wish(swarm, rank, f"ls -ln {KEY}; cat {KEY}; sleep 600") for rank in range(3)]
    other = SwarmManager(swarm.host("manager1"), "ours")  # another replica, at the same time
    makers = (manager, other, manager)
    await asyncio.gather(
        *(
            maker.create(each, node, members[node], "epoch")
            for maker, each, node in zip(makers, wishes, NODES, strict=True)
        )
    )
    await other.close()
    (network,) = await manager.networks.all()
    assert (network.run, network.name) == (f"{JOB}.1", f"hr-{JOB}-1")

    async def all_run() -> bool:
        return [each.progress for each in await manager.tasks()] == [Progress.RUNS] * 3

    await wait_until(all_run, "three workers", within_s=_WITHIN_S)
    keys = set()
    for rank, node in enumerate(NODES):
        (id_,) = swarm.docker(node, "ps", "-q", "--filter", f"name=hr-{JOB}-1-{rank}.").split()

        def said(node: str = node, id_: str = id_) -> str:
            return swarm.docker(node, "logs", id_)

        await wait_until(lambda: "END OPENSSH" in said(), "the key", within_s=_WITHIN_S)
        first, _, key = said().partition("\n")
        assert first.startswith("-r-------- 1 10001 10002 ")
        keys.add(key)
    assert len(keys) == 1

    with pytest.raises(Unavailable, match="in use"):
        await manager.networks.remove(network)
    for node in NODES:
        swarm.docker(node, "rm", "--force", *swarm.docker(node, "ps", "-aq").split())
    for service in await manager.services():
        await manager.remove(service.id)

    async def removed() -> bool:
        try:
            await manager.networks.remove(network)
        except Unavailable:
            return False  # the swarm has not forgotten the tasks yet
        return True

    await wait_until(removed, "the network's end", within_s=_WITHIN_S)
    await manager.networks.remove(network)  # again is success
    assert await manager.networks.all() == ()
    for node in NODES:
        await wait_until(
            lambda node=node: not swarm.docker(node, "network", "ls", "-q", "-f", "name=hr-"),  # type: ignore[misc]
            f"nothing of it on {node}",
            within_s=_WITHIN_S,
        )
    assert swarm.docker("manager1", "secret", "ls", "-q") == ""


async def test_a_worker_without_others_has_neither(swarm: Swarm, manager: SwarmManager) -> None:
    members = {each.host: each.id for each in await manager.members()}
    alone = replace(wish(swarm, 1, "exit 0"), ranks=1)
    made = await manager.create(alone, "worker1", members["worker1"], "epoch")
    assert await manager.networks.all() == ()
    assert swarm.docker("manager1", "secret", "ls", "-q") == ""
    await manager.remove(made.id)
