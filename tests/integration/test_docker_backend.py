"""Containers when what is around them breaks: the engine's line, the disk, who watches them."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_adapters.backends import containers, docker_followers
from headrace_adapters.backends.docker import DockerBackend
from headrace_adapters.backends.docker_engine import Engine, Volume
from headrace_model.errors import InvalidInput
from headrace_model.worker import ExitCause, Mount, WorkerExit, WorkerKey
from tests.contract.test_backend import WAIT_S, Containers, shared, tasks_of
from tests.support.cut_line import CutLine
from tests.support.docker_engine import DockerEngine
from tests.support.small_disk import fill_disk, small_file_system
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

LINES = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done"
ALL = "".join(f"line {i}\n" for i in range(30))


@pytest.fixture
async def bench(docker_engine: DockerEngine, state_dir: Path) -> AsyncIterator[Containers]:
    found = await asyncio.to_thread(Containers, state_dir, docker_engine)
    await found.backend.open()
    try:
        yield found
    finally:
        await found.close()


async def test_a_log_whose_line_is_cut_is_copied_to_its_end(bench: Containers) -> None:
    path = bench.folder / "line.sock"
    line = CutLine(Path(bench.engine.host.removeprefix("unix://")), None)
    server = await asyncio.start_unix_server(line.hand, str(path))
    backend = DockerBackend(Engine(f"unix://{path}"), bench.owner, "10001:10001", "none")
    try:
        await bench.backend.close()
        bench.backend = backend
        await backend.open()
        launch = bench.launch(LINES)
        await backend.start(launch)
        for at in (5, 15):
            await wait_until(
                lambda at=at: f"line {at}\n" in bench.out(), "a line", within_s=WAIT_S
            )  # type: ignore[misc]
            line.cut()
        ended = await bench.exit_of(launch.key)
        assert (ended.cause, ended.exit_code) == (ExitCause.EXITED, 0)
        assert bench.out() == ALL
        # Out of sight for a moment is not out of sight at the end.
        launch = bench.launch("sleep 3; exit 255", attempt=2)
        await backend.start(launch)
        line.cut()
        ended = await bench.exit_of(launch.key)
        assert (ended.cause, ended.exit_code) == (ExitCause.EXITED, 255)
    finally:
        await bench.next_program()
        server.close()
        await line.end()


async def test_files_in_a_volume_are_bound_by_the_path_that_the_engine_knows(
    bench: Containers,
) -> None:
    docker = bench.engine.docker
    place = Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}",
                        docker("volume", "create").stdout.strip()).stdout.strip())  # fmt: skip
    (place / "work").mkdir()
    (place / "work").chmod(0o777)
    volume = Volume(place.parent.name, bench.folder)
    await bench.backend.close()
    bench.backend = DockerBackend(
        Engine(bench.engine.host, volume), bench.owner, "10001:10001", "none"
    )
    await bench.backend.open()
    assert (await bench.run("touch /w/here")).exit_code == 0
    assert (place / "work" / "here").exists()
    assert not (bench.folder / "work" / "here").exists()
    outside = bench.launch("true", attempt=2)
    assert outside.inside is not None
    outside = replace(outside, inside=replace(outside.inside, mounts=(Mount("/etc", "/w"),)))
    with pytest.raises(InvalidInput, match="/etc lies outside"):
        await bench.backend.start(outside)


async def test_a_volume_that_the_engine_has_not_is_a_sentence(bench: Containers) -> None:
    engine = Engine(bench.engine.host, Volume("no-such-volume", bench.folder))
    try:
        with pytest.raises(InvalidInput, match="has no volume no-such-volume"):
            await engine.source(str(bench.folder))
    finally:
        await engine.close()


async def test_a_task_that_was_made_and_not_started_runs_all_the_same(bench: Containers) -> None:
    tasks = tasks_of(bench, "echo $I", range(3))
    made = replace(shared(bench), key=tasks[0].key, argv=("echo", "never"))
    assert made.inside is not None
    await bench.backend.engine.create(
        containers.name_of(made.key), image=made.inside.image, command=["echo", "never"],
        environment=[], working_dir="/", user="10001:10001",
        labels=containers.labels_of(bench.owner, made, containers.Slot(7, 0, 0)),
        host=containers.worker_settings(made, made.inside, "none", 1),
    )  # fmt: skip
    await bench.next_program()
    await bench.backend.queue(1, shared(bench), tasks)
    for task in tasks:
        assert (await bench.exit_of(task.key)).exit_code == 0
    assert (bench.folder / "slot.0.out").read_text() == "0\n1\n2\n"


async def test_tasks_keep_their_own_parts_of_a_slots_log_for_the_next_program(
    bench: Containers,
) -> None:
    tasks = tasks_of(bench, "echo task $I", range(3))
    await bench.backend.queue(1, shared(bench), tasks)
    for task in tasks:
        await bench.exit_of(task.key)
    await bench.next_program()
    spans = []
    for task in tasks:
        ended = await bench.exit_of(task.key)
        assert ended.log is not None
        spans.append(ended.log.span("out"))
    assert spans == [(0, 7), (7, 14), (14, 21)]


async def test_a_full_disk_keeps_nobody_from_ending_workers_nor_from_hearing_of_it(
    bench: Containers,
) -> None:
    small = bench.folder / "small"
    small.mkdir()
    with small_file_system(small, 1) as why:
        if why:
            pytest.skip(why)
        rest = await asyncio.to_thread(fill_disk, small)
        endless = "while :; do echo 0123456789; sleep 0.01; done"
        launches = [
            replace(bench.launch(endless, attempt=n), stdout=str(small / f"{n}.out"))
            for n in (1, 2)
        ]
        for launch in launches:
            await bench.backend.start(launch)
        await asyncio.sleep(2)
        await bench.backend.stop(bench.job, 1, 0.0)
        states = bench.engine.docker("ps", "--format", "{{.Names}}").stdout.split()
        assert states == [containers.name_of(launches[1].key)]
        await bench.backend.clean(bench.job, 1)
        rest.unlink()
        await bench.backend.kill(bench.job, 2)
        assert (await bench.exit_of(launches[1].key)).signal == 9
        assert "0123456789\n" * 10 in (small / "2.out").read_text()
        await bench.backend.clean(bench.job, 2)


async def test_two_programs_copy_a_log_once(bench: Containers) -> None:
    launch = bench.launch(LINES)
    await bench.backend.start(launch)
    await wait_until(lambda: "line 3\n" in bench.out(), "a line", within_s=WAIT_S)
    other = bench.another()
    await other.open()
    try:
        assert (await bench.exit_of(launch.key)).exit_code == 0
        assert (await bench.exit_of(launch.key, other)).exit_code == 0
    finally:
        await other.close()
    assert bench.out() == ALL


async def test_a_folder_that_is_gone_takes_no_end_with_it(bench: Containers) -> None:
    folder = bench.folder / "gone"
    folder.mkdir()
    launch = bench.launch("sleep 600")
    paths = {"stdout": str(folder / "out"), "stderr": str(folder / "err")}
    await bench.backend.start(replace(launch, **paths))  # type: ignore[arg-type]
    for path in paths.values():
        os.unlink(path)
    folder.rmdir()
    await bench.next_program()
    await bench.backend.kill(bench.job, 1)
    assert (await bench.exit_of(launch.key)).signal == 9


async def test_an_engine_that_went_down_with_the_agent_has_lost_the_workers(
    state_dir: Path, docker_engine: DockerEngine
) -> None:
    engine = DockerEngine(state_dir / "docker")
    try:
        await asyncio.to_thread(engine.start)
        bench = await asyncio.to_thread(Containers, state_dir, engine)
        await bench.backend.open()
        await bench.backend.start(bench.launch("sleep 600"))
        await bench.backend.close()
        await asyncio.to_thread(engine.kill9)
        await asyncio.to_thread(engine.start)
        bench.backend = bench.another()
        await bench.backend.open()
        ended = await bench.exit_of(WorkerKey(bench.job, 1, 0))
        assert (ended.cause, ended.exit_code) == (ExitCause.LOST, None)
        await bench.close()
    finally:
        await asyncio.to_thread(engine.kill9)


@pytest.mark.parametrize(("millicpus", "memory"), [(900_000, None), (1, 1_000_000)])
async def test_limits_beyond_what_an_engine_takes_are_brought_within(
    bench: Containers, millicpus: int, memory: int | None
) -> None:
    launch = bench.launch("echo runs", memory=memory)
    assert launch.inside is not None
    await bench.backend.start(replace(launch, inside=replace(launch.inside, millicpus=millicpus)))
    ended = await bench.exit_of(launch.key)
    assert isinstance(ended, WorkerExit)
    assert (ended.cause, ended.exit_code) == (ExitCause.EXITED, 0)


async def test_an_end_tells_the_most_memory_that_was_seen(
    bench: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_followers, "SAMPLE_S", 0.1)
    held, limit = 32 * 2**20, 256 * 2**20
    holds = f"exec dd if=/dev/zero of=/dev/null bs={held} count=1000000"
    launch = bench.launch(holds, memory=limit)
    await bench.backend.start(launch)

    def seen() -> bool:
        return bench.backend._followers._usage.peak(launch.key) >= held

    await wait_until(seen, "it to be seen", within_s=WAIT_S)
    await bench.backend.stop(bench.job, 1, 0.0)
    ended = await bench.exit_of(launch.key)
    assert held <= ended.peak_memory_bytes < limit
    await bench.backend.clean(bench.job, 1)
    assert bench.backend._followers._usage.peak(launch.key) == 0
    too_much = await bench.run(f"exec dd if=/dev/zero of=/dev/null bs={2 * limit}", attempt=2,
                               memory=limit)  # fmt: skip
    assert (too_much.cause, too_much.peak_memory_bytes) == (ExitCause.OOM, limit)
