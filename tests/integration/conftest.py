"""What the tests of a running data service share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.data_service import DataHarness, World, world
from tests.support.redis_server import RedisServer


@pytest.fixture
async def all_(
    state_dir: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """What data services of one test share; none runs yet."""
    # redis-py looks its own version up on disk for each connection: a stat that isn't ours.
    monkeypatch.setattr("redis.utils.get_lib_version", lambda: "0")
    async with world(state_dir, redis_server) as made:
        yield made


@pytest.fixture
async def data(all_: World) -> AsyncIterator[DataHarness]:
    """A running data service."""
    async with all_.data() as made:
        yield made
