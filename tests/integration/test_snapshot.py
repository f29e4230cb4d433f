"""A consistent copy of a running Redis and what begins from it; the switch of a deployed stack."""

import asyncio
import shutil
from pathlib import Path

import pytest

from headrace_adapters.redis import snapshot
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.services import ServiceStore
from headrace_local.redis_server import find_server
from headrace_model.errors import Fenced, InMaintenance, Unavailable
from headrace_stack.main import maintain
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, Stage, new_job, new_wish


async def _stage(server: RedisServer) -> Stage:
    stage = Stage(Redis(server.url, patience_s=5.0))
    await stage.redis.open()
    return stage


async def test_a_copy_holds_one_moment_and_a_new_epoch_fences_what_was_before(
    redis_server: RedisServer, state_dir: Path
) -> None:
    stage = await _stage(redis_server)
    await stage.redis.command(
        "ACL", "SETUSER", "admin", "reset", "on", ">word", "~*", "&*", "+@all"
    )
    await stage.ready()
    before = await stage.make(new_job(1))
    file = state_dir / "copy.rdb"
    url = redis_server.url.replace("unix://", "unix://admin@")
    with pytest.raises(Unavailable, match="does not let admin in"):
        await asyncio.to_thread(snapshot.copy, url, "another word", file)
    assert not file.exists()
    size = await asyncio.to_thread(snapshot.copy, url, "word", file)
    assert (size, file.stat().st_mode & 0o777) == (file.stat().st_size, 0o600)
    with pytest.raises(FileExistsError):
        await asyncio.to_thread(snapshot.copy, url, "word", file)
    await stage.make(new_job(2))
    await stage.redis.close()

    folder = state_dir / "restored"
    folder.mkdir()
    shutil.copy(file, folder / snapshot.AOF)
    server = RedisServer(find_server(), folder)
    server.start()
    try:
        restored = await _stage(server)
        old = restored.redis.epoch
        wishes = ServiceStore(restored.redis)
        await wishes.wish(N1, new_wish(before.id))
        await snapshot.begin_epoch(restored.redis, "of yesterday")
        with pytest.raises(Fenced):
            await restored.make(new_job(3))
        await restored.redis.open()
        assert restored.redis.epoch != old
        assert [
            job.id for job in await restored.jobs.get_many([new_job(1).id, new_job(2).id])
        ] == [before.id]
        assert await restored.jobs.restored_from() == "of yesterday"
        assert {node.free for node in await restored.nodes.all()} == {None}
        assert await wishes.names(N1) == frozenset(), "no worker is made twice"
        await restored.lead()
        await restored.jobs.reconciled(1)
        assert await restored.jobs.restored_from() == ""
        await restored.redis.close()
    finally:
        server.kill9()


async def test_a_redis_that_is_away_gives_no_copy(state_dir: Path) -> None:
    file = state_dir / "copy.rdb"
    with pytest.raises(Unavailable, match="does not answer"):
        await asyncio.to_thread(snapshot.copy, f"unix://{state_dir}/no.sock", "word", file)
    assert not file.exists()


async def test_a_stacks_switch_keeps_jobs_away(redis_server: RedisServer) -> None:
    stage = await _stage(redis_server)
    await stage.ready()
    said = await maintain(stage.redis, "on", "ann", "new disks")
    assert "by ann: new disks; jobs under way: 0" in said
    with pytest.raises(InMaintenance, match="by ann: new disks"):
        await stage.make(new_job(1))
    assert await maintain(stage.redis, "show", "ann", "") == said
    assert "new work is taken" in await maintain(stage.redis, "off", "ann", "")
    await stage.make(new_job(1))
    await stage.redis.close()
