"""What every object store promises; an adapter joins by a line in `store`."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_model.errors import Conflict, InvalidInput, InvalidName, NotFound, TooLarge

pytestmark = pytest.mark.usefixtures("no_blocking")

TRICKS = ["", "/etc/passwd", "../out", "a/../../out", "a//b", "./a", "a\\b", "a\0b", "x.part",
          "a/" + "b" * 256, "\ud800"]  # fmt: skip


@pytest.fixture(params=["directory"])
def store(request: pytest.FixtureRequest, state_dir: Path) -> DirectoryStore:
    assert request.param == "directory"
    return DirectoryStore(state_dir / "store")


@pytest.fixture
def root(state_dir: Path) -> Path:
    """The folder of the directory store, for tests that only it can fail."""
    folder = state_dir / "store"
    folder.mkdir(exist_ok=True)
    return folder


async def test_what_was_put_is_there_whole(store: DirectoryStore) -> None:
    await store.put_bytes("a/b/c", b"abc")
    assert await store.get_bytes("a/b/c", 3) == b"abc"
    stat = await store.stat("a/b/c")
    assert stat is not None
    assert stat.size_bytes == 3


async def test_putting_again_replaces_and_repeats(store: DirectoryStore) -> None:
    for data in (b"old", b"new", b"new"):
        await store.put_bytes("key", data)
    assert await store.get_bytes("key", 10) == b"new"


async def test_an_object_that_is_not_there_is_not_found(store: DirectoryStore) -> None:
    assert await store.stat("nothing") is None
    assert await store.stat("nothing/below") is None
    with pytest.raises(NotFound):
        await store.get_bytes("nothing", 10)
    with pytest.raises(NotFound):
        await anext(store.stream("nothing"))
    with pytest.raises(NotFound):
        await store.grant_get("nothing")


async def test_a_folder_is_not_an_object(store: DirectoryStore) -> None:
    await store.put_bytes("a/b", b"x")
    assert await store.stat("a") is None
    with pytest.raises(Conflict):
        await store.put_bytes("a", b"y")
    with pytest.raises(Conflict):
        await store.put_bytes("a/b/c", b"y")
    assert await store.get_bytes("a/b", 10) == b"x"


async def test_more_than_the_limit_is_too_large(store: DirectoryStore) -> None:
    await store.put_bytes("key", b"1234")
    with pytest.raises(TooLarge):
        await store.get_bytes("key", 3)


@pytest.mark.parametrize(
    ("offset", "length", "bytes_"),
    [(0, None, b"0123456789"), (3, 4, b"3456"), (8, 9, b"89"), (10, None, b""), (0, 0, b"")],
)
async def test_any_part_can_be_streamed(
    store: DirectoryStore, offset: int, length: int | None, bytes_: bytes
) -> None:
    await store.put_bytes("key", b"0123456789")
    assert b"".join([data async for data in store.stream("key", offset, length)]) == bytes_


async def test_a_large_object_streams_in_pieces(store: DirectoryStore) -> None:
    data = os.urandom(3 * 2**20 + 17)
    await store.put_bytes("key", data)
    pieces = [piece async for piece in store.stream("key")]
    assert len(pieces) > 1
    assert b"".join(pieces) == data


@pytest.mark.parametrize("move", [False, True])
async def test_a_file_is_put_and_given_away_where_said(
    store: DirectoryStore, state_dir: Path, move: bool
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    await store.put_file("a/key", source, sha256=sha256(b"bytes").hexdigest(), move=move)
    assert await store.get_bytes("a/key", 10) == b"bytes"
    assert source.exists() is not move


@pytest.mark.parametrize("move", [False, True])
async def test_a_file_with_other_bytes_is_refused_and_kept(
    store: DirectoryStore, state_dir: Path, move: bool
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"other")
    with pytest.raises(InvalidInput, match="SHA-256"):
        await store.put_file("key", source, sha256=sha256(b"bytes").hexdigest(), move=move)
    assert await store.stat("key") is None
    assert source.read_bytes() == b"other"
    assert await store.keys("a") == []


async def test_a_copied_file_can_change_afterwards(store: DirectoryStore, state_dir: Path) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    await store.put_file("key", source)
    source.write_bytes(b"other")
    assert await store.get_bytes("key", 10) == b"bytes"


async def test_keys_are_listed_below_a_folder(store: DirectoryStore) -> None:
    for key in ("a/2", "a/1/x", "ab/3", "b"):
        await store.put_bytes(key, b"")
    assert await store.keys("a") == ["a/1/x", "a/2"]
    assert await store.keys("nothing") == []
    assert await store.keys("b") == []


async def test_a_prefix_is_deleted_whole_and_again(store: DirectoryStore) -> None:
    for key in ("a/2", "a/1/x", "ab/3"):
        await store.put_bytes(key, b"")
    for _ in range(2):
        await store.delete("a")
        assert await store.keys("a") == []
    assert await store.keys("ab") == ["ab/3"]
    await store.delete("ab/3")
    await store.delete("never/was")
    assert await store.stat("ab/3") is None


async def test_a_fetched_file_has_the_bytes(store: DirectoryStore, state_dir: Path) -> None:
    await store.put_bytes("key", b"bytes")
    await store.fetch("key", state_dir / "to" / "file")
    assert (state_dir / "to" / "file").read_bytes() == b"bytes"
    with pytest.raises(NotFound):
        await store.fetch("nothing", state_dir / "to" / "other")


@pytest.mark.parametrize("key", TRICKS)
async def test_no_key_leads_out_of_the_store(
    store: DirectoryStore, state_dir: Path, key: str
) -> None:
    (state_dir / "out").write_bytes(b"secret")
    with pytest.raises(InvalidName):
        await store.put_bytes(key, b"")
    with pytest.raises(InvalidName):
        await store.get_bytes(key, 10)
    with pytest.raises(InvalidName):
        await store.delete(key)
    with pytest.raises(InvalidName):
        await store.grant_put(key)
    with pytest.raises(InvalidName):
        await store.keys(key)
    assert (state_dir / "out").read_bytes() == b"secret"


async def test_a_grant_lets_another_program_put_and_read(store: DirectoryStore) -> None:
    path = Path((await store.grant_put("a/b/key"))["path"])
    part = path.with_name("key.12.part")
    part.write_bytes(b"half")
    assert await store.keys("a") == []
    part.rename(path)
    assert (await store.grant_get("a/b/key")) == {"path": str(path)}
    assert await store.get_bytes("a/b/key", 10) == b"half"


async def test_symbolic_links_inside_the_store_are_not_followed(
    store: DirectoryStore, root: Path, state_dir: Path
) -> None:
    outside = state_dir / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    for key in ("folder/secret", "file"):
        with pytest.raises((NotFound, Conflict)):
            await store.get_bytes(key, 10)
        with pytest.raises((NotFound, Conflict)):
            await store.grant_get(key)
    with pytest.raises(Conflict):
        await store.put_bytes("folder/new", b"x")
    with pytest.raises(Conflict):
        await store.grant_put("folder/new")
    await store.delete("folder")
    assert _names(outside) == ["secret"]
    assert not (root / "folder").is_symlink()


async def test_what_is_neither_file_nor_folder_is_no_object(
    store: DirectoryStore, root: Path
) -> None:
    os.mkfifo(root / "pipe")
    assert await store.stat("pipe") is None


async def test_a_link_that_a_crash_left_is_no_obstacle(
    store: DirectoryStore, root: Path, state_dir: Path
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    os.link(source, root / "key")
    await store.put_file("key", source, move=True)
    assert _names(root) == ["key"]
    assert not source.exists()


async def test_old_parts_are_swept_and_new_ones_kept(store: DirectoryStore, root: Path) -> None:
    await store.put_bytes("a/key", b"x")
    for name, age_s in (("old.part", 90_000), ("new.part", 10)):
        part = root / "a" / name
        part.write_bytes(b"")
        at = part.stat().st_mtime - age_s
        os.utime(part, (at, at))
    assert await store.sweep_parts() == 1
    assert _names(root / "a") == ["key", "new.part"]


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))
