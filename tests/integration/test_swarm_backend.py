"""Workers that a swarm makes, when something is missing, dies or comes late."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_model.service import service_name
from headrace_model.worker import ExitCause, Handle, Mount, WorkerExit, WorkerLaunch
from tests.contract.test_backend import WAIT_S, Services
from tests.support.cluster import SwarmEngine
from tests.support.docker_engine import small_image_tar
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def bench(
    swarm_engine: SwarmEngine, redis_server: RedisServer, state_dir: Path
) -> AsyncIterator[Services]:
    found = await asyncio.to_thread(Services, state_dir, swarm_engine, redis_server.url)
    await found.prepare()
    await found.backend.open()
    try:
        yield found
    finally:
        found.cluster.start_where_none()
        await found.close()


def changed(launch: WorkerLaunch, **inside: Any) -> WorkerLaunch:
    assert launch.inside is not None
    return replace(launch, inside=replace(launch.inside, **inside))


async def refused(bench: Services, launch: WorkerLaunch) -> WorkerExit:
    """The end of a worker that never came to be; a repeat and the next program hear the same."""
    async with asyncio.timeout(WAIT_S):
        ended = await bench.backend.start(launch)
    assert isinstance(ended, WorkerExit)
    await bench.next_program()
    again = await bench.backend.start(launch)
    assert isinstance(again, WorkerExit)
    assert (again.cause, again.message) == (ended.cause, ended.message)
    return ended


async def services(bench: Services) -> list[str]:
    done = await asyncio.to_thread(bench.engine.docker, "service", "ls", "--format", "{{.Name}}")
    return done.stdout.split()


async def test_an_image_that_is_gone_is_told_in_a_sentence(bench: Services) -> None:
    ended = await refused(bench, changed(bench.launch("true"), image="sha256:" + "0" * 64))
    assert ended.cause is ExitCause.LOST
    assert ended.message == "its image is no longer on node engine"


async def test_a_folder_that_is_gone_is_told_in_a_sentence(bench: Services) -> None:
    mounts = (Mount(str(bench.folder / "nothing"), "/w"),)
    ended = await refused(bench, changed(bench.launch("true"), mounts=mounts))
    assert ended.cause is ExitCause.LOST
    assert ended.message == "its folder is no longer on node engine"


async def test_files_of_others_are_refused(bench: Services) -> None:
    ended = await refused(bench, changed(bench.launch("true"), mounts=(Mount("/etc", "/w"),)))
    assert ended.cause is ExitCause.NOT_STARTED
    assert ended.message == "the worker was to see /etc, which is no file of its node's agent"


async def test_what_looks_like_a_template_is_left_as_it_is(bench: Services) -> None:
    text = "{{.Node.ID}} {{ broken"
    launch = bench.launch('echo "$TEXT" "$0"')
    launch = replace(launch, env={**launch.env, "TEXT": text}, argv=(*launch.argv, "{{.ID}}"))
    await bench.backend.start(launch)
    await bench.exit_of(launch.key)
    assert bench.out() == f"{text} {{{{.ID}}}}\n"


async def test_a_command_is_given_to_the_entrypoint_of_its_image_as_with_docker(
    bench: Services,
) -> None:
    docker, name = bench.engine.docker, "127.0.0.1:1/headrace-test/entrypoint:1"
    docker(
        "import", "--change", 'ENTRYPOINT ["echo", "given"]', "-", name, stdin=small_image_tar()
    )
    try:
        image = docker("image", "inspect", "-f", "{{.Id}}", name).stdout.strip()
        await bench.backend.start(changed(bench.launch("true"), image=image))
        await bench.exit_of(bench.launch("true").key)
        assert bench.out() == "given sh -c true\n"
    finally:
        await bench.backend.clean(bench.job, 1)
        docker("image", "rm", name)


async def test_a_worker_has_the_privileges_limits_and_labels_that_it_is_to_have(
    bench: Services,
) -> None:
    launch = bench.launch("sleep 600", memory=50_000_000)
    handle = await bench.backend.start(launch)
    found = await bench.backend.engine.inspect(str(handle))
    host = found["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["Init"]) == (["ALL"], True, True)
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (50_000_000, 10**9, 4096)
    assert host["LogConfig"]["Type"] == "json-file"
    assert found["Config"]["User"] == "10001:10001"
    assert [(m["Destination"], m["RW"]) for m in found["Mounts"] if m["Type"] == "bind"] == [
        ("/w", True)
    ]
    docker = bench.engine.docker
    name = service_name(bench.job, 1, 0)
    label = docker("service", "inspect", "-f", '{{index .Spec.Labels "headrace.epoch"}}', name)
    assert label.stdout.strip() == bench.redis.epoch


async def test_the_cluster_agents_death_before_and_after_a_service_costs_nothing(
    bench: Services,
) -> None:
    bench.cluster.kill9()
    launch = bench.launch("echo once; sleep 2; exit 3")
    starting = asyncio.create_task(bench.backend.start(launch))

    async def wished() -> bool:
        return bool(await bench.redis.command("HLEN", f"hr:services:{bench.node}"))

    await wait_until(wished, "the wish", within_s=WAIT_S)
    assert await services(bench) == []
    bench.cluster.start()

    async def made() -> bool:
        return bool(await services(bench))

    await wait_until(made, "the service", within_s=WAIT_S)
    bench.cluster.kill9()
    assert isinstance(await starting, str)
    assert (await bench.exit_of(launch.key)).exit_code == 3
    bench.cluster.start()
    await bench.backend.stop(bench.job, 1, 0.0)
    await bench.backend.clean(bench.job, 1)
    assert bench.out() == "once\n"


async def test_a_late_service_finds_nothing_to_start_on(bench: Services) -> None:
    """As an agent bars an attempt before it confirms a stop."""
    bench.cluster.kill9()
    work = bench.folder / "work"
    starting = asyncio.create_task(bench.backend.start(bench.launch("touch /w/ran")))

    async def wished() -> bool:
        return bool(await bench.redis.command("HLEN", f"hr:services:{bench.node}"))

    await wait_until(wished, "the wish", within_s=WAIT_S)
    work.rename(bench.folder / "barred")
    async with asyncio.timeout(WAIT_S):
        await bench.backend.stop(bench.job, 1, 0.0)
        ended = await starting
    assert isinstance(ended, WorkerExit)
    assert ended.message == "it was stopped before it started"
    bench.cluster.start()
    await wait_until(
        lambda: bench.cluster.said("its folder is no longer"), "the refusal", within_s=WAIT_S
    )
    assert not list((bench.folder / "barred").iterdir())


async def test_a_second_run_by_the_swarm_is_ended_and_counts_for_nothing(bench: Services) -> None:
    launch = bench.launch("sleep 600")
    first = await bench.backend.start(launch)
    docker = bench.engine.docker
    labels = (await bench.backend.engine.inspect(str(first)))["Config"]["Labels"]
    again = docker(
        "run", "-d", *(f"--label={name}={text}" for name, text in labels.items()
        if name.startswith("headrace.")), "--entrypoint", "sleep", bench.image, "600",
    ).stdout.strip()  # fmt: skip
    await bench.next_program()
    assert docker("ps", "-q", "--no-trunc", "--filter", f"id={again}").stdout == ""
    (state,) = await bench.backend.list()
    assert state.handle == Handle(first) if isinstance(first, str) else False


async def test_a_wish_that_nobody_needs_any_more_is_dropped_with_its_service(
    bench: Services,
) -> None:
    await bench.backend.start(bench.launch("sleep 600"))
    await bench.redis.command("HDEL", f"hr:work:{bench.node}", f"{bench.job}.1")

    async def gone() -> bool:
        wishes = await bench.redis.command("HLEN", f"hr:services:{bench.node}")
        return not wishes and not await services(bench)

    await wait_until(gone, "wish and service to go", within_s=WAIT_S)


async def test_another_headraces_services_are_left_alone(bench: Services) -> None:
    docker = bench.engine.docker
    other = "hr-of-another"
    docker("service", "create", "-d", "--name", other, "--mode", "replicated-job", "--label",
           "headrace.cluster=another", "--label", "headrace.node=engine",
           "--label", f"headrace.epoch={bench.redis.epoch}",
           "--entrypoint", "sleep", bench.image, "600")  # fmt: skip
    try:
        await bench.run("true")
        await bench.backend.clean(bench.job, 1)

        async def only_the_other() -> bool:
            return await services(bench) == [other]

        await wait_until(only_the_other, "our service to go", within_s=WAIT_S)
    finally:
        docker("service", "rm", other)


async def test_a_node_that_holds_no_share_of_an_attempt_gets_no_worker_of_it(
    bench: Services,
) -> None:
    own, other = bench.launch("sleep 600"), bench.launch("sleep 600", attempt=2)
    # Both records say LAUNCH, as the node's own agent may write them; one share is not there.
    await bench.redis.command("HDEL", f"hr:held:{bench.node}", f"{bench.job}.1")
    forged = asyncio.create_task(bench.backend.start(own))
    names = [service_name(bench.job, attempt, 0) for attempt in (1, 2)]

    async def wished() -> bool:
        wishes = await bench.redis.command("HKEYS", f"hr:services:{bench.node}")
        return names[0] in wishes

    await wait_until(wished, "the wish", within_s=WAIT_S)
    await bench.backend.start(other)
    assert await services(bench) == [names[1]]
    forged.cancel()
    await asyncio.gather(forged, return_exceptions=True)


async def test_the_name_of_another_service_is_not_taken_for_ours(bench: Services) -> None:
    docker = bench.engine.docker
    name = service_name(bench.job, 1, 0)
    docker("service", "create", "-d", "--name", name, "--label", "headrace.node=elsewhere",
           "--entrypoint", "sleep", bench.image, "600")  # fmt: skip
    try:
        ended = await refused(bench, bench.launch("true"))
        assert ended.cause is ExitCause.LOST
        assert ended.message == f"another service has the name {name}"
        assert await services(bench) == [name]
    finally:
        docker("service", "rm", name)
