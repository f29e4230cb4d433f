"""What every object store promises; an adapter joins by a line in `store`."""

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES
from headrace_adapters.s3.store import Limits, S3Store
from headrace_model.errors import (
    Conflict,
    HeadraceError,
    InvalidInput,
    InvalidName,
    NotFound,
    TooLarge,
)
from headrace_ports.arriving import Arriving
from headrace_ports.object_store import Grant, ObjectStore
from tests.support.s3_servers import S3Server

pytestmark = pytest.mark.usefixtures("no_blocking")

Servers = Callable[[str], S3Server]
PART = SMALLEST_PART_BYTES
SMALL = Limits(part_bytes=PART, grant_part_bytes=PART, parallel=2, patience_s=5.0)

TRICKS = ["", "/etc/passwd", "../out", "a/../../out", "a//b", "./a", "a\\b", "a\0b", "x.part",
          "a/" + "b" * 256, "\ud800"]  # fmt: skip


ODD_KEYS = [
    "unicode/größe 水/é e\u0301",
    "per%cent/%41%2F",
    "plus+sign/a+b c",
    "q'u\"o/t'e\"s",
    "a&b=c?d#e/;:@,$!*()[]{}<>|^`~",
    "é" * 127,
    "/".join(["x" * 200] * 4) + "/" + "y" * 154,  # with the prefix of the test 1,024 bytes
    " lead/trail ",
    "emoji/\U0001f600",
    "dots/..x/x..",
]


@pytest.fixture(params=["directory", "juicefs", "seaweedfs"])
async def store(
    request: pytest.FixtureRequest, state_dir: Path, s3_servers: Servers
) -> AsyncIterator[ObjectStore]:
    if request.param == "directory":
        yield DirectoryStore(state_dir / "store")
        return
    server = s3_servers(request.param)
    # A prefix of its own for each test, always of 64 bytes.
    prefix = sha256(str(state_dir).encode()).hexdigest()
    # As in production, where a service is wired before its loop runs.
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    found = S3Store(parse_location(f"{server.url}/{prefix}"), credentials, SMALL)
    try:
        yield found
    finally:
        await found.close()


@pytest.fixture
def directory(state_dir: Path) -> DirectoryStore:
    """For what only a directory can tell."""
    return DirectoryStore(state_dir / "store")


@pytest.fixture
def root(state_dir: Path) -> Path:
    """The folder of the directory store, for tests that only it can fail."""
    folder = state_dir / "store"
    folder.mkdir(exist_ok=True)
    return folder


async def test_what_was_put_is_there_whole(store: ObjectStore) -> None:
    await store.put_bytes("a/b/c", b"abc")
    assert await store.get_bytes("a/b/c", 3) == b"abc"
    stat = await store.stat("a/b/c")
    assert stat is not None
    assert stat.size_bytes == 3


async def test_putting_again_replaces_and_repeats(store: ObjectStore) -> None:
    for data in (b"old", b"new", b"new"):
        await store.put_bytes("key", data)
    assert await store.get_bytes("key", 10) == b"new"


async def test_an_object_gets_a_second_key_and_each_goes_by_itself(store: ObjectStore) -> None:
    odd = "from/größe b/c+d%41"
    contents = {"from/a": b"abc", odd: os.urandom(2**20), "from/empty": b""}
    await store.put_many(contents)
    copies = {f"to/{number}": key for number, key in enumerate(contents)}
    for _ in range(2):
        await store.copy_many(copies)
    await store.delete("from")
    for key, source in copies.items():
        assert await store.get_bytes(key, 2**20) == contents[source]
    await store.put_bytes("from/a", b"new")
    assert await store.get_bytes("to/0", 10) == b"abc"
    await store.delete("to")
    assert await store.get_bytes("from/a", 10) == b"new"


async def test_objects_are_read_for_their_sha256_as_long_as_they_are_what_was_listed(
    store: ObjectStore,
) -> None:
    contents = {f"at/{number}": os.urandom(number * 40_000) for number in range(20)}
    await store.put_many(contents)
    for prefix in ("at", ""):
        listed = {each.key: each for each in await store.page(prefix)}
        assert {key: each.size_bytes for key, each in listed.items()} == {
            key: len(data) for key, data in contents.items()
        }
        stamps = {key: each.stamp for key, each in listed.items()}
        for key, stamp in stamps.items():
            stat = await store.stat(key)
            assert stat is not None
            assert stat.stamp == stamp
        assert await store.digests(stamps) == {
            key: sha256(data).hexdigest() for key, data in contents.items()
        }
    await store.put_bytes("at/3", os.urandom(120_000))
    with pytest.raises(Conflict, match="at/3"):
        await store.digests(stamps)
    await store.delete("at/3")
    with pytest.raises(NotFound):
        await store.digests(stamps)
    assert await store.digests({}) == {}


async def test_nothing_is_copied_from_nothing_or_by_a_trick(store: ObjectStore) -> None:
    await store.put_bytes("a", b"1")
    with pytest.raises(NotFound):
        await store.copy_many({"b": "nothing"})
    with pytest.raises(InvalidName):
        await store.copy_many({"b": "../a"})
    with pytest.raises(InvalidName):
        await store.copy_many({"../b": "a"})
    assert await store.stat("b") is None


async def test_an_object_that_is_not_there_is_not_found(store: ObjectStore) -> None:
    assert await store.stat("nothing") is None
    assert await store.stat("nothing/below") is None
    with pytest.raises(NotFound):
        await store.get_bytes("nothing", 10)
    with pytest.raises(NotFound):
        await anext(store.stream("nothing"))


async def test_a_directory_tells_that_a_folder_is_no_object(directory: DirectoryStore) -> None:
    await directory.put_bytes("a/b", b"x")
    assert await directory.stat("a") is None
    with pytest.raises(Conflict):
        await directory.put_bytes("a", b"y")
    with pytest.raises(Conflict):
        await directory.put_bytes("a/b/c", b"y")
    assert await directory.get_bytes("a/b", 10) == b"x"


async def test_more_than_the_limit_is_too_large(store: ObjectStore) -> None:
    await store.put_bytes("key", b"1234")
    with pytest.raises(TooLarge):
        await store.get_bytes("key", 3)


@pytest.mark.parametrize(
    ("offset", "length", "bytes_"),
    [(0, None, b"0123456789"), (3, 4, b"3456"), (8, 9, b"89"), (10, None, b""), (0, 0, b"")],
)
async def test_any_part_can_be_streamed(
    store: ObjectStore, offset: int, length: int | None, bytes_: bytes
) -> None:
    await store.put_bytes("key", b"0123456789")
    assert b"".join([data async for data in store.stream("key", offset, length)]) == bytes_


async def test_a_large_object_streams_in_pieces(store: ObjectStore) -> None:
    data = os.urandom(3 * 2**20 + 17)
    await store.put_bytes("key", data)
    pieces = [piece async for piece in store.stream("key")]
    assert len(pieces) > 1
    assert b"".join(pieces) == data


@pytest.mark.parametrize("move", [False, True])
async def test_a_file_is_put_and_given_away_where_said(
    store: ObjectStore, state_dir: Path, move: bool
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    await store.put_file("a/key", source, sha256=sha256(b"bytes").hexdigest(), move=move)
    assert await store.get_bytes("a/key", 10) == b"bytes"
    assert source.exists() is not move


@pytest.mark.parametrize("move", [False, True])
async def test_a_file_with_other_bytes_is_refused_and_kept(
    store: ObjectStore, state_dir: Path, move: bool
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"other")
    with pytest.raises(InvalidInput, match="SHA-256"):
        await store.put_file("key", source, sha256=sha256(b"bytes").hexdigest(), move=move)
    assert await store.stat("key") is None
    assert source.read_bytes() == b"other"
    assert await store.keys("a") == []


async def test_a_copied_file_can_change_afterwards(store: ObjectStore, state_dir: Path) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    await store.put_file("key", source)
    source.write_bytes(b"other")
    assert await store.get_bytes("key", 10) == b"bytes"


async def test_keys_are_listed_below_a_folder(store: ObjectStore) -> None:
    for key in ("a/2", "a/1/x", "ab/3", "b"):
        await store.put_bytes(key, b"")
    assert await store.keys("a") == ["a/1/x", "a/2"]
    assert await store.keys("nothing") == []
    assert await store.keys("b") == []


async def pages(store: ObjectStore, prefix: str, most: int) -> list[list[str]]:
    """All pages of a list."""
    found: list[list[str]] = []
    while page := await store.page(prefix, found[-1][-1] if found else "", most):
        found.append([each.key for each in page])
    return found


async def test_a_list_comes_in_pages_that_lose_and_repeat_nothing(store: ObjectStore) -> None:
    keys = ["a/1/x", "a/1/y", "a/1-/x", "a/1.x", "a/2", "a/é/x y", "a/2-/u/v/w", "a/3/~"]
    for key in (*keys, "ab/3", "b"):
        await store.put_bytes(key, b"")
    for most in (1, 2, 3, len(keys), 1000):
        found = await pages(store, "a", most)
        flat = [key for page in found for key in page]
        assert sorted(flat) == sorted(keys)
        assert {len(each) for each in found[:-1]} <= {most}
        one = [key for key in flat if key.startswith("a/1/")]
        assert flat[flat.index(one[0]) :][: len(one)] == one, "a folder stands together"
    assert await pages(store, "nothing", 10) == []
    assert await pages(store, "b", 10) == []


async def test_a_page_goes_on_after_a_key_that_is_gone(store: ObjectStore) -> None:
    for key in ("a/1/x", "a/2/x", "a/3/x", "a/3/y"):
        await store.put_bytes(key, b"")
    first = [each.key for each in await store.page("a", most=2)]
    await store.delete("a/2")
    rest = [each.key for each in await store.page("a", first[-1])]
    assert (first, rest) == (["a/1/x", "a/2/x"], ["a/3/x", "a/3/y"])
    assert await store.page("a", "a/3/y") == []


async def test_a_page_tells_ages(store: ObjectStore) -> None:
    await store.put_bytes("a/x", b"")
    (found,) = await store.page("a")
    assert -60 < found.age_s < 600


async def test_a_prefix_is_deleted_whole_and_again(store: ObjectStore) -> None:
    for key in ("a/2", "a/1/x", "ab/3"):
        await store.put_bytes(key, b"")
    for _ in range(2):
        await store.delete("a")
        assert await store.keys("a") == []
    assert await store.keys("ab") == ["ab/3"]
    await store.delete("ab/3")
    await store.delete("never/was")
    assert await store.stat("ab/3") is None


async def test_a_fetched_file_has_the_bytes(store: ObjectStore, state_dir: Path) -> None:
    await store.put_bytes("key", b"bytes")
    await store.fetch("key", state_dir / "to" / "file")
    assert (state_dir / "to" / "file").read_bytes() == b"bytes"
    with pytest.raises(NotFound):
        await store.fetch("nothing", state_dir / "to" / "other")


@pytest.mark.parametrize("key", TRICKS)
async def test_no_key_leads_out_of_the_store(
    store: ObjectStore, state_dir: Path, key: str
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


async def test_a_folder_of_objects_is_not_one_itself(store: ObjectStore) -> None:
    await store.put_bytes("a/b", b"x")
    assert await store.stat("a") is None
    with pytest.raises(NotFound):
        await store.get_bytes("a", 10)
    with pytest.raises(NotFound):
        await anext(aiter(store.stream("a")))


async def test_a_directory_grants_a_path(directory: DirectoryStore) -> None:
    path = Path(str((await directory.grant_put("a/b/key"))["path"]))
    part = path.with_name("key.12.part")
    part.write_bytes(b"half")
    assert await directory.keys("a") == []
    part.rename(path)
    assert (await directory.grant_get("a/b/key")) == {"path": str(path)}
    assert await directory.get_bytes("a/b/key", 10) == b"half"
    with pytest.raises(NotFound):
        await directory.grant_get("nothing")


@pytest.mark.parametrize("key", ["a/b/key", *ODD_KEYS])
async def test_a_grant_lets_another_program_put_and_read(store: ObjectStore, key: str) -> None:
    for data in (b"half", b""):
        await write(await store.grant_put(key, len(data)), data)
        assert await store.get_bytes(key, 10) == data
        assert await read(await store.grant_get(key)) == data


async def test_a_large_object_is_put_by_a_grant_in_parts(store: ObjectStore) -> None:
    data = os.urandom(2 * PART + 17)
    grant = await store.grant_put("a/large +%", len(data))
    if "upload" in grant:
        # What a dead agent left: the sweep aborts it, and it never was an object.
        await _url("PUT", str(as_list(grant["parts"])[0]), data[:PART])
        assert await store.stat("a/large +%") is None
        assert await store.keys("a") == []
        # The URLs of a grant expire; another one goes on with the same upload.
        again = await store.grant_put("a/large +%", len(data), str(grant["upload"]))
        assert again["upload"] == grant["upload"]
        grant = again
    await write(grant, data)
    assert await read(await store.grant_get("a/large +%")) == data


async def test_unfinished_uploads_are_swept(store: ObjectStore) -> None:
    grant = await store.grant_put("a/ü %/large", 2 * PART)
    if "path" in grant:
        Path(str(grant["path"])).with_name("x.part").touch()
    else:
        await _url("PUT", str(as_list(grant["parts"])[0]), bytes(PART))
    assert await store.sweep_parts(3_600.0) == 0
    assert await store.sweep_parts(-3_600.0) == 1
    assert await store.sweep_parts(-3_600.0) == 0
    assert await store.keys("a") == []


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_keys(store: ObjectStore, state_dir: Path, key: str) -> None:
    source = state_dir / "source"
    source.write_bytes(key.encode())
    await store.put_file(key, source)
    folder = key.rpartition("/")[0]
    assert await store.keys(folder or "none") == ([key] if folder else [])
    assert await store.get_bytes(key, 2_000) == key.encode()
    assert await store.stat(key) is not None
    await store.fetch(key, state_dir / "fetched")
    assert (state_dir / "fetched").read_bytes() == key.encode()
    await store.delete(folder or key)
    assert await store.stat(key) is None


async def test_an_empty_file_is_an_object(store: ObjectStore, state_dir: Path) -> None:
    source = state_dir / "source"
    source.touch()
    await store.put_file("a/empty", source, sha256=sha256().hexdigest())
    stat = await store.stat("a/empty")
    assert stat is not None
    assert stat.size_bytes == 0
    assert await store.get_bytes("a/empty", 0) == b""
    assert [piece async for piece in store.stream("a/empty")] == []
    await store.fetch("a/empty", state_dir / "fetched")
    assert (state_dir / "fetched").read_bytes() == b""


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 3 * PART, 5 * PART + 17])
async def test_a_file_of_any_size_comes_back(
    store: ObjectStore, state_dir: Path, size: int
) -> None:
    data = os.urandom(size)
    source = state_dir / "source"
    source.write_bytes(data)
    await store.put_file("a/key", source, sha256=sha256(data).hexdigest())
    await store.fetch("a/key", state_dir / "to" / "file")
    assert (state_dir / "to" / "file").read_bytes() == data
    assert [p.name for p in (state_dir / "to").iterdir()] == ["file"]
    tail = b"".join([piece async for piece in store.stream("a/key", size - 5)])
    assert tail == data[-5:]
    with pytest.raises(InvalidInput, match="SHA-256"):
        await store.put_file("a/other", source, sha256="0" * 64)
    assert await store.stat("a/other") is None
    assert await store.sweep_parts(-3_600.0) == 0


async def test_a_file_that_is_there_is_not_replaced_by_a_fetch(
    store: ObjectStore, state_dir: Path
) -> None:
    await store.put_bytes("key", b"bytes")
    (state_dir / "file").write_bytes(b"mine")
    with pytest.raises(HeadraceError):
        await store.fetch("key", state_dir / "file")
    assert (state_dir / "file").read_bytes() == b"mine"


async def test_of_many_writers_of_one_key_one_wins_whole(
    store: ObjectStore, state_dir: Path
) -> None:
    sources = []
    for number in range(4):
        sources.append(state_dir / f"source{number}")
        sources[-1].write_bytes(bytes([number]) * (PART + 100 + number))
    await asyncio.gather(*(store.put_file("a/key", source) for source in sources))
    data = await store.get_bytes("a/key", 2 * PART)
    assert data in [source.read_bytes() for source in sources]
    assert await store.sweep_parts(-3_600.0) == 0


async def test_a_cancelled_put_leaves_nothing(store: ObjectStore, state_dir: Path) -> None:
    source = state_dir / "source"
    source.write_bytes(os.urandom(8 * PART))
    putting = asyncio.create_task(store.put_file("a/key", source, sha256="0" * 64))
    for _ in range(20):
        await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await store.keys("a") == []
    assert await store.sweep_parts(-3_600.0) == 0


async def test_many_small_files_go_at_once(store: ObjectStore, state_dir: Path) -> None:
    for number in range(60):
        (state_dir / f"{number:03}").write_bytes(b"%d" % number)

    async def put(number: int) -> None:
        await store.put_file(f"many/{number:03}", state_dir / f"{number:03}", move=True)

    await asyncio.gather(*(put(number) for number in range(60)))
    assert await store.keys("many") == [f"many/{number:03}" for number in range(60)]
    await store.delete("many")
    assert await store.keys("many") == []


@pytest.mark.parametrize("size", [0, 17, 3 * PART + 17])
async def test_a_file_that_still_arrives_is_an_object_once_it_is_whole(
    store: ObjectStore, state_dir: Path, size: int
) -> None:
    data, path = os.urandom(size), state_dir / "arriving"
    path.write_bytes(data[: size // 2])
    file = Arriving(path, size)
    file.reached(size // 2)
    putting = asyncio.create_task(store.put_arriving("a/key", file))
    await asyncio.sleep(0.1)  # time for a store that does not wait to make an object
    with path.open("ab") as rest:
        rest.write(data[size // 2 :])
    file.reached(size)
    await asyncio.sleep(0.1)
    assert not putting.done()
    assert await store.keys("a") == []
    file.finish(size)
    await putting
    assert await store.get_bytes("a/key", size) == data
    assert not path.exists()
    assert await store.sweep_parts(-3_600.0) == 0


async def test_a_file_that_stops_arriving_leaves_nothing_in_the_store(
    store: ObjectStore, state_dir: Path
) -> None:
    path = state_dir / "arriving"
    path.write_bytes(bytes(2 * PART))
    file = Arriving(path, 3 * PART)
    file.reached(2 * PART)
    putting = asyncio.create_task(store.put_arriving("a/key", file))
    await asyncio.sleep(0.3)  # time for an upload in parts to be begun
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await store.keys("a") == []
    assert await store.sweep_parts(-3_600.0) == 0
    assert path.stat().st_size == 2 * PART, "the file stays, to be resumed"


async def test_many_objects_are_put_and_read_at_once(store: ObjectStore) -> None:
    objects = {f"many/{number:03}": b"%d" % number * number for number in range(60)}
    await store.put_many(objects)
    await store.put_many({**objects, "many/000": b"new"})
    objects["many/000"] = b"new"
    sizes = {key: len(data) for key, data in objects.items()}
    assert await store.get_many(sizes) == objects
    with pytest.raises(TooLarge):
        await store.get_many({**sizes, "many/059": sizes["many/059"] - 1})
    with pytest.raises(NotFound):
        await store.get_many({**sizes, "nothing": 1})
    with pytest.raises(InvalidName):
        await store.put_many({"many/060": b"", "../out": b""})
    assert await store.keys("many") == sorted(objects), "nothing is put where a key is none"


async def test_a_store_that_can_be_used_passes_its_check(store: ObjectStore) -> None:
    await store.check()
    free = await store.free_bytes()
    assert free is None or free > 0


async def test_symbolic_links_inside_the_store_are_not_followed(
    directory: DirectoryStore, root: Path, state_dir: Path
) -> None:
    outside = state_dir / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    for key in ("folder/secret", "file"):
        with pytest.raises((NotFound, Conflict)):
            await directory.get_bytes(key, 10)
        with pytest.raises((NotFound, Conflict)):
            await directory.grant_get(key)
    with pytest.raises(Conflict):
        await directory.put_bytes("folder/new", b"x")
    with pytest.raises(Conflict):
        await directory.grant_put("folder/new")
    await directory.delete("folder")
    assert _names(outside) == ["secret"]
    assert not (root / "folder").is_symlink()


async def test_what_is_neither_file_nor_folder_is_no_object(
    directory: DirectoryStore, root: Path
) -> None:
    os.mkfifo(root / "pipe")
    assert await directory.stat("pipe") is None


async def test_a_link_that_a_crash_left_is_no_obstacle(
    directory: DirectoryStore, root: Path, state_dir: Path
) -> None:
    source = state_dir / "source"
    source.write_bytes(b"bytes")
    os.link(source, root / "key")
    await directory.put_file("key", source, move=True)
    assert _names(root) == ["key"]
    assert not source.exists()


async def test_a_directory_sweeps_old_parts_and_keeps_new_ones(
    directory: DirectoryStore, root: Path
) -> None:
    await directory.put_bytes("a/key", b"x")
    for name, age_s in (("old.part", 90_000), ("new.part", 10)):
        part = root / "a" / name
        part.write_bytes(b"")
        at = part.stat().st_mtime - age_s
        os.utime(part, (at, at))
    assert await directory.sweep_parts() == 1
    assert _names(root / "a") == ["key", "new.part"]


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def as_list(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


async def write(grant: Grant, data: bytes) -> None:
    """Write by a grant, as an agent does."""
    if "path" in grant:
        await asyncio.to_thread(Path(str(grant["path"])).write_bytes, data)
        return
    if "url" in grant:
        await _url("PUT", str(grant["url"]), data)
        return
    size, etags = int(str(grant["part_bytes"])), []
    for number, url in enumerate(as_list(grant["parts"])):
        headers = await _url("PUT", url, data[number * size : (number + 1) * size])
        etags.append(headers["ETag"])
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    await _url("POST", str(grant["complete"]), body.encode())


async def read(grant: Grant) -> bytes:
    """Read by a grant, as an agent does."""
    if "path" in grant:
        return await asyncio.to_thread(Path(str(grant["path"])).read_bytes)
    with await asyncio.to_thread(urllib.request.urlopen, str(grant["url"])) as answer:
        data: bytes = await asyncio.to_thread(answer.read)
        return data


async def _url(method: str, url: str, data: bytes) -> Any:
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - http
    with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
        await asyncio.to_thread(answer.read)
        return answer.headers
