"""The private Docker Engine of the tests does what tests ask of it, and leaves nothing."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import run_root as roots
from tests.support.docker_engine import SMALL_IMAGE, DockerEngine, why_no_engine

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())


def test_a_container_runs_with_a_bind_mount_and_its_limits(
    docker_engine: DockerEngine, state_dir: Path
) -> None:
    (state_dir / "given").write_text("water\n")
    said = docker_engine.docker(
        "run", "--rm", "--network=none", "--read-only", "--user=1000", "--memory=64m",
        "--mount", f"type=bind,source={state_dir},target=/in,readonly",
        SMALL_IMAGE, "cat", "/in/given",
    )  # fmt: skip
    assert said.stdout == "water\n"


def test_containers_of_one_network_know_each_other(docker_engine: DockerEngine) -> None:
    docker_engine.docker("network", "create", "pair")
    docker_engine.docker(
        "run", "-d", "--name=first", "--network=pair", SMALL_IMAGE, "sleep", "1000"
    )
    address = "{{.NetworkSettings.Networks.pair.IPAddress}}"
    assert docker_engine.docker("inspect", "-f", address, "first").stdout.count(".") == 3
    docker_engine.docker("rm", "-f", "first")
    docker_engine.docker("network", "rm", "pair")


def test_a_killed_engine_takes_its_containers_along_and_starts_again(state_dir: Path) -> None:
    engine = DockerEngine(state_dir / "docker")
    try:
        engine.start()
        engine.add_small_image()
        mark = f"1{os.getpid()}"
        engine.docker("run", "-d", "--name=long", SMALL_IMAGE, "sleep", mark)
        assert _sleepers(mark)
        engine.kill9()
        assert _left_of(engine) == []
        assert _sleepers(mark) == []
        engine.start()
        assert engine.docker("inspect", "-f", "{{.State.Running}}", "long").stdout == "false\n"
        engine.docker("start", "long")
        assert _sleepers(mark)
    finally:
        engine.kill9()
        engine.kill9()
    assert _left_of(engine) == []
    assert _sleepers(mark) == []


def test_an_engine_keeps_out_of_the_machines_network(docker_engine: DockerEngine) -> None:
    processes = [each for each in Path("/proc").glob("[0-9]*") if _names(each, docker_engine)]
    dockerds = [each for each in processes if _command(each).startswith("dockerd ")]
    ours = os.readlink("/proc/self/ns/net")
    assert [os.readlink(each / "ns/net") == ours for each in dockerds] == [False]


def test_the_engine_of_an_aborted_run_is_ended_by_the_next(state_dir: Path) -> None:
    root = state_dir / f"{roots.PREFIX}1-1"
    root.mkdir()
    run = """if True:
        import os, signal, sys
        from pathlib import Path
        from tests.support.docker_engine import DockerEngine
        engine = DockerEngine(Path(sys.argv[1]) / "docker")
        engine.start()
        engine.add_small_image()
        engine.docker("run", "-d", engine.add_small_image(), "sleep", sys.argv[2])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    mark = f"2{os.getpid()}"
    words = [sys.executable, "-c", run, str(root), mark]
    subprocess.run(words, env={**os.environ, roots.VARIABLE: str(root)}, check=False, timeout=60)
    assert _sleepers(mark)
    assert roots.remove_stale_roots(state_dir)
    assert _sleepers(mark) == []
    assert not root.exists()
    assert list(Path("/sys/fs/cgroup").glob(f"*/{root.name}")) == []


def _sleepers(mark: str) -> list[Path]:
    """The processes of this machine, in containers too, that sleep for `mark` seconds."""
    return [each for each in Path("/proc").glob("[0-9]*") if _command(each) == f"sleep {mark}"]


def _left_of(engine: DockerEngine) -> list[Path]:
    """What an engine that is ended could have left: processes and control groups."""
    processes = [each for each in Path("/proc").glob("[0-9]*") if _names(each, engine)]
    return [*processes, *Path("/sys/fs/cgroup").glob(f"*/{engine.cgroup}")]


def _names(process: Path, engine: DockerEngine) -> bool:
    return str(engine.folder) in _command(process)


def _command(process: Path) -> str:
    """Its command line, empty for one that is gone."""
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_text().replace("\0", " ").strip()
    return ""
