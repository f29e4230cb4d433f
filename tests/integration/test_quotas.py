"""Quotas: what is counted, what is refused, and that nobody passes one by being many."""

import asyncio
import random
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest

from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.users import UserStore
from headrace_model.dataset import Category, Dataset, DatasetState, Item, Manifest
from headrace_model.domain import Domain
from headrace_model.errors import NotFound, OverQuota
from headrace_model.ids import DatasetId
from headrace_model.job import Need
from headrace_model.people import UserRole
from headrace_model.status import Status
from headrace_wire.batch import BatchFile, encode_batch
from tests.support.data_service import DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

NEW = {"name": "drb", "category": "FORCING"}


@pytest.fixture
async def quotas(all_: World) -> QuotaStore:
    """Quotas, and ann and bob in the group models."""
    users = UserStore(all_.redis)
    await users.create_user("root")
    await users.create_group("models")
    for name in ("ann", "bob"):
        await users.create_user(name, UserRole.USER, groups=["models"])
    return QuotaStore(all_.redis)


async def _stored(quotas: QuotaStore, *names: str) -> int:
    return sum((await quotas.stored(names or ["ann"])).values())


async def test_an_upload_that_would_pass_the_quota_is_refused_and_says_what_next(
    data: DataHarness, quotas: QuotaStore
) -> None:
    await quotas.set("user", "ann", 10)
    await data.api("POST", "/datasets", json=NEW)
    assert (await data.upload("drb", "a", b"12345678")).status == 201
    refused = await data.upload("drb", "b", b"123")
    assert (refused.status, refused.code) == (409, "OVER_QUOTA")
    assert refused.json["detail"] == (
        "ann has 8 B in datasets and checkpoints, of a quota of 10 B, and 3 B were to come"
    )
    assert "--now" in refused.json["hint"]
    body = encode_batch([BatchFile("c", sha256(b"123").hexdigest(), b"123")])
    assert (await data.api("POST", "/datasets/drb:upload", data=body)).code == "OVER_QUOTA"
    # What fits is taken, and what gets smaller or goes makes room.
    assert (await data.upload("drb", "b", b"12")).status == 201
    assert (await data.upload("drb", "a", b"1")).status == 201
    await data.api("DELETE", "/datasets/drb/items/b")
    assert await _stored(quotas) == 1
    assert (await data.upload("drb", "b", b"123456789")).status == 201
    assert (await data.api("POST", "/datasets/drb:seal")).status == 200
    assert await _stored(quotas) == 10


async def test_taking_items_of_another_dataset_counts_too(
    data: DataHarness, quotas: QuotaStore
) -> None:
    await data.make("drb", {"a": b"12345"})
    await quotas.set("user", "ann", 9)
    await data.api("POST", "/datasets", json={**NEW, "version": "new"})
    taken = {"dataset": "drb@1", "paths": ["a"]}
    refused = await data.api("POST", "/datasets/drb:take", json=taken)
    assert (refused.status, refused.code) == (409, "OVER_QUOTA")
    await quotas.set("user", "ann", None)
    assert (await data.api("POST", "/datasets/drb:take", json=taken)).status == 200
    assert await _stored(quotas) == 10


async def test_a_group_has_what_its_members_have_together(
    data: DataHarness, quotas: QuotaStore
) -> None:
    await quotas.set("group", "models", 10)
    await data.make("of-ann", {"a": b"123456"})
    data.user = "bob"
    await data.api("POST", "/datasets", json={**NEW, "name": "of-bob"})
    refused = await data.upload("of-bob", "a", b"12345")
    said = refused.json["detail"]
    assert said.startswith(
        "the members of group models have 6 B in datasets and checkpoints, of a quota of 10 B"
    )
    data.user = "carol"  # in no group
    await data.make("of-carol", {"a": b"x" * 100})
    await UserStore(data_redis(quotas)).remove_group("models")
    data.user = "bob"
    assert (await data.upload("of-bob", "a", b"12345")).status == 201
    assert await quotas.limits() == {}, "a group of the same name begins without a quota"


def data_redis(quotas: QuotaStore) -> Any:
    return quotas._redis


async def test_what_others_fill_counts_for_its_owner(
    data: DataHarness, quotas: QuotaStore
) -> None:
    await data.api("POST", "/datasets", json=NEW)
    await data.api("POST", "/datasets/drb:share", json={"who": "user:bob", "level": "write"})
    await quotas.set("user", "ann", 3)
    data.user = "bob"
    assert (await data.upload("drb", "a", b"1234")).code == "OVER_QUOTA"
    assert (await data.upload("drb", "a", b"123")).status == 201
    assert await quotas.stored(["ann", "bob"]) == {"ann": 3, "bob": 0}


async def test_what_can_be_brought_back_counts_and_what_is_deleted_for_good_does_not(
    all_: World, quotas: QuotaStore
) -> None:
    async with all_.data(dataset_undo_days=7.0) as data:
        await data.make("drb", {"a": b"12345"})
        await data.api("DELETE", "/datasets/drb")
        assert await _stored(quotas) == 5
        await data.api("DELETE", "/datasets/drb?now=true")
        assert await _stored(quotas) == 0


@pytest.mark.parametrize("quota_of", ["user", "group"])
async def test_uploads_side_by_side_never_pass_a_quota(
    all_: World, quotas: QuotaStore, quota_of: str
) -> None:
    """Two replicas, two owners, files and batches, all at once."""
    await quotas.set(quota_of, "models" if quota_of == "group" else "ann", 1_000)
    async with all_.data() as one, all_.data() as other:
        other.user = "bob" if quota_of == "group" else "ann"
        for harness, name in ((one, "a"), (other, "b")):
            await harness.api("POST", "/datasets", json={**NEW, "name": name})

        async def put(harness: DataHarness, name: str, number: int) -> int:
            content = f"{number:090}".encode()
            if number % 2:
                return (await harness.upload(name, f"f{number}", content)).status
            body = encode_batch([BatchFile(f"f{number}", sha256(content).hexdigest(), content)])
            return (await harness.api("POST", f"/datasets/{name}:upload", data=body)).status

        done = await asyncio.gather(
            *(put(*which, n) for n in range(15) for which in ((one, "a"), (other, "b")))
        )
    assert sum(status < 300 for status in done) == 11, "as many as fit, and no more"
    assert {status for status in done if status >= 300} == {409}
    assert await _stored(quotas, "ann", "bob") == 11 * 90


async def test_a_result_is_never_lost_for_a_quota(
    all_: World, data: DataHarness, quotas: QuotaStore
) -> None:
    await quotas.set("user", "ann", 1)
    makes = {"command": ["true"], "outputs": {"flow": {"format": "GENERIC"}}}
    await all_.node()
    job = await all_.submit({Need.COLLECTION}, makes)
    await all_.allocate(job)
    await all_.exited(job)
    await all_.report(await all_.collect(data, job, {"flow": {"q": b"12345"}}))
    await all_.until(job, Status.COMPLETED)
    assert await _stored(quotas) == 5
    with pytest.raises(
        OverQuota, match="ann has 5 B in datasets and checkpoints, of a quota of 1 B"
    ):
        await quotas.check("ann", 0)


async def test_datasets_of_a_version_before_count_too(all_: World, quotas: QuotaStore) -> None:
    async with all_.data(dataset_undo_days=7.0) as data:
        ids = [(await data.make(name, {"a": b"12345"}))["id"] for name in ("drb", "gone")]
        await data.api("DELETE", "/datasets/gone")
        for name in ("open", "late"):
            view = await data.api("POST", "/datasets", json={**NEW, "name": name})
            await data.upload(name, "a", b"123")
            ids.append(view.json["id"])
    await all_.redis.command("DEL", "hr:stored", "hr:counted")
    for id_ in ids:
        await all_.redis.command("HDEL", f"hr:dataset:{id_}", "bytes", "owner")
    # An upload that comes before the leader has counted.
    items = [Item("b", 7, "0" * 64, "k")]
    await all_.datasets.put_items(DatasetId(ids[-1]), items, 10)
    assert await _stored(quotas) == 10
    async with all_.data():
        await wait_until(lambda: all_.redis.command("EXISTS", "hr:counted"), "all to count")
        assert await _stored(quotas) == 5 + 5 + 3 + 10


@pytest.mark.parametrize("kind", ["user", "group"])
async def test_who_is_not_there_has_no_quota(quotas: QuotaStore, kind: str) -> None:
    with pytest.raises(NotFound, match=f"there is no {kind} nobody"):
        await quotas.set(kind, "nobody", 1)


@pytest.mark.parametrize("seed", range(6))
async def test_the_count_is_what_the_datasets_hold_whatever_was_done(
    all_: World, quotas: QuotaStore, seed: int
) -> None:
    """Random walks of everything that changes a dataset, each step maybe repeated."""
    chance = random.Random(seed)  # noqa: S311 - of a test
    store, held = all_.datasets, dict[str, dict[str, int]]()
    owners = {f"d{number}": chance.choice(["ann", "bob"]) for number in range(4)}

    async def entry(id_: str) -> Any:
        return await store.get(DatasetId(id_))

    async def step(id_: str) -> None:
        acts = ("put", "put", "remove", "seal", "delete", "undelete", "purge", "lose")
        act = chance.choice(acts)
        if id_ not in held:
            dataset = Dataset(
                DatasetId(id_), id_, 1, Category.FORCING, "GENERIC", Domain(), owners[id_], 1
            )
            await store.create(dataset, new_version=False, newest="")
            held[id_] = {}
            return
        known = await entry(id_)
        state = known.dataset.state
        if act == "put" and state is DatasetState.OPEN:
            path, size = chance.choice("abc"), chance.randrange(100)
            await store.put_items(DatasetId(id_), [Item(path, size, f"{size:064}", "k")], 10)
            held[id_][path] = size
        elif act == "remove" and state is DatasetState.OPEN:
            await store.remove_item(DatasetId(id_), "a")
            held[id_].pop("a", None)
        elif act == "seal" and state is DatasetState.OPEN:
            items = await store.items(DatasetId(id_))
            await store.seal(known, Manifest.of(known.dataset, items).sealed(2))
        elif act == "delete" and state is not DatasetState.DELETED:
            await store.delete(known, known.dataset.deleted(1, 10))
        elif act == "undelete" and state is DatasetState.DELETED:
            await store.undelete(known, known.dataset.undeleted(id_), "")
        elif act == "purge":
            await store.tombstone(known)
            if chance.random() < 0.5:
                await store.forget(DatasetId(id_))
                await store.forget(DatasetId(id_))
                del held[id_]
                owners[id_] = chance.choice(["ann", "bob"])
            else:
                held[id_] = {}
        elif act == "lose" and state is DatasetState.SEALED:
            await all_.redis.command("HDEL", f"hr:dataset:{id_}", "bytes")
            stored = await all_.redis.command("HGET", "hr:stored", owners[id_])
            less = int(stored or 0) - sum(held[id_].values())
            await all_.redis.command("HSET", "hr:stored", owners[id_], less)
            await all_.redis.command("DEL", "hr:counted")
            await store.count()
        elif act == "lose" and state is DatasetState.OPEN:
            manifest = Manifest.of(known.dataset, await store.items(DatasetId(id_)))
            await store.restore(manifest.sealed(2))

    for _ in range(120):
        id_ = chance.choice(list(owners))
        with suppress(NotFound):
            await step(id_)
        for name in ("ann", "bob"):
            expected = sum(
                sum(sizes.values()) for each, sizes in held.items() if owners[each] == name
            )
            assert (await quotas.stored([name]))[name] == expected
