"""Software environments leave a node again: least recently used first, none that is in use."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace_agent.environments import BuiltEnvironment, Environments, NodePython
from headrace_agent.folders import remove_tree

SIZE_BYTES = 1_000


class QuickPython(NodePython):
    """Makes an environment of one file; `built` counts, and a build can be made to wait."""

    def __init__(self) -> None:
        super().__init__(os.environ)
        self.built = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def run(self, ready: Path, command: Sequence[str]) -> tuple[int, str]:
        await self.go_on.wait()
        if "venv" in command:
            self.built += 1
            (ready / "lib").mkdir()
            (ready / "lib" / "code.py").write_bytes(b"x" * SIZE_BYTES)
        return 0, ""


def _there(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


class Node:
    """The environments of a node, and the folders of attempts beside them."""

    def __init__(self, folder: Path, room_for: int) -> None:
        self.root = folder / "environments"
        self.python = QuickPython()
        self.attempts = folder / "attempts"
        self.environments = self.again(room_for)

    def again(self, room_for: int) -> Environments:
        """As an agent that starts finds them."""
        limit_bytes = int((room_for + 0.5) * SIZE_BYTES)
        return Environments(self.root, limit_bytes, self.python)

    async def use(self, lock: bytes, run: str) -> BuiltEnvironment:
        (self.attempts / run).mkdir(parents=True, exist_ok=True)
        return await self.environments.build(lock, self.attempts / run / "environment")

    def end(self, run: str) -> None:
        remove_tree(self.attempts / run)


async def test_the_least_recently_used_goes_first_and_only_as_far_as_it_must(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path, room_for=2)
    made = {lock: await node.use(lock, lock.decode()) for lock in (b"a", b"b", b"c")}
    await node.use(b"a", "a")
    assert node.python.built == 3, "what is there is not built again"
    for run in "abc":
        node.end(run)
    # What each was used at is told apart by the clock of files, which may be coarse.
    for at, lock in enumerate((b"b", b"c", b"a")):
        os.utime(made[lock].folder / "complete", ns=(at, at))
    assert await node.environments.trim() >= SIZE_BYTES
    assert _there(node.root) == {made[b"a"].folder.name, made[b"c"].folder.name}
    assert await node.environments.trim() == 0


async def test_to_use_an_environment_makes_it_the_last_to_go(tmp_path: Path) -> None:
    node = Node(tmp_path, room_for=1)
    made = {lock: await node.use(lock, lock.decode()) for lock in (b"a", b"b")}
    for at, lock in enumerate(made):
        os.utime(made[lock].folder / "complete", ns=(at, at))
    await node.use(b"a", "a")
    for run in "ab":
        node.end(run)
    await node.environments.trim()
    assert _there(node.root) == {made[b"a"].folder.name}


async def test_what_an_attempt_uses_stays_also_for_the_next_run_of_the_agent(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path, room_for=0)
    used, ended = await node.use(b"a", "used"), await node.use(b"b", "ended")
    await node.use(b"a", "used")
    node.end("ended")
    node.environments = node.again(room_for=0)
    await node.environments.trim()
    assert (used.folder / "lib" / "code.py").exists()
    assert not ended.folder.exists()
    node.end("used")
    await node.environments.trim()
    assert _there(node.root) == set()


async def test_what_is_being_built_stays(tmp_path: Path) -> None:
    node = Node(tmp_path, room_for=0)
    node.python.go_on.clear()
    building = asyncio.create_task(node.use(b"a" * SIZE_BYTES, "a"))
    while not node.root.exists():  # noqa: ASYNC110 - a thread makes it
        await asyncio.sleep(0.01)
    assert await node.environments.trim() == 0
    node.python.go_on.set()
    assert ((await building).folder / "lib" / "code.py").exists()


async def test_what_a_killed_build_or_removal_left_goes_too(tmp_path: Path) -> None:
    node = Node(tmp_path, room_for=0)
    (node.root / "left" / "lib").mkdir(parents=True)
    (node.root / "left" / "lib" / "code.py").write_bytes(b"x" * SIZE_BYTES)
    (node.root / "left" / "lib").chmod(0o500)
    assert await node.environments.trim() == SIZE_BYTES
    assert _there(node.root) == set()


async def test_a_file_of_somebody_else_among_them_stops_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, room_for=0)
    await node.use(b"one", "a.1")
    (node.root / "README").write_text("a note")
    node.end("a.1")
    assert await node.environments.trim() > 0
    assert _there(node.root) == {"README"}


async def test_a_repeated_launch_never_leaves_its_environment_without_a_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, room_for=0)
    built = await node.use(b"one", "a.1")

    def die(*_: object) -> None:
        raise SystemExit("killed")

    for call in ("unlink", "replace"):
        monkeypatch.setattr(Path, call, die)
    await node.use(b"one", "a.1")
    monkeypatch.undo()
    assert (built.folder / "complete").stat().st_nlink == 2
