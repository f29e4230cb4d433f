"""What a worker leaves behind is kept only where it is plain files of its own."""

import asyncio
import os
import socket
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from headrace_agent.cache import Cache, CorruptItem, StagedItem
from headrace_agent.collect import BadOutput, FoundFile, find_files, put_file
from headrace_agent.grants import Grant
from headrace_agent.transfers import Transfers
from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.node import Cached

MANY = 1_000


@pytest.fixture
def root(state_dir: Path) -> Path:
    folder = state_dir / "attempt" / "output"
    folder.mkdir(parents=True)
    (folder / "good.txt").write_text("good")
    return folder


@pytest.fixture
def secret(state_dir: Path) -> Path:
    folder = state_dir / "secret"
    folder.mkdir()
    (folder / "key.txt").write_text("secret")
    return folder


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def paths(found: tuple[FoundFile, ...]) -> list[str]:
    return [file.path for file in found]


def test_files_are_found_in_order_of_path_with_their_hashes(root: Path) -> None:
    (root / "b").mkdir()
    (root / "b" / "c.txt").write_text("1")
    (root / "b.txt").write_text("2")
    found = find_files(root, MANY)
    assert paths(found) == sorted(["b.txt", "b/c.txt", "good.txt"])
    assert all(
        file.sha256 == sha256((root / file.path).read_bytes()).hexdigest() for file in found
    )
    assert [file.size_bytes for file in found] == [1, 1, 4]


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_no_files_are_no_error(state_dir: Path, there: bool) -> None:
    if there:
        (state_dir / "output").mkdir()
    assert find_files(state_dir / "output", MANY) == ()


@pytest.mark.parametrize("make", [fifo, bound_socket])
def test_what_is_no_regular_file_is_refused_by_name(
    root: Path, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(make)
    (root / "d").mkdir()
    monkeypatch.chdir(root / "d")  # a socket's path has to be short
    make(Path("odd.bin"))
    with pytest.raises(BadOutput, match=r"d/odd\.bin"):
        find_files(root, MANY)


@pytest.mark.parametrize("target", ["key.txt", ".", "nothing"], ids=["file", "folder", "dangling"])
def test_a_symlink_is_refused_by_name_and_not_followed(
    root: Path, secret: Path, target: str
) -> None:
    (root / "d").mkdir()
    (root / "d" / "link").symlink_to(secret / target)
    with pytest.raises(BadOutput, match="d/link") as refused:
        find_files(root, MANY)
    assert "key.txt" not in str(refused.value)


def test_a_hard_link_to_somebody_elses_file_is_refused_by_name(root: Path, secret: Path) -> None:
    os.link(secret / "key.txt", root / "mine.txt")
    with pytest.raises(BadOutput, match=r"mine\.txt"):
        find_files(root, MANY)


def test_an_output_folder_that_became_a_symlink_is_refused(root: Path, secret: Path) -> None:
    (root / "good.txt").unlink()
    root.rmdir()
    root.symlink_to(secret)
    with pytest.raises(BadOutput, match="output"):
        find_files(root, MANY)


def test_the_folder_of_several_outputs_that_became_a_symlink_is_refused(
    root: Path, secret: Path
) -> None:
    (secret / "flow").mkdir()
    (secret / "flow" / "key.txt").write_text("secret")
    (root / "good.txt").unlink()
    root.rmdir()
    root.symlink_to(secret)
    with pytest.raises(BadOutput, match="flow"):
        find_files(root / "flow", MANY)


@pytest.mark.parametrize(
    "name", [b"new\nline", b"back\\slash", b"\xff\xfe", b"\x1b[31m"], ids=repr
)
def test_a_name_that_no_store_takes_is_refused(root: Path, name: bytes) -> None:
    with open(os.path.join(os.fsencode(root), name), "wb") as file:
        file.write(b"odd")
    with pytest.raises(BadOutput, match="can't be"):
        find_files(root, MANY)


@pytest.mark.parametrize("name", ["with space", "üñí.txt", "-rf", "a:b", "...", ".hidden", "%2e"])
def test_odd_names_that_are_safe_are_kept(root: Path, name: str) -> None:
    (root / name).write_text("odd")
    assert name in paths(find_files(root, MANY))


def test_too_many_files_are_refused(root: Path) -> None:
    for number in range(3):
        (root / f"{number}.txt").touch()
    assert len(find_files(root, 4)) == 4
    with pytest.raises(BadOutput, match="more than 3 files"):
        find_files(root, 3)


def test_a_folder_that_cannot_be_read_is_refused_by_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "locked").mkdir()
    opens = os.open

    def refuse(path: Any, *how: Any, **where: Any) -> int:
        if path == "locked":
            raise PermissionError(13, "Permission denied", path)
        return opens(path, *how, **where)

    monkeypatch.setattr(os, "open", refuse)  # the tests may run as root, who reads every folder
    with pytest.raises(BadOutput, match="locked"):
        find_files(root, MANY)


def test_what_is_put_is_what_was_found_and_again_is_success(root: Path, state_dir: Path) -> None:
    (found,) = find_files(root, MANY)
    grant = state_dir / "store" / "a" / "b"
    for nonce in ("1", "2"):
        put_file(root, found, grant, nonce)
    assert grant.read_text() == "good"
    assert os.listdir(grant.parent) == ["b"], "no part is left"


def test_a_damaged_copy_in_the_store_is_put_again(root: Path, state_dir: Path) -> None:
    (found,) = find_files(root, MANY)
    grant = state_dir / "granted"
    grant.write_text("evil")
    put_file(root, found, grant, "1")
    assert grant.read_text() == "good"


@pytest.mark.parametrize("text", ["evil", "longer than before", ""])
def test_a_file_that_changed_while_it_was_collected_is_refused(
    root: Path, state_dir: Path, text: str
) -> None:
    (found,) = find_files(root, MANY)
    (root / "good.txt").write_text(text)
    with pytest.raises(BadOutput, match=r"good\.txt.* changed"):
        put_file(root, found, state_dir / "granted", "1")
    assert not list(state_dir.glob("granted*"))


@pytest.mark.parametrize("replaced", ["d", "d/x.txt"], ids=["folder", "file"])
def test_what_became_a_symlink_meanwhile_is_not_read(
    root: Path, state_dir: Path, secret: Path, replaced: str
) -> None:
    (root / "d").mkdir()
    (root / "d" / "x.txt").write_text("secret")
    (secret / "x.txt").write_text("secret")
    found = find_files(root, MANY)[0]
    assert found.path == "d/x.txt"
    (root / replaced).rename(state_dir / "moved")
    (root / replaced).symlink_to(secret if replaced == "d" else secret / "x.txt")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        put_file(root, found, state_dir / "granted", "1")
    assert not list(state_dir.glob("granted*"))


def test_what_became_a_fifo_meanwhile_is_not_waited_for(root: Path, state_dir: Path) -> None:
    (found,) = find_files(root, MANY)
    (root / "good.txt").unlink()
    os.mkfifo(root / "good.txt")
    with pytest.raises(BadOutput, match="changed"):
        put_file(root, found, state_dir / "granted", "1")


def item(store: Path, path: str, text: str, told: str | None = None) -> StagedItem:
    digest = sha256(text.encode()).hexdigest()
    store.mkdir(exist_ok=True)
    (store / digest).write_text(text)
    return StagedItem(path, len(text), told or digest, Grant(path=store / digest))


async def never(_item: StagedItem, _old: Grant) -> Grant:
    raise AssertionError("a path is valid for ever")


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("??/*"))


async def test_inputs_are_read_only_views_of_one_copy(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache", 1_000, Transfers())
    wet = item(state_dir / "store", "a/b.txt", "wet")
    for folder in ("one", "other", "one"):
        await cache.stage([wet], state_dir / folder, never)
    seen = [state_dir / folder / "a/b.txt" for folder in ("one", "other")]
    assert {path.read_text() for path in seen} == {"wet"}
    assert len({path.stat().st_ino for path in seen}) == 1
    assert {path.stat().st_mode & 0o222 for path in (*seen, state_dir / "one")} == {0}
    (state_dir / "one").chmod(0o700)
    assert entries(state_dir / "cache") == [wet.sha256]


async def test_a_wrong_sha256_is_refused_and_leaves_nothing(state_dir: Path) -> None:
    wrong = item(state_dir / "store", "rain.txt", "wet", told="0" * 64)
    with pytest.raises(CorruptItem, match=r"rain\.txt"):
        await Cache(state_dir / "cache", 1_000, Transfers()).stage(
            [wrong], state_dir / "view", never
        )
    assert entries(state_dir / "cache") == []
    assert not (state_dir / "view" / "rain.txt").exists()


async def test_a_modified_entry_is_fetched_again(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache", 1_000, Transfers())
    wet = item(state_dir / "store", "rain.txt", "wet")
    await cache.stage([wet], state_dir / "one", never)
    (cached,) = (state_dir / "cache").glob("??/*")
    cached.chmod(0o600)
    cached.write_text("dry")
    await cache.stage([wet], state_dir / "other", never)
    assert (state_dir / "other" / "rain.txt").read_text() == "wet"


async def test_two_who_stage_the_same_at_once_fetch_it_once(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache", 1_000, Transfers())
    wet = item(state_dir / "store", "rain.txt", "wet")
    await asyncio.gather(*(cache.stage([wet], state_dir / f"view{n}", never) for n in range(8)))
    assert len({(state_dir / f"view{n}" / "rain.txt").stat().st_ino for n in range(8)}) == 1


@pytest.mark.parametrize("path", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "", "a\\b"])
async def test_a_path_that_leaves_the_folder_is_refused(state_dir: Path, path: str) -> None:
    trick = item(state_dir / "store", path, "evil")
    with pytest.raises(InvalidName):
        await Cache(state_dir / "cache", 1_000, Transfers()).stage(
            [trick], state_dir / "d" / "view", never
        )
    assert "out.txt" not in [name for _, _, names in os.walk(state_dir) for name in names]


async def test_trimming_removes_the_least_used_and_keeps_what_is_viewed(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache", 10, Transfers())
    old, viewed, new = (item(state_dir / "store", "x", text * 6) for text in "ovn")
    for each in (viewed, old, new):
        await cache.stage([each], state_dir / each.sha256, never)
    for each in (old, new):
        (state_dir / each.sha256).chmod(0o700)
        (state_dir / each.sha256 / "x").unlink()
    assert await cache.trim() == 12, "what a worker views is never removed"
    assert entries(state_dir / "cache") == [viewed.sha256]
    (state_dir / viewed.sha256).chmod(0o700)
    (state_dir / viewed.sha256 / "x").unlink()
    assert await cache.trim() == 0, "it fits by now"


async def test_the_cache_knows_which_datasets_it_holds_whole(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache" / "sha256", 10, Transfers())
    assert await cache.held() == (Cached(0, 0, 0), {})
    both = [replace(item(state_dir / "store", name, name * 4), dataset="d1") for name in "ab"]
    other = replace(item(state_dir / "store", "c", "cccc"), dataset="d2")
    await cache.stage([*both, other], state_dir / "view", never)
    assert await cache.held() == (Cached(12, 3, 2), {"d1": 8, "d2": 4})
    (state_dir / "view").chmod(0o700)
    (state_dir / "view" / "a").unlink()
    assert await cache.trim() == 4
    assert await cache.held() == (Cached(8, 2, 1), {"d2": 4}), "of d1 a file is gone"
    await cache.stage(both, state_dir / "again", never)
    assert await cache.held() == (Cached(12, 3, 2), {"d1": 8, "d2": 4})


async def test_the_name_of_a_dataset_leads_nowhere_else(state_dir: Path) -> None:
    cache = Cache(state_dir / "cache" / "sha256", 10, Transfers())
    trick = replace(item(state_dir / "store", "a", "a"), dataset="../trick")
    with pytest.raises(InvalidInput):
        await cache.stage([trick], state_dir / "view", never)
    assert not (state_dir / "cache" / "trick").exists()
