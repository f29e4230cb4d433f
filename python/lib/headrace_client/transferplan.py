"""What a transfer will move: both sides are compared by SHA-256 before a byte is sent or fetched.

What is on the receiving side alone stays as it is: a transfer removes nothing.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from headrace_client.globs import Excluded, fits, has_magic
from headrace_client.localfiles import LocalFile, hash_of
from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput, NotFound
from headrace_wire.batch import BATCH_FILES, TAKE_BYTES

_LARGE_AT_ONCE: Final = 8
_AT_ONCE: Final = 256  # small files that one turn of a thread reads
_SMALL_BYTES: Final = 1 << 20
Item = Mapping[str, Any]
T = TypeVar("T")


class Action(StrEnum):
    """What happens to a file: it is new on the other side, replaces another one, or is there; or
    it is taken from the version before, where it is the same, without its bytes.
    """

    NEW = "new"
    REPLACE = "replace"
    SKIP = "skip"
    TAKE = "take"


_MOVES: Final = frozenset({Action.NEW, Action.REPLACE})


@dataclass(frozen=True, slots=True)
class Step:
    """One file of a transfer; `sha256` is "" for one that will be read when it is uploaded."""

    item: str
    path: Path
    size_bytes: int
    action: Action
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All files of a transfer, in order of their item paths."""

    steps: tuple[Step, ...]

    @property
    def moving(self) -> tuple[Step, ...]:
        """Those whose bytes go over the line."""
        return tuple(step for step in self.steps if step.action in _MOVES)

    @property
    def all_there(self) -> bool:
        """Whether nothing is to be done."""
        return all(step.action is Action.SKIP for step in self.steps)

    def acting(self, action: Action) -> tuple[Step, ...]:
        """Those to which one thing happens."""
        return tuple(step for step in self.steps if step.action is action)

    @property
    def moving_bytes(self) -> int:
        """The size in bytes of those."""
        return sum(step.size_bytes for step in self.moving)

    @property
    def size_bytes(self) -> int:
        """The size in bytes of all files."""
        return sum(step.size_bytes for step in self.steps)

    def to_plain(self) -> dict[str, Any]:
        """The plan in JSON: `moving_bytes` and the files as {path, size_bytes, action}."""
        return {
            "moving_bytes": self.moving_bytes,
            "items": [
                {"path": step.item, "size_bytes": step.size_bytes, "action": step.action.value}
                for step in self.steps
            ],
        }


async def plan_upload(
    files: Sequence[LocalFile], there: Mapping[str, Item], before: Mapping[str, Item]
) -> Plan:
    """Compare files, by path, with the items of a dataset and of the version before it."""
    sizes = await asyncio.to_thread(sizes_of, files)
    pairs = list(zip(files, sizes, strict=True))
    alike = [
        (file.path, size, str(items[file.item]["sha256"]))
        for file, size in pairs
        for items in (there, before)
        if file.item in items and int(items[file.item]["size_bytes"]) == size
    ]
    same = await _same(list(dict.fromkeys(alike)))
    steps = []
    for file, size in pairs:
        digest = str(there[file.item]["sha256"]) if file.item in there else ""
        if (file.path, digest) in same:
            steps.append(Step(file.item, file.path, size, Action.SKIP, digest))
            continue
        earlier = str(before[file.item]["sha256"]) if file.item in before else ""
        if (file.path, earlier) in same:
            steps.append(Step(file.item, file.path, size, Action.TAKE, earlier))
        else:
            action = Action.REPLACE if digest else Action.NEW
            steps.append(Step(file.item, file.path, size, action))
    return Plan(tuple(steps))


async def plan_download(items: Iterable[Item], folder: Path) -> Plan:
    """Compare items with the files of a folder. A server can name no file outside of it."""
    wanted = [(each, folder / check_item_path(each["path"])) for each in items]
    sizes = await asyncio.to_thread(lambda: [_size_of(path) for _, path in wanted])
    alike = [
        (path, size, str(each["sha256"]))
        for (each, path), size in zip(wanted, sizes, strict=True)
        if size == int(each["size_bytes"])
    ]
    same = await _same(alike)
    steps = []
    for (each, path), size in zip(wanted, sizes, strict=True):
        action = Action.NEW if size is None else Action.REPLACE
        action = Action.SKIP if (path, each["sha256"]) in same else action
        steps.append(Step(each["path"], path, int(each["size_bytes"]), action, each["sha256"]))
    return Plan(tuple(steps))


def chosen(items: Sequence[Item], wanted: Sequence[str], exclude: Sequence[str]) -> list[Item]:
    """Items by paths, folders or patterns (none: all), without those that are excluded.

    Raises `NotFound` for a path or pattern that no item fits, `InvalidInput`.
    """
    excluded = Excluded(tuple(exclude))
    paths = [str(each["path"]) for each in items]
    picked: set[str] = set()
    for each in (name.rstrip("/") or name for name in wanted):
        found = [path for path in paths if path == each or path.startswith(f"{each}/")]
        if not found and has_magic(each):
            found = [path for path in paths if fits(path, each)]
        if not found:
            raise NotFound(
                f"no item fits {each[:200]!r}", hint="`headrace dataset items` lists them"
            )
        picked.update(found)
    return [
        each
        for each in items
        if (not wanted or each["path"] in picked) and each["path"] not in excluded
    ]


def groups_of(steps: Sequence[Step]) -> list[list[Step]]:
    """Cut what is taken from another dataset into what one request may take."""
    groups: list[list[Step]] = []
    size = 0
    for step in steps:
        size += step.size_bytes
        if not groups or size > TAKE_BYTES or len(groups[-1]) == BATCH_FILES:
            groups.append([])
            size = step.size_bytes
        groups[-1].append(step)
    return groups


def the_one(items: Sequence[Item]) -> Item:
    """The item that standard output can take; raises `InvalidInput` where there are several."""
    if len(items) == 1:
        return items[0]
    raise InvalidInput(
        f"standard output takes one item, and {len(items)} are asked for",
        hint="name it: `headrace dataset download DATASET - ITEM`",
    )


def sizes_of(files: Sequence[LocalFile]) -> list[int]:
    """The sizes of files in bytes. Blocks."""
    return [file.path.stat().st_size for file in files]


async def all_of(work: Sequence[Awaitable[T]]) -> list[T]:
    """Wait for all; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _same(files: Sequence[tuple[Path, int, str]]) -> set[tuple[Path, str]]:
    """Those of (path, size, SHA-256) that hold just this."""
    gate = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def large(path: Path, digest: str) -> set[tuple[Path, str]]:
        async with gate:
            return {(path, digest)} if await hash_of(path) == digest else set()

    small = [(path, digest) for path, size, digest in files if size <= _SMALL_BYTES]
    same: set[tuple[Path, str]] = set()
    for at in range(0, len(small), _AT_ONCE):
        same |= await asyncio.to_thread(_same_small, small[at : at + _AT_ONCE])
    rest = [large(path, digest) for path, size, digest in files if size > _SMALL_BYTES]
    return same.union(*await all_of(rest))


def _same_small(files: Sequence[tuple[Path, str]]) -> set[tuple[Path, str]]:
    return {each for each in files if sha256(each[0].read_bytes()).hexdigest() == each[1]}


def _size_of(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
