"""The spool where a request ends in the middle: no byte goes astray, nothing runs on unseen."""

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_data.errors import WrongChecksum, WrongOffset
from headrace_data.room import Room
from headrace_data.spool import Piece, Spool, Upload
from headrace_model.errors import Conflict, InvalidInput, Unavailable
from headrace_model.ids import DatasetId
from headrace_ports.arriving import Arriving
from tests.support.small_disk import small_file_system
from tests.support.wait import wait_until

MIB = 1 << 20
DATA = os.urandom(3 * MIB)
UPLOAD = Upload(DatasetId("d1"), "big.bin", sha256(DATA).hexdigest())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", item_limit_bytes=1 << 30, room=Room(tmp_path, 0))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    with small_file_system(folder, 8) as reason:
        if reason:
            pytest.skip(reason)
        yield folder


class Body:
    """Pieces of `data` as a client would send them; then it waits, or ends."""

    def __init__(self, data: bytes, *, ends: bool = True) -> None:
        self._data = data
        self._ends = ends

    async def pieces(self) -> AsyncIterator[bytes]:
        for first in range(0, len(self._data), MIB):
            yield self._data[first : first + MIB]
        if not self._ends:
            await asyncio.Event().wait()


async def read(file: Arriving | bytes) -> bytes:
    """Stands for the store's put: takes the file away."""
    if isinstance(file, bytes):
        return file
    await file.whole()
    path = file.path

    def work() -> bytes:
        data = path.read_bytes()
        path.unlink()
        return data

    return await asyncio.to_thread(work)


class SlowWrite:
    """`os.write` to one kind of file hangs until it is let go, as a busy disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        self._write = os.write
        monkeypatch.setattr("headrace_data.spool.os.write", self)

    def __call__(self, number: int, data: memoryview) -> int:
        if not self.began.is_set():
            self.began.set()
            assert self.go_on.wait(30.0)
        return self._write(number, data)


async def test_a_write_under_way_ends_before_its_file_is_closed(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowWrite(monkeypatch)
    putting = asyncio.ensure_future(
        spool.receive(UPLOAD, Piece(), Body(DATA[: 2 * MIB], ends=False).pieces(), read)
    )
    await wait_until(slow.began.is_set, "the first bytes to be written")
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)
    # Files that are opened now must not be handed the number that the thread writes to.
    others = [tmp_path / f"other{n}" for n in range(8)]
    numbers = [os.open(path, os.O_WRONLY | os.O_CREAT) for path in others]
    after = asyncio.ensure_future(spool.receive(UPLOAD, Piece(), Body(DATA).pieces(), read))
    slow.go_on.set()
    try:
        assert await after == DATA
    finally:
        for number in numbers:
            os.close(number)
    assert [path.stat().st_size for path in others] == [0] * len(others)


async def test_a_newer_request_goes_on_where_a_cancelled_one_really_ended(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowWrite(monkeypatch)
    first = asyncio.ensure_future(
        spool.receive(UPLOAD, Piece(), Body(DATA[:MIB], ends=False).pieces(), read)
    )
    await wait_until(slow.began.is_set, "the first bytes to be written")
    piece = Piece(MIB, len(DATA), len(DATA))
    second = asyncio.ensure_future(spool.receive(UPLOAD, piece, Body(DATA[MIB:]).pieces(), read))
    await asyncio.sleep(0)
    slow.go_on.set()
    assert await second == DATA
    with pytest.raises(Conflict, match="took this one's place"):
        await first


@pytest.mark.parametrize(
    ("breaks", "said"),
    # The HTTP server cancels the reading of bodies when it stops: the client has to come again.
    [(asyncio.CancelledError(), Unavailable), (ConnectionResetError(), ConnectionResetError)],
)
async def test_what_came_of_a_small_file_is_kept_too(
    spool: Spool, breaks: BaseException, said: type[Exception]
) -> None:
    small = DATA[: MIB // 2]
    upload = Upload(DatasetId("d1"), "small.bin", sha256(small).hexdigest())

    async def breaks_off() -> AsyncIterator[bytes]:
        yield small[:100]
        raise breaks

    whole = Piece(0, len(small), len(small))
    with pytest.raises(said):
        await spool.receive(upload, whole, breaks_off(), read)
    assert await spool.offset(upload) == 100
    rest = Piece(100, len(small), len(small))
    assert await spool.receive(upload, rest, Body(small[100:]).pieces(), read) == small


async def test_a_small_file_never_lies_in_the_spool(spool: Spool) -> None:
    small = DATA[:100]
    upload = Upload(DatasetId("d1"), "small.bin", sha256(small).hexdigest())
    kept = await spool.receive(upload, Piece(0, 100, 100), Body(small).pieces(), read)
    assert kept == small
    assert not spool.root.exists()
    wrong = Upload(upload.dataset, "small.bin", "0" * 64)
    with pytest.raises(WrongChecksum):
        await spool.receive(wrong, Piece(0, 100, 100), Body(small).pieces(), read)
    assert await spool.offset(wrong) == 0
    short = Body(small[:40]).pieces()
    with pytest.raises(InvalidInput, match="cut off at byte 40"):
        await spool.receive(upload, Piece(0, 100, 100), short, read)
    assert await spool.offset(upload) == 40


async def test_a_whole_file_is_kept_before_a_newer_request_may_touch_it(spool: Spool) -> None:
    began, go_on = threading.Event(), threading.Event()
    kept: list[bytes] = []

    async def keep(file: Arriving | bytes) -> None:
        assert isinstance(file, Arriving)
        await file.whole()

        def work() -> None:
            with file.path.open("rb") as source:
                first = source.read(MIB)
                began.set()
                assert go_on.wait(30.0)
                kept.append(first + source.read())
            file.path.unlink()

        await asyncio.to_thread(work)

    def put(body: Body) -> "asyncio.Future[None]":
        return asyncio.ensure_future(spool.receive(UPLOAD, Piece(), body.pieces(), keep))

    first = put(Body(DATA))
    await wait_until(began.is_set, "the file to be whole")
    newer = [put(Body(b"", ends=False)), put(Body(b"", ends=False))]
    first.cancel()
    await asyncio.sleep(0.05)  # time for a spool that does not wait to spoil the file
    go_on.set()
    await wait_until(lambda: kept, "the file to be kept")
    for each in newer:
        each.cancel()
    await asyncio.gather(first, *newer, return_exceptions=True)
    assert kept == [DATA]


async def test_uploads_side_by_side_leave_the_disk_its_free_room(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool", 1 << 30, Room(small_disk, 4 * MIB))
    uploads = [Upload(DatasetId("d1"), f"{n}.bin", UPLOAD.sha256) for n in range(3)]
    # None of them tells its size; each one alone would fit.
    ended = await asyncio.gather(
        *(spool.receive(each, Piece(), Body(DATA).pieces(), read) for each in uploads),
        return_exceptions=True,
    )
    assert any(isinstance(each, Unavailable) for each in ended), ended
    # As many as were written at once may have seen the same room.
    assert shutil.disk_usage(small_disk).free >= 4 * MIB - len(uploads) * MIB


async def test_an_upload_that_found_no_room_goes_on_when_there_is_some(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool", 1 << 30, Room(small_disk, 5 * MIB))
    other = small_disk / "other"
    other.write_bytes(bytes(MIB))
    with pytest.raises(Unavailable, match="too little room"):
        await spool.receive(UPLOAD, Piece(), Body(DATA).pieces(), read)
    kept = await spool.offset(UPLOAD)
    assert 0 < kept < len(DATA)
    assert shutil.disk_usage(small_disk).free >= 5 * MIB
    other.unlink()
    spool.room = Room(small_disk, 4 * MIB)
    rest = Piece(kept, len(DATA), len(DATA))
    assert await spool.receive(UPLOAD, rest, Body(DATA[kept:]).pieces(), read) == DATA


async def test_a_file_announced_as_too_large_for_the_disk_leaves_nothing(
    small_disk: Path,
) -> None:
    spool = Spool(small_disk / "spool", 1 << 30, Room(small_disk, 6 * MIB))
    piece = Piece(0, len(DATA), len(DATA))
    with pytest.raises(Unavailable, match="too little room"):
        await spool.receive(UPLOAD, piece, Body(DATA).pieces(), read)
    assert not spool.root.exists()


async def test_a_request_that_breaks_ends_what_puts_its_file(spool: Spool) -> None:
    ended = asyncio.Event()

    async def keep(file: Arriving | bytes) -> None:
        assert isinstance(file, Arriving)
        try:
            await file.whole()
        finally:
            ended.set()

    piece = Piece(0, len(DATA), len(DATA))
    with pytest.raises(InvalidInput, match="cut off at byte"):
        await spool.receive(UPLOAD, piece, Body(DATA[: 2 * MIB]).pieces(), keep)
    assert ended.is_set()
    wrong = Upload(UPLOAD.dataset, "other.bin", "0" * 64)
    ended.clear()
    with pytest.raises(WrongChecksum):
        await spool.receive(wrong, piece, Body(DATA).pieces(), keep)
    assert ended.is_set()


class Killed(BaseException):
    """The service dies here: nothing more is done."""


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of a user who is not root, as whom the test goes on."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


async def put_killed(
    spool: Spool, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Upload all, and die in the store where it calls `call`."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"headrace_adapters.files.store.{call}", killed)
        with pytest.raises(Killed):
            await spool.receive(UPLOAD, Piece(), Body(DATA).pieces(), keep_in(store))


def keep_in(store: DirectoryStore) -> Callable[[Arriving | bytes], Awaitable[None]]:
    async def keep(file: Arriving | bytes) -> None:
        assert isinstance(file, Arriving)
        await store.put_arriving("object", file)

    return keep


@pytest.mark.parametrize("mode", [0o444, 0o644])  # somebody may have made all writable
async def test_an_object_outlives_a_new_upload_into_a_part_that_a_kill_left_linked_to_it(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    store = DirectoryStore(tmp_path / "store")
    await put_killed(spool, store, monkeypatch, "Path.unlink")
    (tmp_path / "store" / "object").chmod(mode)
    assert await store.get_bytes("object", len(DATA)) == DATA
    assert await spool.offset(UPLOAD) == len(DATA)
    piece = Piece(0, len(DATA), len(DATA))
    with pytest.raises(InvalidInput, match="cut off at byte"):
        await spool.receive(UPLOAD, piece, Body(DATA[:MIB]).pieces(), keep_in(store))
    assert await store.get_bytes("object", len(DATA)) == DATA
    assert await spool.offset(UPLOAD) == MIB
    rest = Piece(MIB, len(DATA), len(DATA))
    await spool.receive(UPLOAD, rest, Body(DATA[MIB:]).pieces(), keep_in(store))
    assert await store.get_bytes("object", len(DATA)) == DATA
    assert await spool.offset(UPLOAD) == 0


@pytest.mark.parametrize("call", ["os.link", "Path.unlink"])
async def test_an_ordinary_user_finishes_a_part_whose_way_into_the_store_was_cut_off(
    ordinary_user: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    spool = Spool(ordinary_user / "spool", 1 << 30, Room(ordinary_user, 0))
    store = DirectoryStore(ordinary_user / "store")
    await put_killed(spool, store, monkeypatch, call)
    size = len(DATA)
    assert await spool.offset(UPLOAD) == size
    with pytest.raises(WrongOffset) as wrong:
        await spool.receive(UPLOAD, Piece(5, size, size), Body(DATA[5:]).pieces(), keep_in(store))
    assert wrong.value.offset == size
    await spool.receive(UPLOAD, Piece(size, size, size), Body(b"").pieces(), keep_in(store))
    assert await store.get_bytes("object", size) == DATA
    assert await spool.offset(UPLOAD) == 0


async def test_a_part_that_was_given_away_takes_no_more_bytes(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryStore(tmp_path / "store")
    await put_killed(spool, store, monkeypatch, "Path.unlink")
    more = Piece(len(DATA), len(DATA) + 1, len(DATA) + 1)
    with pytest.raises(WrongOffset) as wrong:
        await spool.receive(UPLOAD, more, Body(b"x").pieces(), keep_in(store))
    assert wrong.value.offset == 0
    assert await store.get_bytes("object", len(DATA)) == DATA
