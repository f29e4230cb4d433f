"""The sockets of a public address: how many there may be, and how slow."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from headrace_client.connection import Connection
from headrace_client.errors import Untrusted
from headrace_client.http import Http
from headrace_local.health import any_free_port
from headrace_model.errors import InvalidInput
from headrace_service.http import make_app
from headrace_service.lifecycle import Service, run
from headrace_service.sockets import Sockets, tls_of
from tests.support.certificates import Authority, Certificate
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")
_ASK = b"GET /health/live HTTP/1.1\r\nHost: headrace\r\n\r\n"
_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self) -> tuple[int, Any]:
        """Ask whether the service is live; gives the status and the JSON answered."""
        self.writer.write(_ASK)
        return await self.answer()

    async def answer(self) -> tuple[int, Any]:
        """Read one answer."""
        async with asyncio.timeout(_WITHIN_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await self.reader.readexactly(int(names[b"content-length"]))
        return int(head.split()[1]), json.loads(body)

    async def ended(self) -> None:
        """Wait until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(_WITHIN_S):
                while await self.reader.read(1000):
                    pass

    def close(self) -> None:
        self.writer.close()


Connect = Callable[..., Awaitable[Peer]]


@contextlib.asynccontextmanager
async def service(sockets: Sockets) -> AsyncIterator[Connect]:
    """A running service; gives what connects to it."""

    async def nothing(*_: object) -> None:
        pass

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"bytes": len(await request.read())})

    port, ready, peers = any_free_port(), asyncio.Event(), []
    app = make_app("test", ready=nothing, authenticate=nothing, body_limit_bytes=100_000)
    app.router.add_post("/echo", echo)
    one = Service(name="test", app=app, listen=f"127.0.0.1:{port}", sockets=sockets)
    running = asyncio.create_task(run([one], ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)

    async def connect(**how: Any) -> Peer:
        peers.append(Peer(*await asyncio.open_connection("127.0.0.1", port, **how)))
        return peers[-1]

    try:
        yield connect
    finally:
        for peer in peers:
            peer.close()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


async def test_connections_above_the_limit_are_told_so_and_closed() -> None:
    async with service(Sockets(connections_limit=2)) as connect:
        inside = [await connect(), await connect()]
        for peer in inside:
            assert (await peer.ask())[0] == 200
        outside = await connect()
        status, problem = await outside.answer()
        assert (status, problem["code"]) == (503, "UNAVAILABLE")
        assert problem["detail"] == "2 connections are open already"
        await outside.ended()
        assert (await inside[0].ask())[0] == 200


async def test_who_leaves_makes_room() -> None:
    async with service(Sockets(connections_limit=1)) as connect:
        first = await connect()
        assert (await first.ask())[0] == 200
        first.close()

        async def let_in() -> bool:
            peer = await connect()
            with contextlib.suppress(ConnectionError):
                return (await peer.ask())[0] == 200
            return False

        await wait_until(let_in, "the next one to be let in")


async def test_a_crowd_of_refused_connections_keeps_nobody_inside_waiting() -> None:
    async with service(Sockets(connections_limit=1)) as connect:
        inside = await connect()
        assert (await inside.ask())[0] == 200
        crowd = [await connect() for _ in range(300)]
        assert (await inside.ask())[0] == 200
        for peer in crowd:
            await peer.ended()
        assert (await inside.ask())[0] == 200


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with service(Sockets(idle_s=0.3)) as connect:
        await (await connect()).ended()


async def test_a_connection_that_asks_nothing_more_is_closed() -> None:
    async with service(Sockets(idle_s=0.3)) as connect:
        peer = await connect()
        assert (await peer.ask())[0] == 200
        await peer.ended()


async def _trickle(peer: Peer) -> None:
    """Send headers that never end, a few bytes at a time, until the other side has closed."""
    peer.writer.write(b"GET /health/live HTTP/1.1\r\nHost: headrace\r\n")

    async def cut() -> bool:
        peer.writer.write(b"X-More: 1\r\n")
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.05):
                return not await peer.reader.read(1000)
        return peer.writer.is_closing()

    await wait_until(cut, "the slow connection to be cut", within_s=_WITHIN_S)


async def test_headers_that_trickle_are_cut_though_bytes_keep_coming() -> None:
    async with service(Sockets(idle_s=60.0, headers_s=0.3)) as connect:
        await _trickle(await connect())


async def test_headers_of_a_later_request_that_trickle_are_cut_too() -> None:
    async with service(Sockets(idle_s=0.5)) as connect:
        peer = await connect()
        assert (await peer.ask())[0] == 200
        await _trickle(peer)


async def test_a_slow_body_and_a_long_life_are_no_slow_headers() -> None:
    async with service(Sockets(headers_s=0.2)) as connect:
        peer = await connect()
        peer.writer.write(b"POST /echo HTTP/1.1\r\nHost: headrace\r\nContent-Length: 4\r\n\r\n12")
        other, start = await connect(), asyncio.get_running_loop().time()
        await wait_until(
            lambda: asyncio.get_running_loop().time() > start + 0.5, "longer than headers may take"
        )
        peer.writer.write(b"34")
        assert await peer.answer() == (200, {"bytes": 4})
        assert (await other.ask())[0] == 200


async def test_tls_is_1_2_or_newer_and_plain_http_is_told_to_use_it(authority: Authority) -> None:
    made = authority.certificate("127.0.0.1")
    tls = await asyncio.to_thread(tls_of, str(made.cert), str(made.key))
    trust = await asyncio.to_thread(authority.trust)
    async with service(Sockets(tls=tls)) as connect:
        peer = await connect(ssl=trust)
        assert (await peer.ask())[0] == 200
        assert peer.writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
        status, problem = await (await connect()).ask()
        assert status == 400
        assert problem["detail"] == "this address speaks HTTPS, not HTTP"
        assert "https://" in problem["hint"]


async def test_the_client_speaks_to_nobody_whose_certificate_it_can_not_verify(
    authority: Authority, state_dir: Path
) -> None:
    def made() -> tuple[Authority, Certificate, Certificate]:
        (state_dir / "other").mkdir()
        other = Authority(state_dir / "other", "other")
        return other, authority.certificate("127.0.0.1"), authority.certificate("elsewhere.org")

    other, good, misnamed = await asyncio.to_thread(made)

    async def ask(port: int, ca_file: Path | None) -> int:
        connection = Connection(
            f"https://127.0.0.1:{port}", "hrt_secret", str(ca_file) if ca_file else None
        )
        async with (
            Http(connection, patience_s=1.0) as http,
            http.open("GET", "/../../health/live", takes=(404,)) as answer,
        ):
            return answer.status

    for certificate, ca_file in ((good, None), (good, other.file), (misnamed, authority.file)):
        tls = await asyncio.to_thread(tls_of, str(certificate.cert), str(certificate.key))
        async with service(Sockets(tls=tls)) as connect:
            port = (await connect()).writer.get_extra_info("peername")[1]
            with pytest.raises(Untrusted):
                await ask(port, ca_file)
            if certificate is good:
                assert await ask(port, authority.file) in (200, 404)


async def test_connections_count_before_their_handshake(authority: Authority) -> None:
    made = authority.certificate("127.0.0.1")
    tls = await asyncio.to_thread(tls_of, str(made.cert), str(made.key))
    trust = await asyncio.to_thread(authority.trust)
    async with service(Sockets(connections_limit=1, headers_s=0.5, tls=tls)) as connect:
        silent = await connect()
        status, problem = await (await connect(ssl=trust)).answer()
        assert (status, problem["code"]) == (503, "UNAVAILABLE")
        await silent.ended()
        assert (await (await connect(ssl=trust)).ask())[0] == 200


async def test_a_handshake_that_fails_leaves_room(authority: Authority) -> None:
    made = authority.certificate("127.0.0.1")
    tls = await asyncio.to_thread(tls_of, str(made.cert), str(made.key))
    trust = await asyncio.to_thread(authority.trust)
    async with service(Sockets(connections_limit=1, tls=tls)) as connect:
        broken = await connect()
        broken.writer.write(b"\x16\x03\x01\x00\x05nope!")
        await broken.ended()
        assert (await (await connect(ssl=trust)).ask())[0] == 200


def test_a_certificate_without_a_key_is_refused(authority: Authority) -> None:
    made = authority.certificate("127.0.0.1")
    with pytest.raises(InvalidInput, match="a TLS certificate and no key"):
        tls_of(str(made.cert), "")
    with pytest.raises(InvalidInput, match="a TLS key and no certificate"):
        tls_of("", str(made.key))
    assert tls_of("", "") is None


def test_files_that_are_no_certificate_and_key_are_refused(authority: Authority) -> None:
    made, other = authority.certificate("127.0.0.1"), authority.certificate("127.0.0.1")
    with pytest.raises(InvalidInput, match="KEY_VALUES_MISMATCH"):
        tls_of(str(made.cert), str(other.key))
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        tls_of(str(made.cert) + ".none", str(made.key))
    made.cert.write_text("nonsense")
    with pytest.raises(InvalidInput, match="no certificate"):
        tls_of(str(made.cert), str(made.key))


@pytest.fixture
def authority(state_dir: Any) -> Authority:
    """A CA of the test's own."""
    return Authority(state_dir)
