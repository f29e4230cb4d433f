"""What an aborted test run leaves is found and ended; what lives is left alone."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import run_root as roots
from tests.support.small_disk import small_file_system
from tests.support.wait import wait_until


@pytest.fixture(params=["a process that the tests started", "a worker"])
def sleeper(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that names `tmp_path / "root"`, and ends with the test at the latest."""
    root = str(tmp_path / "root")
    named = {"HEADRACE_JOB_FILE": f"{root}/1/job.json"}
    if request.param != "a worker":
        named = {**os.environ, roots.VARIABLE: root}
    environment = {"PATH": os.environ["PATH"], **named}
    process = subprocess.Popen(["sleep", "60"], env=environment)
    # It is started a moment before the kernel tells its environment.
    environ = Path(f"/proc/{process.pid}/environ")
    asyncio.run(wait_until(environ.read_bytes, "its environment"))
    yield process
    process.kill()
    process.wait()


def test_a_process_that_names_the_root_is_killed_and_reported(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    [ended] = roots.end_leftovers(tmp_path / "root")
    assert str(ended) == f"process {sleeper.pid}: sleep 60"
    assert sleeper.wait(5) == -9


def test_a_process_that_names_another_root_lives_on(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert roots.end_leftovers(tmp_path / "roo") == []
    assert roots.end_leftovers(tmp_path / "root2") == []
    assert sleeper.poll() is None


def test_the_folder_of_a_living_run_stays(tmp_path: Path) -> None:
    root = roots.make_root(tmp_path)
    assert roots.remove_stale_roots(tmp_path) == []
    assert root.is_dir()


@pytest.mark.parametrize(
    "start_of_owner",
    ["1", "999999999999"],
    ids=["its number went to a later process", "nobody has that start time"],
)
def test_the_folder_of_a_run_that_is_gone_is_removed(tmp_path: Path, start_of_owner: str) -> None:
    stale = tmp_path / f"{roots.PREFIX}{os.getpid()}-{start_of_owner}"
    (stale / "1").mkdir(parents=True)
    assert roots.remove_stale_roots(tmp_path) == []
    assert not stale.exists()


def test_the_processes_of_a_run_that_is_gone_end_before_its_folder(tmp_path: Path) -> None:
    stale = tmp_path / f"{roots.PREFIX}{os.getpid()}-1"
    stale.mkdir()
    process = subprocess.Popen(
        ["sleep", "60"], env={**os.environ, roots.VARIABLE: str(stale)}, cwd=stale
    )
    try:
        assert [each.pid for each in roots.remove_stale_roots(tmp_path)] == [process.pid]
        assert process.wait(5) == -9
    finally:
        process.kill()
        process.wait()
    assert not stale.exists()


def test_what_an_aborted_run_had_mounted_goes_with_its_folder(tmp_path: Path) -> None:
    root = tmp_path / f"{roots.PREFIX}{os.getpid()}-1"
    (root / "disk").mkdir(parents=True)
    with ExitStack() as aborted:
        if reason := aborted.enter_context(small_file_system(root / "disk", 1)):
            pytest.skip(reason)
        (root / "disk" / "file").touch()
        aborted.pop_all()  # nobody unmounts it
    assert roots.remove_stale_roots(tmp_path) == []
    assert not root.exists()


def test_folders_of_other_names_and_links_stay(tmp_path: Path) -> None:
    other = tmp_path / f"{roots.PREFIX}mine"
    other.mkdir()
    link = tmp_path / f"{roots.PREFIX}{os.getpid()}-1"
    link.symlink_to(other)
    roots.remove_stale_roots(tmp_path)
    assert other.is_dir()
    assert link.is_symlink()


def test_a_state_dir_leaves_room_for_socket_names(state_dir: Path) -> None:
    assert list(state_dir.iterdir()) == []
    assert len(bytes(state_dir)) <= 70
