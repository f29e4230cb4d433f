"""The request service as the GUI's server calls it: whatever it does, a call ends."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import SocketTimeoutError, StreamReader
from aiohttp.base_protocol import BaseProtocol

from headrace_gui.service import upstream as upstream_module
from headrace_gui.service.upstream import Upstream
from headrace_model.errors import NotFound, Unavailable

LISTEN = "127.0.0.1"


class Stalled:
    """A request service that takes each call and says nothing, but where `said` is set."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.said = b""

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one call."""
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.said)
        await reader.read()  # until the caller has gone
        writer.close()


@pytest.fixture
async def stalled() -> AsyncIterator[tuple[Stalled, Upstream]]:
    served = Stalled()
    server = await asyncio.start_server(served.hear, LISTEN, 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(f"http://{LISTEN}:{port}")
    await upstream.open()
    yield served, upstream
    await upstream.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "_READ_S", 0.1)
    monkeypatch.setattr(upstream_module, "_CHANGE_S", 0.2)


def body_of(text: bytes) -> StreamReader:
    body = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    body.feed_data(text)
    body.feed_eof()
    return body


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/jobs/x?wait=30"])
async def test_a_call_that_nobody_answers_ends(
    stalled: tuple[Stalled, Upstream], soon: None, path: str
) -> None:
    served, upstream = stalled
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await upstream.call("GET", path, {}, None)
        with pytest.raises(Unavailable):
            await upstream.call("POST", path, {"Content-Length": "2"}, body_of(b"{}"))
    assert [call.split()[:2] for call in served.asked] == [
        [b"GET", path.encode()],
        [b"POST", path.encode()],
    ]


async def test_an_answer_that_stands_still_ends_and_a_log_that_is_followed_does_not(
    stalled: tuple[Stalled, Upstream], soon: None
) -> None:
    served, upstream = stalled
    served.said = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    answer = await upstream.call("GET", "/api/v1/jobs", {}, None)
    log = await upstream.call("GET", "/api/v1/jobs/x/logs?follow=true", {}, None)
    async with asyncio.timeout(5), answer, log:
        assert await log.content.readany() == b"half"
        following = asyncio.ensure_future(log.content.readany())
        with pytest.raises(SocketTimeoutError):
            await answer.content.read()
        await asyncio.sleep(0.2)  # twice as long as others are waited for
        assert not following.done()
        following.cancel()


async def test_a_connection_sees_that_its_other_end_is_gone(
    stalled: tuple[Stalled, Upstream],
) -> None:
    served, upstream = stalled
    served.said = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    async with await upstream.call("GET", "/api/v1/jobs", {}, None) as answer:
        assert answer.connection
        assert answer.connection.transport
        found = answer.connection.transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            assert found.getsockopt(socket.IPPROTO_TCP, option) <= 60
        assert 0 < found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 120_000


@pytest.mark.parametrize(
    "target", ["http://x/api/v1/jobs", "//x/api/v1/jobs", "@x/api/v1/jobs", ".x.example://h/", ""]
)
async def test_what_is_no_path_of_ours_goes_nowhere(
    stalled: tuple[Stalled, Upstream], target: str
) -> None:
    served, upstream = stalled
    with pytest.raises(NotFound):
        await upstream.call("GET", target, {}, None)
    assert served.asked == []
