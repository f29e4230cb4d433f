"""What strangers and rivals try at the request service, with a real Redis: each is refused, and
nobody else is kept from working.
"""

import asyncio
import contextlib
import gzip
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_model.errors import Conflict
from headrace_model.people import Scope, UserRole
from headrace_model.status import Event, Role
from headrace_request.api.live import WS
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import JOB, NODE, Desk, running_desk
from tests.support.wait import wait_until

PASSWORD = "a horse of another colour"  # noqa: S105 - of users that only these tests know


@pytest.fixture
async def desk(state_dir: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


async def ask(
    desk: Desk, token: str, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    return await desk.call(method, path, body, Authorization=f"Bearer {token}")


# ---- what others' jobs are called


async def test_a_node_names_only_the_jobs_that_one_may_see(desk: Desk) -> None:
    users = UserStore(desk.redis)
    zoe = await token_of(users, "zoe", UserRole.USER)
    await desk.join_node()
    hidden, shared = await desk.submit(), await desk.submit()
    await desk.call("POST", f"/jobs/{shared}:share", {"who": "user:zoe"})
    for job in (hidden, shared):
        await desk.launch(job)

    async def held(token: str) -> list[str]:
        _, said = await ask(desk, token, "GET", "/nodes")
        return list(said["nodes"][0]["jobs"])

    async def seen() -> bool:
        return await held(zoe) == [f"{shared}.1"]

    await wait_until(seen, "the node to hold both")
    ann = await token_of(users, "ann")
    assert await held(ann) == sorted([f"{hidden}.1", f"{shared}.1"])
    headers = {"Authorization": f"Bearer {zoe}"}
    async with desk.session.ws_connect(f"http://request{WS}", headers=headers) as wire:
        await wire.send_json({"op": "follow", "id": "n", "topic": "nodes"})
        async with asyncio.timeout(60.0):
            assert (await wire.receive_json())["type"] == "hello"
            (node,) = (await wire.receive_json())["nodes"]
    assert node["jobs"] == [f"{shared}.1"]


async def test_a_retry_waits_for_no_job_that_one_may_not_see(desk: Desk) -> None:
    zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    hidden = await desk.submit()
    job = await desk.submit(after=[hidden])
    await desk.call("POST", f"/jobs/{job}:cancel")
    await desk.call("POST", f"/jobs/{job}:share", {"who": "user:zoe"})
    status, said = await ask(desk, zoe, "POST", f"/jobs/{job}:retry")
    assert (status, said["detail"]) == (404, f"after: there is no job {hidden}")
    assert (await desk.call("POST", f"/jobs/{job}:retry"))[0] == 201


async def test_a_key_of_one_user_is_no_key_of_another(desk: Desk) -> None:
    zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
    mine = await desk.call("POST", "/jobs", JOB, **{"Idempotency-Key": "k"})
    headers = {"Authorization": f"Bearer {zoe}", "Idempotency-Key": "k"}
    for body in (JOB, {**JOB, "command": ["false"]}):
        status, said = await desk.call("POST", "/jobs", body, **headers)
        assert mine[1]["id"] not in json.dumps(said)
        assert status == (201 if body is JOB else 409)


# ---- tokens and passwords


async def test_a_token_of_few_scopes_sets_no_first_password(desk: Desk) -> None:
    users = UserStore(desk.redis)
    few = await token_of(users, "zoe", UserRole.USER, scopes=frozenset({Scope.ACCOUNT}))
    body = {"new": PASSWORD}
    assert (await ask(desk, few, "PUT", "/users/zoe/password", body))[0] == 403
    whole = await token_of(users, "zoe", UserRole.USER)
    assert (await ask(desk, whole, "PUT", "/users/zoe/password", body))[0] == 200
    for token in (few, whole):
        assert (await ask(desk, token, "GET", "/me"))[0] == 401, "revoked with the password"


async def test_a_token_of_the_scope_admin_gives_itself_no_more_scopes(desk: Desk) -> None:
    users = UserStore(desk.redis)
    few = await token_of(users, "root", UserRole.ADMIN, scopes=frozenset({Scope.ADMIN}))
    await desk.call("POST", "/users", {"name": "zoe", "role": "admin"})
    for method, path, body in (
        ("POST", "/users", {"name": "me", "role": "admin", "password": PASSWORD}),
        ("PUT", "/users/zoe/password", {"new": PASSWORD}),
        ("PATCH", "/users/zoe", {"role": "admin"}),
    ):
        status, said = await ask(desk, few, method, path, body)
        assert (status, "all scopes" in said["detail"]) == (403, True), (path, said)
    assert (await ask(desk, few, "PATCH", "/users/zoe", {"disabled": True}))[0] == 200
    whole = await token_of(users, "root", UserRole.ADMIN)
    assert (await ask(desk, whole, "PUT", "/users/zoe/password", {}))[0] == 200


async def test_tokens_that_expired_keep_nobody_from_logging_in(desk: Desk) -> None:
    users = UserStore(desk.redis)
    await desk.call("POST", "/users", {"name": "zoe", "password": PASSWORD})
    now_ms = int(time.time() * 1000)
    for number in range(200):
        await users.keep_token(f"t{number}", "zoe", expires_ms=now_ms - 1000)
    login = {"user": "zoe", "password": PASSWORD}
    assert (await desk.call("POST", "/login", login))[0] == 201
    for number in range(199):
        await users.keep_token(f"n{number}", "zoe", expires_ms=now_ms + 3_600_000)
    status, said = await desk.call("POST", "/login", login)
    assert (status, said["detail"]) == (409, "zoe has 200 tokens already")


async def test_a_user_is_in_no_more_groups_than_a_header_holds(desk: Desk) -> None:
    users = UserStore(desk.redis)
    groups = [f"{number:03}".ljust(128, "x") for number in range(51)]
    for group in groups:
        await users.create_group(group)
    await users.create_user("zoe", UserRole.USER, groups=groups[:50])
    with pytest.raises(Conflict, match="at most 50 groups"):
        await users.join("zoe", groups[50])
    zoe = await token_of(users, "zoe", UserRole.USER)
    status, _ = await ask(desk, zoe, "PUT", "/datasets/x/items/a")
    assert status == 201, "who asks reached the other service"


async def test_guesses_of_tokens_shut_nobody_else_out(desk: Desk) -> None:
    answers = [(await ask(desk, f"hrt_{n}", "GET", "/me"))[0] for n in range(60)]
    assert answers[:50] == [401] * 50
    assert 429 in answers
    assert (await desk.call("GET", "/me"))[0] == 200


async def test_a_crowd_that_logs_in_is_told_to_come_again(desk: Desk) -> None:
    async def log_in(number: int) -> int:
        body = {"user": f"u{number}", "password": PASSWORD}
        return (await desk.call("POST", "/login", body))[0]

    answers = await asyncio.gather(*(log_in(number) for number in range(40)))
    assert set(answers) == {401, 503}
    assert answers.count(401) >= 12


# ---- bodies, messages, places


@contextlib.asynccontextmanager
async def posted(desk: Desk, head: str) -> AsyncIterator[tuple[Any, Any]]:
    """The beginning of a request, as it is written."""
    path = str(desk.folder / "request.sock")
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(head.replace("\n", "\r\n").encode())
        yield reader, writer
    finally:
        writer.close()


async def test_the_body_of_a_stranger_is_small_and_comes_soon(
    state_dir: Path, redis_server: RedisServer
) -> None:
    login = "POST /api/v1/login HTTP/1.1\nHost: h\n"
    async with running_desk(state_dir, redis_server.url, headers_s=0.5) as desk:
        async with posted(desk, f"{login}Content-Length: 100\n\n") as (reader, writer):
            writer.write(b'{"user": ')
            async with asyncio.timeout(60.0):
                assert (await reader.readline()).split()[1] == b"408"
        async with posted(desk, f"{login}Transfer-Encoding: chunked\n\n") as (reader, writer):
            # More than it takes, and no end: the answer does not wait for one.
            writer.write(b"5000\r\n" + b" " * 0x5000 + b"\r\n")
            async with asyncio.timeout(60.0):
                assert (await reader.readline()).split()[1] == b"413"


async def test_a_compressed_body_is_not_taken(desk: Desk) -> None:
    body = gzip.compress(json.dumps(JOB).encode())
    for path in ("/login", "/jobs", "/datasets/x/items/a"):
        headers = {"Content-Encoding": "gzip"}
        method = "PUT" if "items" in path else "POST"
        url = f"http://request/api/v1{path}"
        async with desk.session.request(method, url, data=body, headers=headers) as answer:
            assert answer.status == 415
            assert "compressed" in (await answer.json())["detail"]


@pytest.mark.parametrize("path", ["/jobs", "/jobs:validate", "/login", "/tokens", "/groups"])
async def test_a_hundred_thousand_levels_are_refused(desk: Desk, path: str) -> None:
    body = b"[" * 100_000
    url = f"http://request/api/v1{path}"
    async with desk.session.post(url, data=body) as answer:
        assert answer.status in (413, 422)
    assert (await desk.call("GET", "/me"))[0] == 200


async def test_messages_count_like_requests(state_dir: Path, redis_server: RedisServer) -> None:
    limits = {"user_requests_per_s": 1, "user_requests_at_once": 100, "token_cache_s": 600.0}
    async with running_desk(state_dir, redis_server.url, **limits) as desk:
        zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        headers = {"Authorization": f"Bearer {zoe}"}
        async with desk.session.ws_connect(f"http://request{WS}", headers=headers) as wire:
            for number in range(90):
                await wire.send_json({"op": "follow", "id": f"{number}", "topic": "nodes"})
            async with asyncio.timeout(60.0):
                heard = [(await wire.receive_json())["type"] for _ in range(91)]
        assert heard.count("nodes") == 90
        answers = [(await ask(desk, zoe, "GET", "/me"))[0] for _ in range(60)]
        assert 429 in answers
        assert (await desk.call("GET", "/me"))[0] == 200, "others go on"


async def test_one_user_takes_no_more_than_their_places(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url, user_requests_limit=2) as desk:
        zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        job = await desk.submit()
        await desk.call("POST", f"/jobs/{job}:share", {"who": "everyone"})
        waits: list[asyncio.Future[Any]] = []

        async def full() -> bool:
            """The question itself takes a place, so that a wait may be refused: it comes again."""
            waits[:] = [each for each in waits if not each.done()]
            while len(waits) < 2:
                path = f"/jobs/{job}?wait=30&after_version=99"
                waits.append(asyncio.ensure_future(ask(desk, zoe, "GET", path)))
            await asyncio.sleep(0.2)
            return (await ask(desk, zoe, "GET", "/me"))[0] == 429

        await wait_until(full, "the places to be taken")
        assert (await desk.call("GET", "/me"))[0] == 200
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

        async def free() -> bool:
            return (await ask(desk, zoe, "GET", "/me"))[0] == 200

        await wait_until(free, "the places to be free again")


async def test_slow_transfers_of_one_user_keep_nobody_from_the_datasets(
    state_dir: Path, redis_server: RedisServer
) -> None:
    item, big = "/api/v1/datasets/x/items/a", io.BytesIO(bytes(2 * 2**20))
    async with (
        running_desk(state_dir, redis_server.url, user_requests_limit=120) as desk,
        contextlib.AsyncExitStack() as slow,
    ):
        async with desk.session.put(f"http://request{item}", data=big) as answer:
            assert answer.status == 201
        zoe = await token_of(UserStore(desk.redis), "zoe", UserRole.USER)
        host = f"Host: h\nAuthorization: Bearer {zoe}\n"
        for _ in range(64):  # more than there are places: the question takes one now and then
            # Nothing is read of the one, nothing sent of the other.
            await slow.enter_async_context(posted(desk, f"GET {item} HTTP/1.1\n{host}\n"))
            upload = f"PUT {item}2 HTTP/1.1\n{host}Content-Length: 9\n\n"
            await slow.enter_async_context(posted(desk, upload))

        async def full() -> bool:
            return (await ask(desk, zoe, "GET", "/me"))[0] == 429

        await wait_until(full, "the places to be taken")
        async with asyncio.timeout(60.0), desk.session.head(f"http://request{item}") as answer:
            assert answer.status == 200


async def test_a_stream_ends_with_its_token(desk: Desk) -> None:
    users = UserStore(desk.redis)
    zoe = await token_of(users, "zoe", UserRole.USER)
    await desk.join_node()
    job = await desk.submit()
    await desk.call("POST", f"/jobs/{job}:share", {"who": "everyone"})
    await desk.launch(job)
    url = f"http://request/api/v1/jobs/{job}/logs?stream=out&follow=true"
    async with desk.session.get(url, headers={"Authorization": f"Bearer {zoe}"}) as answer:
        assert answer.status == 200
        await users.revoke_all("zoe")
        async with asyncio.timeout(60.0):
            with contextlib.suppress(Exception):
                assert await answer.content.read() == b""
    # The job is still under way: nothing else ended the stream.
    found = await desk.store.get(job)
    assert not found.status.closed
    await desk.step(job, Event.COMPLETED, Role.MONITOR, returns=(NODE,))
