"""A swarm of several nodes on one machine: it comes up, breaks as told, and leaves nothing."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dev_swarm import NODES, PROJECT, SCRIPT, Swarm, commands, own_network
from tests.support.docker_engine import SMALL_IMAGE, small_image_tar, why_no_engine
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

NETWORK = own_network()


@pytest.fixture(scope="module")
def swarm(run_root: Path) -> Iterator[Swarm]:
    """The swarm of this module's tests; one that breaks it calls `up` when it begins."""
    made = Swarm(run_root / "swarm", NETWORK)
    try:
        yield made
    finally:
        made.run("down")


@pytest.fixture
def other(state_dir: Path) -> Iterator[Swarm]:
    """A folder for a second swarm."""
    made = Swarm(state_dir / "other", NETWORK)
    try:
        yield made
    finally:
        made.run("down")


def test_up_completes_what_an_up_that_was_killed_began(swarm: Swarm) -> None:
    swarm.run("down")
    words = [SCRIPT, "up", "--workers", "2", "--network", f"{NETWORK}.0/24"]
    first = subprocess.Popen(words, env=swarm.environ, start_new_session=True)
    begun = swarm.folder / "nodes" / "worker1" / "docker.sock"
    asyncio.run(wait_until(begun.exists, "the first worker's engine", within_s=300))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()

    said = swarm.run("up").stdout
    assert swarm.states() == dict.fromkeys(NODES, "ready")
    assert f"export DOCKER_HOST={swarm.host('worker2')}" in said
    before = swarm.processes()
    assert [len(each) for each in before.values()] == [1, 1, 1]
    swarm.run("up")
    assert swarm.processes() == before
    assert sorted(swarm.as_the_manager_sees()) == NODES


def test_nodes_that_are_killed_or_cut_off_are_missed_and_come_back(swarm: Swarm) -> None:
    mark = f"3{os.getpid()}"
    _up_with_a_service(swarm, mark)
    assert len(_sleepers(mark)) == 3

    swarm.run("kill-node", "worker1")
    assert len(_sleepers(mark)) == 2
    swarm.run("partition", "worker2")
    swarm.run("partition", "worker2")
    assert swarm.states() == {"manager1": "ready", "worker1": "killed", "worker2": "cut off"}
    down = {"manager1": "Ready", "worker1": "Down", "worker2": "Down"}
    _wait(lambda: swarm.as_the_manager_sees() == down, "both workers to be missed")
    assert len(_sleepers(mark)) == 2  # who is cut off works on
    assert swarm.docker("worker2", "ps", "-q")

    swarm.run("heal", "worker1")
    swarm.run("heal", "worker2")
    swarm.run("heal", "worker2")
    assert swarm.states() == dict.fromkeys(NODES, "ready")
    _wait(lambda: len(_sleepers(mark)) == 3, "the service on all nodes again")
    swarm.docker("manager1", "service", "rm", "everywhere")
    _wait(lambda: not _sleepers(mark), "the service's end")


def test_a_node_whose_dockerd_dies_is_a_dead_node_until_up(swarm: Swarm) -> None:
    mark = f"4{os.getpid()}"
    _up_with_a_service(swarm, mark)
    folder = swarm.folder / "nodes" / "manager1"
    [dockerd] = [
        number for number, words in commands()
        if words[0] == "dockerd" and str(folder / "data") in words
    ]  # fmt: skip
    os.kill(dockerd, signal.SIGKILL)
    _wait(lambda: swarm.states()["manager1"] == "killed", "the end of the manager")
    assert swarm.states()["worker1"] == "unknown"
    assert len(_sleepers(mark)) == 2
    swarm.run("up")
    assert swarm.states() == dict.fromkeys(NODES, "ready")
    _wait(lambda: len(_sleepers(mark)) == 3, "the service on all nodes again")
    swarm.docker("manager1", "service", "rm", "everywhere")


def test_what_can_not_be_done_is_refused_with_what_to_do(
    swarm: Swarm, other: Swarm, state_dir: Path
) -> None:
    _up(swarm)
    for sooner, words, why in (
        (swarm, ["up", "--workers", "1"], "there is a worker2 already, and 'up' removes none"),
        (swarm, ["up", "--network", "10.9.9.0/24"], f"has the network {NETWORK}.0/24"),
        (swarm, ["kill-node", "worker9"], "there are: manager1 worker1 worker2"),
        (swarm, ["kill-node", "../nodes/worker1"], "there is no node"),
        (other, ["up", "--network", f"{NETWORK}.0/24"], "another swarm has the network"),
        (other, ["up", "--network", "127.0.0.0/24"], "choose others"),
        (other, ["status"], "start one: scripts/dev-swarm.sh up"),
        (other, ["partition", "worker1"], "start one: scripts/dev-swarm.sh up"),
    ):
        refused = sooner.run(*words, check=False)
        assert refused.returncode == 1, words
        assert why in refused.stderr
    assert not other.folder.exists()
    (state_dir / "mine").touch()
    assert "is not a swarm's folder" in Swarm(state_dir, NETWORK).run("up", check=False).stderr
    assert list(state_dir.iterdir()) == [state_dir / "mine"]


def test_down_leaves_nothing_and_can_be_repeated(swarm: Swarm) -> None:
    mark = f"5{os.getpid()}"
    _up_with_a_service(swarm, mark)
    swarm.run("partition", "worker1")
    assert len(swarm.left()) > 20
    swarm.run("down")
    assert swarm.left() == []
    assert _sleepers(mark) == []
    assert not swarm.folder.exists()
    assert "there is no swarm" in swarm.run("down").stdout


@pytest.mark.parametrize("command", ["up", "down", "status", "kill-node", "partition", "heal"])
def test_each_command_explains_itself(command: str) -> None:
    said = subprocess.run([SCRIPT, command, "-h"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"Usage: scripts/dev-swarm.sh {command} [-h]")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name a command"),
        (["nonsense"], "known are: up, down, status"),
        (["up", "--workers", "many"], "a number from 0 to 99"),
        (["up", "--managers", "0"], "a number from 1 to 9"),
        (["up", "--network", "10.0.300.0/24"], "a network such as"),
        (["up", "--nonsense"], "unknown argument"),
        (["status", "-o", "xml"], "'-o json' or nothing"),
        (["heal"], "name one node"),
    ],
)
def test_wrong_words_are_refused(words: list[str], why: str) -> None:
    refused = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert why in refused.stderr


def test_who_is_not_root_is_told_so(state_dir: Path) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    words = [*nobody, "bash", "-s", "up"]
    text = SCRIPT.read_text().replace('$(dirname "${BASH_SOURCE[0]}")', str(SCRIPT.parent))
    refused = subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "HEADRACE_DEV_SWARM": str(state_dir / "swarm")},
    )  # fmt: skip
    assert refused.returncode == 1
    assert "only be made by root" in refused.stderr
    assert "run it with sudo" in refused.stderr


def _up(swarm: Swarm) -> None:
    swarm.run("up", "--network", f"{NETWORK}.0/24")


def _up_with_a_service(swarm: Swarm, mark: str) -> None:
    """Have one container on each node that sleeps for `mark` seconds."""
    _up(swarm)
    swarm.docker("manager1", "import", "-", SMALL_IMAGE, stdin=small_image_tar())
    copy = '. "$0" && docker_copy_images "$1" "$2" "$3" && docker_copy_images "$1" "$4" "$3"'
    lib = PROJECT / "scripts" / "lib" / "docker.sh"
    workers = (swarm.host("worker1"), SMALL_IMAGE, swarm.host("worker2"))
    subprocess.run(
        ["bash", "-c", copy, lib, swarm.host("manager1"), *workers],
        check=True,
        capture_output=True,
    )
    for name in swarm.docker("manager1", "service", "ls", "--format", "{{.Name}}").split():
        swarm.docker("manager1", "service", "rm", name)
    swarm.docker(
        "manager1", "service", "create", "--detach", "--name=everywhere", "--mode=global",
        "--no-resolve-image", "--stop-grace-period=1s", SMALL_IMAGE, "sleep", mark,
    )  # fmt: skip
    _wait(lambda: len(_sleepers(mark)) == 3, "a container on each node")


def _wait(condition: Any, what: str) -> None:
    asyncio.run(wait_until(condition, what, within_s=300))


def _sleepers(mark: str) -> list[int]:
    return [number for number, words in commands() if words == ["sleep", mark]]
