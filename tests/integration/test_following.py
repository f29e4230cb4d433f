"""Following by the Python client over a real Redis: each event once and in order, whatever breaks.

What is to be heard is read from Redis's own stream of events.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_client import sockets
from headrace_client.api import AsyncClient
from headrace_client.errors import Untrusted
from headrace_model.errors import HeadraceError, NotFound, Unauthorized
from headrace_model.ids import JobId
from headrace_model.people import UserRole
from headrace_model.status import Event, Role, Status
from headrace_service.sockets import tls_of
from headrace_wire.live import Change, Snapshot
from tests.support.certificates import Authority
from tests.support.cut_line import CutLine, cut_line
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import NODE, Desk, running_desk
from tests.support.wait import wait_until

not_blocking = pytest.mark.usefixtures("no_blocking")
_WITHIN_S = 120.0


@asynccontextmanager
async def client_of(desk: Desk, line: CutLine, token: str = "") -> AsyncIterator[AsyncClient]:
    token = token or desk.session.headers["Authorization"].removeprefix("Bearer ")
    async with AsyncClient(line.url, token, patience_s=30.0) as client:
        yield client


@asynccontextmanager
async def followed(
    state_dir: Path, redis_server: RedisServer, budget: Callable[[], int | None] | None = None
) -> AsyncIterator[tuple[Desk, CutLine, AsyncClient]]:
    """A desk, a line to it, and a client at the end of the line."""
    async with (
        running_desk(state_dir, redis_server.url) as desk,
        cut_line(state_dir / "request.sock", budget) as line,
        client_of(desk, line) as client,
    ):
        yield desk, line, client


async def events_after(desk: Desk, at: str) -> list[str]:
    """The ids of all events of jobs after the one `at`, in Redis's order."""
    found = await desk.redis.client.xrange("hr:events", f"({at}", "+")
    return [str(entry) for entry, fields in found if dict(fields)["kind"] == "job"]


async def busy(desk: Desk, jobs: int) -> list[JobId]:
    """Let jobs come, be held, released and canceled: four events a job."""
    made = []
    for _ in range(jobs):
        job = await desk.submit()
        for verb in ("hold", "release", "cancel"):
            await desk.call("POST", f"/jobs/{job}:{verb}")
        made.append(job)
    return made


async def first_snapshot(news: AsyncGenerator[Snapshot | Change, None]) -> Snapshot:
    async with asyncio.timeout(_WITHIN_S):
        told = await anext(news)
    assert isinstance(told, Snapshot)
    return told


async def take(news: AsyncGenerator[Snapshot | Change, None], number: int) -> list[Change]:
    found: list[Change] = []
    async with asyncio.timeout(_WITHIN_S):
        while len(found) < number:
            told = await anext(news)
            assert isinstance(told, Change), told
            found.append(told)
    return found


@not_blocking
async def test_each_of_a_thousand_events_is_heard_once_and_in_order_over_a_line_that_is_cut(
    state_dir: Path, redis_server: RedisServer
) -> None:
    rng = Random(1)  # noqa: S311 - the same cuts every time
    # The first answer on each connection is whole: there is always some progress.
    budget = lambda: rng.choice([20_000, 60_000, 200_000]) + rng.randrange(2_000)  # noqa: E731
    async with followed(state_dir, redis_server, budget) as (desk, line, client):
        await desk.submit()  # a stream that was never written to has no place to resume from
        async with aclosing(client.live.jobs()) as news:
            start = (await first_snapshot(news)).at
            working = asyncio.ensure_future(busy(desk, 300))
            heard = await take(news, 1_200)
            await working
        assert [change.at for change in heard] == await events_after(desk, start)
        assert line.cuts > 5
        of_one = [change.version for change in heard if change.job.id == heard[0].job.id]
        assert of_one == sorted(set(of_one))


@not_blocking
async def test_a_slow_reader_falls_behind_alone_and_misses_nothing(
    state_dir: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_INBOX_BYTES", 20_000)
    async with followed(state_dir, redis_server) as (desk, _, client):
        await desk.submit()
        async with aclosing(client.live.jobs()) as slow, aclosing(client.live.jobs()) as quick:
            start = (await first_snapshot(slow)).at
            await first_snapshot(quick)
            working = asyncio.ensure_future(busy(desk, 50))
            await take(quick, 200)
            await working
            heard = await take(slow, 200)
        assert [change.at for change in heard] == await events_after(desk, start)


@not_blocking
async def test_what_is_no_longer_kept_comes_as_a_snapshot_that_says_so(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with followed(state_dir, redis_server) as (desk, line, client):
        job = await desk.submit()
        async with aclosing(client.live.jobs()) as news:
            assert not (await first_snapshot(news)).resync
            line.is_down = True
            line.cut()
            other = await desk.submit()
            await desk.call("POST", f"/jobs/{job}:cancel")
            await desk.redis.command("XTRIM", "hr:events", "MAXLEN", 1)
            line.is_down = False
            told = await first_snapshot(news)
            assert (told.resync, [view.id for view in told.jobs]) == (True, [other])
            await desk.call("POST", f"/jobs/{other}:cancel")
            (change,) = await take(news, 1)
            assert (change.job.id, change.to) == (other, Status.CANCELED)


@not_blocking
async def test_the_steps_of_a_job_are_whole_though_its_events_are_lost(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with followed(state_dir, redis_server) as (desk, line, client):
        job = await desk.submit()
        steps = []
        async with aclosing(client.watch(job)) as way:
            steps.append(await anext(way))
            line.is_down = True
            line.cut()
            for verb in ("hold", "release", "cancel"):
                await desk.call("POST", f"/jobs/{job}:{verb}")
            await desk.redis.command("XTRIM", "hr:events", "MAXLEN", 0)
            line.is_down = False
            async with asyncio.timeout(_WITHIN_S):
                steps += [step async for step in way]
        assert tuple(steps) == await client.history(job)
        assert steps[-1].to == Status.CANCELED


@not_blocking
async def test_who_is_no_longer_let_in_hears_it_at_once(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with followed(state_dir, redis_server) as (desk, line, _):
        token = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        async with client_of(desk, line, token) as client, aclosing(client.live.jobs()) as news:
            await first_snapshot(news)
            await desk.call("PATCH", "/users/zoe", {"disabled": True})
            with pytest.raises(Unauthorized, match="no longer takes your token"):
                await take(news, 1)
        async with client_of(desk, line, "hrt_wrong") as client:
            with pytest.raises(Unauthorized):
                await first_snapshot(client.live.jobs())


@not_blocking
async def test_what_one_may_not_see_is_refused_and_not_waited_for(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with followed(state_dir, redis_server) as (desk, line, _):
        token = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        hidden = await desk.submit()
        async with client_of(desk, line, token) as client:
            with pytest.raises(NotFound):
                await client.ended(hidden)
            with pytest.raises(NotFound):
                await anext(client.live.logs(hidden, attempt=1))


async def test_many_jobs_are_waited_for_over_few_connections(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with followed(state_dir, redis_server) as (desk, _, client):
        jobs = [await desk.submit() for _ in range(200)]
        waiting = [asyncio.ensure_future(client.ended(job)) for job in jobs]
        await wait_until(lambda: _count(desk, 3), "all to wait", within_s=_WITHIN_S)
        for job in jobs:
            await desk.call("POST", f"/jobs/{job}:cancel")
        async with asyncio.timeout(_WITHIN_S):
            views = await asyncio.gather(*waiting)
        assert [view.id for view in views] == jobs
        assert {view.status for view in views} == {Status.CANCELED}
        assert all(view.spec for view in views)


async def _count(desk: Desk, sockets_open: int) -> bool:
    return await desk.sockets() == sockets_open


@not_blocking
async def test_a_log_is_heard_whole_and_once_over_a_line_that_is_cut(
    state_dir: Path, redis_server: RedisServer
) -> None:
    """Its characters are longer than a byte, and are never told in halves."""
    rng = Random(0)  # noqa: S311 - the same cuts every time
    budget = lambda: 400_000 + rng.randrange(300_000)  # noqa: E731
    text = "".join(f"{number} {'水位' * (number % 9)}\n" for number in range(50_000))
    async with followed(state_dir, redis_server, budget) as (desk, line, client):
        await desk.join_node()
        job = await desk.submit()
        await desk.launch(job)
        (state_dir / "shipped").mkdir()
        (state_dir / "shipped" / "0.out").write_bytes(text.encode())
        (state_dir / "shipped" / "0.err").write_bytes(b"\xff is no character, nor \xe6\xb0")
        await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
        heard = {"out": "", "err": ""}
        ends = {"out": 0, "err": 0}
        async with asyncio.timeout(_WITHIN_S):
            async for piece in client.live.logs(job, attempt=1):
                assert piece.offset == ends[piece.stream]
                ends[piece.stream] = piece.end
                heard[piece.stream] += piece.text
        assert line.cuts > 1
        assert heard == {"out": text, "err": "\ufffd is no character, nor \ufffd"}
        assert ends == {"out": len(text.encode()), "err": 25}


@not_blocking
async def test_nodes_are_followed(state_dir: Path, redis_server: RedisServer) -> None:
    async with followed(state_dir, redis_server) as (desk, line, client):
        async with aclosing(client.live.nodes()) as news, asyncio.timeout(_WITHIN_S):
            assert await anext(news) == ()
            line.cut()
            await desk.join_node()
            while not (told := await anext(news)):
                pass
        assert [node.id for node in told] == [NODE]


@not_blocking
async def test_live_connections_trust_the_ca_that_is_named_and_nobody_else(
    state_dir: Path, redis_server: RedisServer
) -> None:
    authority = await asyncio.to_thread(Authority, state_dir)
    made = await asyncio.to_thread(authority.certificate, "127.0.0.1")
    tls = await asyncio.to_thread(tls_of, str(made.cert), str(made.key))
    async with (
        running_desk(state_dir, redis_server.url) as desk,
        cut_line(state_dir / "request.sock", tls=tls) as line,
    ):
        url = line.url.replace("http://", "https://")
        token = desk.session.headers["Authorization"].removeprefix("Bearer ")
        async with AsyncClient(url, token, ca_file=str(authority.file)) as client:
            await first_snapshot(client.live.jobs())
        async with AsyncClient(url, token) as client:
            with pytest.raises(Untrusted, match="can't be verified"):
                await first_snapshot(client.live.jobs())
        wrong = url.replace("127.0.0.1", "localhost")
        async with AsyncClient(wrong, token, ca_file=str(authority.file)) as client:
            with pytest.raises(Untrusted, match="is for another host"):
                await first_snapshot(client.live.jobs())


@not_blocking
async def test_a_token_is_shown_to_nobody_that_a_server_points_to() -> None:
    asked = []

    async def hand(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )
        writer.close()

    async with await asyncio.start_server(hand, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncClient(url, "hrt_mine") as client:
            with pytest.raises(HeadraceError, match="answered 302"):
                await first_snapshot(client.live.jobs())
    assert len(asked) == 1
