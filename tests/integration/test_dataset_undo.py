"""A deleted dataset is seen by nobody, and can be brought back until its undo time is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientError

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.redis.connection import Redis
from headrace_data.core.keys import (
    DATASETS,
    DELETED,
    MARKERS,
    TOMBSTONES,
    deleted_key,
    folder,
    marker_key,
    tombstone_key,
)
from headrace_model.ids import DatasetId
from headrace_model.job import Need
from headrace_model.status import Event, Role, Status
from tests.support.data_service import DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

YEAR = {"TIME": ["1979-01-01", "1980-01-01"]}
WANTS = {"category": "FORCING", "domain": YEAR}
NEW = {"name": "drb", "category": "FORCING"}
A_MOMENT = 1e-5  # days: about a second


@pytest.fixture
async def undo(all_: World) -> AsyncIterator[DataHarness]:
    """A data service with the undo time of every day."""
    async with all_.data(dataset_undo_days=7.0) as harness:
        yield harness


async def _deleted(data: DataHarness, **asked: Any) -> list[str]:
    found = await data.api("GET", "/datasets", params={"state": "DELETED", **asked})
    return [f"{each['name']}@{each['version']}" for each in found.json["datasets"]]


async def test_what_is_deleted_is_seen_by_nobody_and_comes_back_as_it_was(
    all_: World, undo: DataHarness
) -> None:
    view = await undo.make("drb", {"a": b"1"}, domain=YEAR)
    await undo.api("POST", "/datasets/drb:share", json={"who": "user:bob"})
    before = (await undo.api("GET", "/datasets/drb")).json
    deleted = await undo.api("DELETE", "/datasets/drb")
    assert (deleted.status, deleted.json["state"]) == (200, "DELETED")
    assert deleted.json["deleted"] < deleted.json["purged"]
    for path in ("drb", "drb@1", view["id"], "drb/items", "drb/items/a", "drb/versions"):
        gone = await undo.api("GET", f"/datasets/{path}")
        assert (gone.status, gone.code) == (404, "NOT_FOUND"), path
    assert "`headrace dataset undelete drb@1`" in gone.json["hint"]
    assert (await undo.api("GET", "/datasets")).json["datasets"] == []
    assert (await undo.api("POST", "/datasets:match", json=WANTS)).json["result"] == "missing"
    assert await _deleted(undo) == ["drb@1"]
    undo.user = "bob"
    assert await _deleted(undo) == []
    assert (await undo.api("POST", "/datasets/drb:undelete")).status == 404
    undo.user = "ann"

    for _ in range(2):  # a repeat is success
        back = await undo.api("POST", "/datasets/drb:undelete")
        assert (back.status, back.json) == (200, before)
    assert (await undo.api("GET", "/datasets/drb/items/a")).body == b"1"
    assert (await undo.api("POST", "/datasets:match", json=WANTS)).json["result"] == "fulfilled"
    assert await _deleted(undo) == []
    assert await all_.store.keys("deleted") == []


async def test_a_repeat_by_id_deletes_nothing_else(undo: DataHarness) -> None:
    view = await undo.make("drb", {"a": b"1"})
    first, second = [await undo.api("DELETE", f"/datasets/{view['id']}") for _ in range(2)]
    assert (first.status, first.json) == (second.status, second.json) == (200, first.json)


async def test_an_open_dataset_comes_back_and_is_filled_further(undo: DataHarness) -> None:
    await undo.api("POST", "/datasets", json=NEW)
    await undo.upload("drb", "a", b"1")
    assert (await undo.api("DELETE", "/datasets/drb")).json["state"] == "DELETED"
    assert (await undo.upload("drb", "b", b"2")).status == 404
    assert (await undo.api("POST", "/datasets/drb:undelete")).json["state"] == "OPEN"
    assert (await undo.upload("drb", "b", b"2")).status == 201
    assert (await undo.api("POST", "/datasets/drb:seal")).json["item_count"] == 2


async def test_a_name_that_was_taken_meanwhile_is_said_and_another_one_can_be_given(
    undo: DataHarness,
) -> None:
    await undo.make("drb", {"a": b"1"})
    await undo.api("DELETE", "/datasets/drb")
    undo.user = "bob"
    await undo.make("drb", {"a": b"2"})
    undo.user = "ann"
    refused = await undo.api("POST", "/datasets/drb:undelete")
    assert (refused.status, refused.json["detail"]) == (409, "the name drb was taken meanwhile")
    assert "undelete drb@1 --as NAME" in refused.json["hint"]
    back = await undo.api("POST", "/datasets/drb:undelete", json={"name": "drb-of-ann"})
    assert (back.status, back.json["title"]) == (200, "drb-of-ann v1"), back.json
    assert (await undo.api("GET", "/datasets/drb-of-ann/items/a")).body == b"1"
    await undo.api("DELETE", "/datasets/drb-of-ann")
    for bad, status in (("drb", 409), ("Not A Name", 422)):
        answer = await undo.api("POST", "/datasets/drb-of-ann:undelete", json={"name": bad})
        assert answer.status == status, answer.json


async def test_of_several_deleted_versions_one_must_be_named(undo: DataHarness) -> None:
    for content in (b"1", b"2", b"3"):
        await undo.make("drb", {"a": content}, version="new" if content != b"1" else None)
    await undo.api("DELETE", "/datasets/drb@1")
    await undo.api("DELETE", "/datasets/drb@3")
    assert (await undo.api("GET", "/datasets/drb")).json["version"] == 2
    refused = await undo.api("POST", "/datasets/drb:undelete")
    assert (refused.status, refused.json["hint"]) == (409, "name one of them")
    assert "drb@1" in refused.json["detail"]
    assert "drb@3" in refused.json["detail"]
    await undo.api("POST", "/datasets/drb@1:undelete")
    assert (await undo.api("GET", "/datasets/drb")).json["version"] == 2, "the newest is another"
    await undo.api("POST", "/datasets/drb@3:undelete")
    assert (await undo.api("GET", "/datasets/drb/items/a")).body == b"3"


async def test_an_open_version_keeps_a_deleted_open_one_away(undo: DataHarness) -> None:
    await undo.api("POST", "/datasets", json=NEW)
    await undo.api("DELETE", "/datasets/drb")
    await undo.api("POST", "/datasets", json=NEW)
    refused = await undo.api("POST", "/datasets/drb@1:undelete")
    assert (refused.status, "is being written" in refused.json["detail"]) == (409, True)


async def test_its_files_go_when_the_undo_time_is_over(all_: World) -> None:
    async with all_.data(dataset_undo_days=A_MOMENT) as data:
        view = await data.make("drb", {"a": b"1"})
        await data.api("POST", "/datasets", json={**NEW, "name": "open"})
        await data.upload("open", "a", b"1")
        for name in ("drb", "open"):
            await data.api("DELETE", f"/datasets/{name}")
        assert len(await all_.store.keys(folder(view["id"]))) == 2
        await wait_until(lambda: _nothing(all_), "the files to go")
        for name in ("drb", "open"):
            late = await data.api("POST", f"/datasets/{name}:undelete")
            assert (late.status, "undo time is over" in late.json["detail"]) == (404, True)
        assert await all_.redis.command("KEYS", "hr:items:*") == []


async def test_a_temporary_dataset_is_kept_no_longer_for_having_been_deleted(
    all_: World, undo: DataHarness
) -> None:
    await undo.make("drb", {"a": b"1"}, expires_in="2s")
    view = (await undo.api("DELETE", "/datasets/drb")).json
    assert view["purged"] == view["expires"]
    await wait_until(lambda: _nothing(all_), "the files to go")


async def test_now_deletes_for_good_also_what_was_deleted_before(
    all_: World, undo: DataHarness
) -> None:
    for name in ("drb", "other"):
        await undo.make(name, {"a": b"1"})
    await undo.api("DELETE", "/datasets/drb")
    for name in ("drb", "other"):
        assert (await undo.api("DELETE", f"/datasets/{name}?now=true")).status == 204
        assert (await undo.api("POST", f"/datasets/{name}:undelete")).status == 404
    assert await _nothing(all_)
    assert (await undo.api("DELETE", "/datasets/drb?now=yes")).status == 422


async def test_what_a_job_uses_is_not_deleted_in_either_way(
    all_: World, undo: DataHarness
) -> None:
    await undo.make("drb", {"a": b"1"}, domain=YEAR)
    job = await all_.submit({Need.DATA_CHECK}, {"command": ["true"], "inputs": {"f": WANTS}})
    await all_.until(job, Status.AWAITING_ALLOCATION)
    for query in ("", "?now=true"):
        refused = await undo.api("DELETE", f"/datasets/drb{query}")
        assert (refused.status, job in refused.json["detail"]) == (409, True)
    await all_.write(job, Event.CANCEL, Role.REQUEST)
    assert (await undo.api("DELETE", "/datasets/drb")).status == 200


async def test_a_lost_catalogue_knows_what_was_deleted_and_when_it_goes(all_: World) -> None:
    async with all_.data(dataset_undo_days=7.0) as data:
        await data.make("drb", {"a": b"1"})
        await data.make("drb", {"a": b"2"}, version="new")
        view = (await data.api("DELETE", "/datasets/drb@2")).json
    await _lose_catalogue(all_)
    async with all_.data(dataset_undo_days=7.0) as data:
        await wait_until(lambda: _is(data, "drb@1", 200), "the SEALED one to come back")
        await wait_until(lambda: _deleted(data), "the DELETED one to come back")
        assert (await data.api("GET", "/datasets/drb")).json["version"] == 1
        assert await _deleted(data) == ["drb@2"]
        assert (await data.make("drb", {"a": b"3"}, version="new"))["version"] == 3
        back = (await data.api("POST", "/datasets/drb@2:undelete")).json
        assert back["id"] == view["id"]
        assert (await data.api("GET", "/datasets/drb@2/items/a")).body == b"2"
        assert (await data.api("GET", "/datasets/drb")).json["version"] == 3


async def test_a_restored_redis_follows_what_the_store_says_of_deletions(all_: World) -> None:
    """Redis is from before a deletion, an undeletion, a purge, and a deletion that a job minds."""
    async with all_.data(dataset_undo_days=7.0) as data:
        ids = {
            name: DatasetId((await data.make(name, {"a": b"1"}, **asked))["id"])
            for name, asked in (
                ("hidden", {}), ("back", {}), ("purged", {}), ("used", {"domain": YEAR}),
            )
        }  # fmt: skip
        for name in ("back", "purged"):
            await data.api("DELETE", f"/datasets/{name}")
        job = await all_.submit({Need.DATA_CHECK}, {"command": ["true"], "inputs": {"f": WANTS}})
        await all_.until(job, Status.AWAITING_ALLOCATION)
    dumps = await _dump(all_.redis)
    await all_.write(job, Event.CANCEL, Role.REQUEST)
    async with all_.data(dataset_undo_days=7.0) as data:
        for name in ("hidden", "used"):
            assert (await data.api("DELETE", f"/datasets/{name}")).status == 200
        assert (await data.api("POST", "/datasets/back:undelete")).status == 200
        assert (await data.api("DELETE", "/datasets/purged?now=true")).status == 204
    await _lay_back(all_.redis, dumps)
    async with all_.data(dataset_undo_days=7.0) as data:

        async def compared() -> bool:
            return not await all_.redis.command("EXISTS", "hr:restored")

        await wait_until(compared, "Redis to be compared with the store")
        assert await _deleted(data) == ["hidden@1"]
        for name in ("back", "used"):
            assert (await data.api("GET", f"/datasets/{name}/items/a")).body == b"1"
            assert await all_.store.stat(marker_key(ids[name])) is not None
        assert (await data.api("POST", "/datasets/purged:undelete")).status == 404
        assert (await data.api("POST", "/datasets/hidden:undelete")).status == 200
        assert await all_.store.keys("deleted") == []


class Cut:
    """Ends every write of datasets to Redis and the store after so many of them, as a kill does.

    What the loops of the service write beside it, such as leases, goes on.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        for kind, name in (
            (Redis, "script"), (DirectoryStore, "put_bytes"), (DirectoryStore, "delete"),
        ):  # fmt: skip
            monkeypatch.setattr(kind, name, self._cut(getattr(kind, name)))

    def _cut(self, plain: Any) -> Any:
        async def maybe(store: Any, what: str, *how: Any) -> Any:
            top = what.partition("/")[0]
            counts = what.endswith("_dataset") or top in (DATASETS, MARKERS, DELETED, TOMBSTONES)
            if self.left is not None and counts:
                if self.left == 0:
                    raise asyncio.CancelledError
                self.left -= 1
            return await plain(store, what, *how)

        return maybe


@pytest.mark.parametrize("loses_redis", [False, True])
@pytest.mark.parametrize("act", ["delete", "undelete", "purge", "purge of a living one"])
async def test_a_kill_between_any_two_writes_leaves_nothing_half_done(
    all_: World, monkeypatch: pytest.MonkeyPatch, act: str, loses_redis: bool
) -> None:
    """One write more each time, until the kill comes too late; with Redis lost too, a step that
    the store was not told of may be undone, and nothing else.
    """
    cut = Cut(monkeypatch)
    deleted_before = act in ("undelete", "purge")
    for writes in range(20):
        name = f"d{writes}"
        async with all_.data(dataset_undo_days=7.0, sweep_s=600.0) as data:
            id_ = DatasetId((await data.make(name, {"a": b"1"}))["id"])
            if deleted_before:
                await data.api("DELETE", f"/datasets/{name}")
            method, path = {
                "delete": ("DELETE", name),
                "undelete": ("POST", f"{name}:undelete"),
            }.get(act, ("DELETE", f"{name}?now=true"))
            cut.left = writes
            asking = asyncio.create_task(data.api(method, f"/datasets/{path}"))
            while not (await asyncio.wait([asking], timeout=0.5))[0] and cut.left:
                pass  # slow, and not cut: who was cut may never answer
            asking.cancel()
            with suppress(ClientError, asyncio.CancelledError):
                await asking
            was_cut, cut.left = cut.left == 0, None
        if loses_redis:
            await _lose_catalogue(all_)
        async with all_.data(dataset_undo_days=7.0) as data:
            (state,) = await wait_until(
                lambda data=data, id_=id_: _agreed(all_, data, id_), "the kill to be mended"
            )
        may_be = {"delete": {"SEALED", "DELETED"}, "undelete": {"SEALED", "DELETED"}}.get(
            act, {"DELETED" if deleted_before else "SEALED", None}
        )
        assert state in may_be, (writes, state)
        if not was_cut:
            break
    assert state == {"delete": "DELETED", "undelete": "SEALED"}.get(act)
    assert writes > 2, "there was nothing to cut"


async def _agreed(all_: World, data: DataHarness, id_: DatasetId) -> tuple[str | None] | None:
    """The state of a dataset, once Redis, the store and the API agree on it; None: not yet."""
    visible = (await data.api("GET", f"/datasets/{id_}/items/a")).status
    names = [each["id"] for each in (await data.api("GET", "/datasets")).json["datasets"]]
    kept = (await data.api("GET", "/datasets?state=DELETED")).json["datasets"]
    in_store = {
        what: await all_.store.stat(key) is not None
        for what, key in (
            ("sealed", marker_key(id_)), ("deleted", deleted_key(id_)),
            ("tombstone", tombstone_key(id_)),
        )
    }  # fmt: skip
    files = len(await all_.store.keys(folder(id_)))
    here, hidden = id_ in names, id_ in [each["id"] for each in kept]
    seen = (visible, here, hidden, *in_store.values(), files)
    states = {
        (200, True, False, True, False, False, 2): "SEALED",
        (404, False, True, False, True, False, 2): "DELETED",
        (404, False, False, False, False, False, 0): None,
    }
    owed = [await all_.redis.command("ZCARD", f"hr:{key}") for key in ("unmarked", "tombstones")]
    return (states[seen],) if seen in states and not any(owed) else None


async def _nothing(all_: World) -> bool:
    tops = ("datasets", "sealed", "deleted", "tombstones")
    return not any([await all_.store.keys(top) for top in tops])


async def _is(data: DataHarness, name: str, status: int) -> bool:
    return (await data.api("GET", f"/datasets/{name}")).status == status


async def _lose_catalogue(all_: World) -> None:
    keys: Any = await all_.redis.command("KEYS", "hr:dataset*")
    named = ("hr:names", "hr:versions", "hr:open", "hr:unmarked", "hr:deleted", "hr:tombstones")
    await all_.redis.command("DEL", *keys, *named)


async def _dump(redis: Redis) -> dict[str, tuple[str, Any]]:
    """What a backup holds of datasets."""
    found: dict[str, tuple[str, Any]] = {}
    for key in await redis.command("KEYS", "hr:*"):
        if not key.startswith(("hr:dataset", "hr:names", "hr:versions", "hr:deleted", "hr:links")):
            continue
        kind = await redis.command("TYPE", key)
        read = {
            "hash": ("HGETALL", key), "set": ("SMEMBERS", key),
            "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        }[kind]  # fmt: skip
        found[key] = (kind, await redis.command(*read))
    return found


async def _lay_back(redis: Redis, dumps: dict[str, tuple[str, Any]]) -> None:
    now = await redis.command("KEYS", "hr:dataset*")
    await redis.command("DEL", *now, "hr:names", "hr:versions", "hr:deleted", "hr:unmarked")
    for key, (kind, value) in dumps.items():
        if kind == "hash":
            await redis.command("HSET", key, *[part for pair in value.items() for part in pair])
        elif kind == "set":
            await redis.command("SADD", key, *value)
        else:
            await redis.command("ZADD", key, *[part for pair in value for part in reversed(pair)])
    await redis.command("SET", "hr:restored", "a backup")


async def test_deleting_a_bare_name_for_good_twice_takes_no_older_version(
    undo: DataHarness,
) -> None:
    await undo.make("drb", {"a": b"1"})
    second = await undo.make("drb", {"a": b"2"}, version="new")
    refused = await undo.api("DELETE", "/datasets/drb?now=true")
    assert (refused.status, refused.json["hint"]) == (409, "name the version: drb@2")
    for _ in range(2):
        await undo.api("DELETE", f"/datasets/{second['id']}?now=true")
    assert (await undo.api("GET", "/datasets/drb")).json["version"] == 1
    assert (await undo.api("DELETE", "/datasets/drb?now=true")).status == 204
