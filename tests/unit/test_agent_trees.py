"""Removing what workers made, whatever they make of it meanwhile."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from headrace_agent.core.tasks import TaskRun
from headrace_agent.folders import AttemptFolder
from headrace_agent.trees import remove_tree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, which links lead to."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "kept.txt").write_text("kept")
    for each in (folder / "deep", folder):
        each.chmod(0o555)
    return folder


def _is_untouched(outside: Path) -> bool:
    modes = [each.stat().st_mode & 0o777 for each in (outside, outside / "deep")]
    return modes == [0o555, 0o555] and (outside / "deep" / "kept.txt").read_text() == "kept"


def test_all_is_removed_whatever_its_modes_and_links_are_not_followed(
    tmp_path: Path, outside: Path
) -> None:
    root = tmp_path / "root"
    for name in ("a/b/c", "closed/in", "d"):
        (root / name).mkdir(parents=True)
        (root / name / "file").touch()
    (root / "a" / "link").symlink_to(outside)
    (root / "broken").symlink_to(root / "nowhere")
    os.mkfifo(root / "d" / "fifo")
    for closed in ("closed/in", "closed", "a/b", "."):
        (root / closed).chmod(0)
    remove_tree(root)
    remove_tree(root)
    remove_tree(root / "never" / "there")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["outside"]
    assert _is_untouched(outside)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_who_is_not_root_removes_folders_that_let_nobody_in(tmp_path: Path) -> None:
    root = tmp_path / "of_nobody" / "root"
    (root / "a" / "b" / "c").mkdir(parents=True)
    for each in (root / "a" / "b" / "c", root / "a" / "b", root / "a", root, root.parent):
        os.chown(each, 65534, 65534)
        each.chmod(0o700 if each == root.parent else 0)
    # What a user may read says nothing of what this interpreter's files let it read.
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from headrace_agent.trees import remove_tree\n"
        "os.chdir(sys.argv[1]); os.setgid(65534); os.setuid(65534)\n"
        "remove_tree(Path('root'))"
    )
    subprocess.run([sys.executable, "-c", script, str(root.parent)], check=True)
    assert list(root.parent.iterdir()) == []


def test_a_tree_may_be_deeper_than_a_path_is_long_or_descriptors_are_many(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    at = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=at)
        inner = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    try:
        remove_tree(root)
        assert not root.exists()
    finally:  # what pytest could not remove either
        subprocess.run(["rm", "-rf", root], check=True)


@pytest.mark.parametrize("what", [Path.touch, lambda path: path.symlink_to("/etc")])
def test_what_a_worker_put_in_a_folders_place_is_removed(
    tmp_path: Path, what: Callable[[Path], None]
) -> None:
    what(tmp_path / "root")
    remove_tree(tmp_path / "root")
    assert list(tmp_path.iterdir()) == []
    assert Path("/etc").is_dir()


def test_folders_that_turn_into_links_meanwhile_lead_nowhere(
    tmp_path: Path, outside: Path
) -> None:
    made, root = tmp_path / "made", tmp_path / "root"
    over = Event()

    def swap() -> None:
        """Be a worker that changes places of folder and link without end."""
        while not over.is_set():
            with suppress(OSError):
                os.rename(root / "a" / "b", root / "a" / "aside")
                os.symlink(outside, root / "a" / "b")
                os.unlink(root / "a" / "b")
                os.rename(root / "a" / "aside", root / "a" / "b")

    swapping = Thread(target=swap)
    swapping.start()
    try:
        for _ in range(150):
            for name in ("0", "1", "b/deep", "b/in", "c"):
                (made / "a" / name).mkdir(parents=True)
            (made / "a" / "b" / "deep").chmod(0)
            (made / "a" / "b").chmod(0o500)
            made.rename(root)
            while root.exists():
                with suppress(OSError):  # it may lose a race, as who writes into it goes on
                    remove_tree(root)
                assert _is_untouched(outside)
    finally:
        over.set()
        swapping.join()


def test_who_writes_on_and_on_does_not_hold_the_agent_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "0").mkdir(parents=True)
    plain, made = os.listdir, itertools.count(1)

    def and_write(folder: int) -> list[str]:
        names = plain(folder)
        os.mkdir(str(next(made)), dir_fd=folder)
        return names

    with monkeypatch.context() as writing:
        writing.setattr("headrace_agent.trees.os.listdir", and_write)
        with pytest.raises(OSError, match="written into while it is removed"):
            remove_tree(root)
    remove_tree(root)
    assert not root.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
def test_what_links_of_a_worker_name_is_given_to_nobody(tmp_path: Path, outside: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1", user=(10001, 10001))
    folder.make()
    run = TaskRun(0, 1)
    (folder.output / run.name).symlink_to(outside)
    (folder.root / "work").rmdir()
    (folder.root / "work").symlink_to(outside)
    folder.make()
    folder.make_outputs([run])
    assert [each.stat().st_uid for each in (outside, outside / "deep")] == [0, 0]
    folder.remove_outputs([run])
    assert list(folder.output.iterdir()) == []
    folder.remove()
    assert _is_untouched(outside)
