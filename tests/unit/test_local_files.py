"""Files of a client: none is left open, whenever it is cancelled."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

import pytest

from headrace_client.localfiles import LocalFile, PartFile, hash_of
from headrace_client.transfers import _read, say_nothing
from tests.support.wait import wait_until


def _send(path: Path) -> Awaitable[Any]:
    return anext(aiter(_read(LocalFile(path, "a"), 0, 3, say_nothing)))


@pytest.mark.parametrize("use", [_send, hash_of])
async def test_who_is_cancelled_while_a_file_is_being_opened_leaves_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Path], Awaitable[Any]]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    asked, go_on = threading.Event(), threading.Event()
    files: list[IO[Any]] = []
    plain = Path.open

    def slow(self: Path, *how: Any, **more: Any) -> IO[Any]:
        asked.set()
        go_on.wait(20.0)
        files.append(plain(self, *how, **more))
        return files[-1]

    monkeypatch.setattr(Path, "open", slow)
    using = asyncio.ensure_future(use(path))
    await wait_until(asked.is_set, "the file to be asked for")
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    go_on.set()
    await wait_until(lambda: bool(files) and all(each.closed for each in files), "it to be closed")


def test_a_part_that_is_closed_while_it_is_being_opened_is_left_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = PartFile(tmp_path / "part")
    asked, go_on = threading.Event(), threading.Event()
    files: list[IO[Any]] = []
    plain = Path.open

    def slow(self: Path, *how: Any, **more: Any) -> IO[Any]:
        asked.set()
        go_on.wait(20.0)
        files.append(plain(self, *how, **more))
        return files[-1]

    monkeypatch.setattr(Path, "open", slow)
    # As a download does that is cancelled in the middle of a write.
    adding = threading.Thread(target=part.append, args=(b"came",))
    adding.start()
    assert asked.wait(20.0)
    closing = threading.Thread(target=part.close)
    closing.start()
    go_on.set()
    adding.join(20.0)
    closing.join(20.0)
    part.append(b"late")
    assert [each.closed for each in files] == [True]
    assert (tmp_path / "part").read_bytes() == b"came"
