"""What nothing names leaves the store; what anything may ever name stays, whoever is late."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.redis.datasets import DatasetStore, Look
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.store import S3Store
from headrace_data import store_sweep
from headrace_data.core.keys import (
    CATALOGUE,
    checkpoint_key,
    checkpoints_folder,
    deleted_key,
    folder,
    log_key,
    manifest_key,
    marker_key,
    output_key,
    tombstone_key,
    upload_key,
)
from headrace_data.library import Library
from headrace_data.staging import Manifests
from headrace_data.store_sweep import StoreSweep
from headrace_model.dataset import Category, Dataset, DatasetState, Item, Manifest
from headrace_model.domain import Domain
from headrace_model.errors import Conflict, Fenced, HeadraceError, Unavailable
from headrace_model.ids import DatasetId, JobId, job_id
from headrace_model.job import Need
from headrace_model.people import User, UserRole
from headrace_model.status import Event, Role
from headrace_ports.object_store import ObjectStore
from headrace_wire.records import encode_dataset
from tests.support.data_service import World
from tests.support.s3_servers import S3Server
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

ALL = -3600.0  # older than this is everything, whatever the clock of a server says
_NUMBERS = count(1)


def fresh() -> JobId:
    """The id of no job, and of no dataset, so far."""
    return job_id(int(time.time() * 1000), next(_NUMBERS))


@dataclass(slots=True)
class Ground:
    """A catalogue, a store, and a sweep that leads."""

    world: World
    store: ObjectStore
    sweep: StoreSweep
    term: int

    async def walk(self) -> None:
        """One walk from its beginning to its end."""
        while await self.sweep.step(self.term):
            pass

    async def put(self, *keys: str) -> set[str]:
        for key in keys:
            await self.store.put_bytes(key, key.encode())
        return set(keys)

    async def keys(self) -> set[str]:
        """All that lies in the store but for the sweep's own object."""
        found: set[str] = set()
        for prefix in (
            "datasets",
            "sealed",
            "deleted",
            "tombstones",
            "logs",
            "archive",
            "checkpoints",
        ):
            found.update(await self.store.keys(prefix))
        return found

    async def open(self, content: bytes = b"x") -> tuple[Dataset, Item]:
        """An OPEN dataset with an item."""
        name = f"d{next(_NUMBERS)}"
        dataset = Dataset(
            id=DatasetId(fresh()), name=name, version=1, category=Category.FORCING,
            format="GENERIC", domain=Domain(), owner="ann", created_ms=1,
        )  # fmt: skip
        await self.world.datasets.create(dataset, new_version=False, newest="")
        digest = sha256(content).hexdigest()
        item = Item("a", len(content), digest, upload_key(dataset, digest))
        await self.store.put_bytes(item.key, content)
        await self.world.datasets.put_items(dataset.id, [item], 10)
        return dataset, item

    async def seal(self, dataset: Dataset, item: Item) -> tuple[Dataset, str]:
        """Seal an OPEN dataset; returns it with the key of its manifest."""
        entry = await self.world.datasets.get(dataset.id)
        manifest = Manifest.of(entry.dataset, (item,))
        key = manifest_key(entry.dataset, manifest.sha256)
        await self.store.put_bytes(key, manifest.canonical_bytes)
        sealed = manifest.sealed(2)
        await self.world.datasets.seal(entry, sealed)
        return sealed, key

    async def job(self, *events: Event) -> JobId:
        """A job after some steps of the request service."""
        made = await self.world.submit({Need.COLLECTION}, {"command": ["true"]})
        for event in events:
            await self.world.write(made, event, Role.REQUEST)
        return made


async def ground_on(world: World, store: ObjectStore) -> Ground:
    lease = await LeaseStore(world.redis).acquire(Role.DATA, "test", 600_000)
    sweep = StoreSweep(world.datasets, store, Manifests(store), ALL, 0.01)
    return Ground(world, store, sweep, lease.term)


@pytest.fixture
async def ground(all_: World) -> Ground:
    return await ground_on(all_, all_.store)


@pytest.fixture(params=["directory", "juicefs", "seaweedfs"])
async def any_ground(
    request: pytest.FixtureRequest,
    all_: World,
    state_dir: Path,
    s3_servers: Callable[[str], S3Server],
) -> AsyncIterator[Ground]:
    if request.param == "directory":
        yield await ground_on(all_, all_.store)
        return
    server = await asyncio.to_thread(s3_servers, request.param)
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    prefix = sha256(str(state_dir).encode()).hexdigest()[:16]
    store = S3Store(parse_location(f"{server.url}/{prefix}"), credentials)
    try:
        yield await ground_on(all_, store)
    finally:
        await store.close()


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def of_nobody() -> Dataset:
    """A dataset that the catalogue does not know."""
    return Dataset(
        id=DatasetId(fresh()), name="gone", version=1, category=Category.FORCING,
        format="GENERIC", domain=Domain(), owner="ann", created_ms=1,
    )  # fmt: skip


async def test_what_nothing_can_name_goes_and_all_else_stays(any_ground: Ground) -> None:
    ground = any_ground
    opened, item = await ground.open()
    sealed, manifest = await ground.seal(*(two := await ground.open(b"sealed")))
    waits, stopped = await ground.job(), await ground.job(Event.STOP)
    canceled = await ground.job(Event.CANCEL)
    gone, marked = of_nobody(), of_nobody()
    believed = Manifest.of(marked, (Item("a", 1, digest("a"), upload_key(marked, digest("a"))),))
    await ground.store.put_bytes(manifest_key(marked, believed.sha256), believed.canonical_bytes)
    await ground.store.put_bytes(
        marker_key(marked.id), encode_dataset(believed.sealed(2)).encode()
    )
    stays = {
        item.key, two[1].key, manifest, manifest_key(marked, believed.sha256),
        marker_key(marked.id),
    }  # fmt: skip
    stays |= await ground.put(
        upload_key(opened, digest("an upload before its script")),
        manifest_key(opened, digest("a seal before its script")),
        output_key(waits, 1, "out", digest("collected")),
        output_key(stopped, 1, "out", digest("of an earlier attempt")),
        upload_key(marked, digest("a")),
        marker_key(sealed.id),
        "datasets/not-our-id/1/upload/x",
        checkpoint_key(waits, 1, 0),
        checkpoint_key(stopped, 2, 0),
        "checkpoints/not-our-id/1/0.tar",
        log_key(fresh(), 1, "0.out"),
        "archive/00000000000001-0123456789abcdef",
    )
    unbelieved = replace(believed.sealed(2), id=gone.id)
    await ground.store.put_bytes(marker_key(gone.id), encode_dataset(unbelieved).encode())
    goes = {marker_key(gone.id)} | await ground.put(
        manifest_key(gone, digest("a seal that came after the deletion")),
        upload_key(gone, digest("an upload that came after the deletion")),
        tombstone_key(DatasetId(fresh())),
        manifest_key(sealed, digest("a seal that was refused")),
        upload_key(sealed, digest("an upload that was refused")),
        output_key(canceled, 1, "out", digest("collected after the cancel")),
        output_key(fresh(), 3, "out", digest("of an archived job")),
        checkpoint_key(canceled, 1, 0),
        checkpoint_key(late := fresh(), 3, 0),
    )
    assert await ground.keys() == stays | goes
    await ground.walk()
    assert await ground.keys() == stays
    await ground.walk()
    assert await ground.keys() == stays
    if isinstance(ground.store, DirectoryStore):
        for empty in (folder(gone.id), checkpoints_folder(late)):
            assert not (ground.world.state / "store" / empty).exists()


async def test_what_is_young_stays(ground: Ground) -> None:
    young = await ground.put(upload_key(of_nobody(), digest("x")))
    ground.sweep.older_than_s = 3600.0
    await ground.walk()
    assert await ground.keys() == young


async def test_an_upload_in_progress_loses_nothing_at_whatever_age(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    register = Library.register

    async def held(self: Library, *how: Any) -> None:
        reached.set()
        await go_on.wait()
        await register(self, *how)

    monkeypatch.setattr(Library, "register", held)
    # As small a walk as can be: the upload is passed by more often.
    monkeypatch.setattr(store_sweep, "_PAGE", 1)
    async with all_.data(sweep_s=0.01, store_unnamed_s=0.0) as data:
        await data.api("POST", "/datasets", json={"name": "drb", "category": "FORCING"})
        upload = asyncio.create_task(data.upload("drb", "a", b"in progress"))
        await reached.wait()
        for _ in range(2):
            # Two walks at least begin and end while the object is there and nothing names it.
            await _swept(all_.store, upload_key(of_nobody(), digest("late")))
        go_on.set()
        assert (await upload).status == 201
        assert (await data.api("POST", "/datasets/drb:seal")).status == 200
        await _swept(all_.store, upload_key(of_nobody(), digest("late")))
        assert (await data.api("GET", "/datasets/drb/items/a")).body == b"in progress"


async def _swept(store: ObjectStore, key: str) -> None:
    await store.put_bytes(key, b"late")

    async def gone() -> bool:
        return await store.stat(key) is None

    await wait_until(gone, f"{key} to be swept")


async def test_a_leader_that_goes_on_late_removes_what_is_nobodys_still(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "once"}
    new = {"name": "drb", "category": "FORCING"}
    async with all_.data() as data:
        first = (await data.api("POST", "/datasets", json=new, headers=key)).json["id"]
        assert (await data.upload("drb", "a", b"same")).status == 201
        (lost,) = await all_.store.keys(folder(first))
        assert (await data.api("DELETE", "/datasets/drb")).status == 204
        await all_.store.put_bytes(lost, b"same")  # an upload that came after the deletion
    ground = await ground_on(all_, all_.store)
    looked, go_on = asyncio.Event(), asyncio.Event()
    look = DatasetStore.look

    async def late(self: DatasetStore, of: Any, term: int) -> Look:
        found = await look(self, of, term)
        if of:
            looked.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(DatasetStore, "look", late)
    paused = asyncio.create_task(ground.walk())
    await looked.wait()
    monkeypatch.setattr(DatasetStore, "look", look)
    await LeaseStore(all_.redis).release(Role.DATA, "test")
    async with all_.data() as data:  # another one leads
        other = {**new, "name": "other"}
        again = await data.api("POST", "/datasets", json=other, headers=key)
        anew = again if again.status == 201 else await data.api("POST", "/datasets", json=other)
        assert (await data.upload("other", "a", b"same")).status == 201
        go_on.set()
        with pytest.raises(Fenced):
            await paused
        assert await all_.store.stat(lost) is None, "it did remove what it had looked at"
        assert (await data.api("GET", f"/datasets/{anew.json['id']}/items/a")).body == b"same"


async def test_who_leads_no_longer_removes_nothing_more(ground: Ground) -> None:
    stray = await ground.put(upload_key(of_nobody(), digest("x")))
    assert await ground.sweep.step(ground.term), "it has begun"
    leases = LeaseStore(ground.world.redis)
    await leases.release(Role.DATA, "test")
    await leases.acquire(Role.DATA, "another", 600_000)
    with pytest.raises(Fenced):
        await ground.walk()
    assert await ground.keys() == stray


async def test_a_walk_goes_on_where_it_stopped(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_sweep, "_PAGE", 2)
    stray = await ground.put(*(upload_key(of_nobody(), digest(str(n))) for n in range(7)))
    asked: list[str] = []
    page, times = DirectoryStore.page, count()

    async def away(self: DirectoryStore, prefix: str, after: str = "", most: int = 0) -> Any:
        if prefix == "datasets":
            if next(times) == 2:
                raise Unavailable("the store is away")
            asked.append(after)
        return await page(self, prefix, after, most)

    monkeypatch.setattr(DirectoryStore, "page", away)
    with pytest.raises(Unavailable):
        await ground.walk()
    assert len(await ground.keys()) == len(stray) - 4
    await ground.walk()
    assert await ground.keys() == set()
    assert asked == sorted(set(asked)), "no page was looked at twice"


async def test_a_full_store_is_swept(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await ground.put(upload_key(of_nobody(), digest("x")))

    async def full(*_: object) -> None:
        raise Unavailable("the disk of the object store is full")

    put = DirectoryStore.put_bytes
    monkeypatch.setattr(DirectoryStore, "put_bytes", full)
    with pytest.raises(Unavailable):
        await ground.walk()  # it would not know the next time by which Redis it was swept
    monkeypatch.setattr(DirectoryStore, "put_bytes", put)
    await ground.walk()
    await ground.put(upload_key(of_nobody(), digest("x")))
    monkeypatch.setattr(DirectoryStore, "put_bytes", full)
    await ground.walk()
    assert await ground.keys() == set()


async def test_what_can_not_be_read_stays(ground: Ground) -> None:
    sealed, manifest = await ground.seal(*await ground.open())
    stray = await ground.put(upload_key(sealed, digest("refused")))
    await ground.store.put_bytes(manifest, b"damaged")
    before = await ground.keys()
    gone = await ground.put(upload_key(of_nobody(), digest("late")))
    await ground.walk()
    assert await ground.keys() == before
    assert stray < before
    assert not gone & before, "one that is damaged does not keep the others from it"


async def test_a_redis_that_was_emptied_sweeps_nothing_until_somebody_says_so(
    ground: Ground,
) -> None:
    await ground.open()
    await ground.walk()
    before = await ground.keys()
    await ground.world.redis.command("FLUSHALL")
    await ground.world.redis.open()
    lease = await LeaseStore(ground.world.redis).acquire(Role.DATA, "test", 600_000)
    ground.term = lease.term
    await ground.walk()
    assert await ground.keys() == before, "what was OPEN may come back by a backup of Redis"
    await ground.store.delete(CATALOGUE)
    await ground.walk()
    assert await ground.keys() == set()


async def test_what_can_be_brought_back_stays_as_long_as_its_manifest(any_ground: Ground) -> None:
    ground = any_ground
    dataset, item = await ground.open()
    sealed, manifest = await ground.seal(dataset, item)
    entry = await ground.world.datasets.get(dataset.id)
    deleted = sealed.deleted(3, 10**15)
    await ground.world.datasets.delete(entry, deleted)
    marker = deleted_key(dataset.id)
    await ground.store.put_bytes(marker, encode_dataset(deleted).encode())
    kept = {item.key, manifest, marker}
    await ground.walk()
    assert await ground.keys() == kept
    await ground.world.redis.command("DEL", f"hr:dataset:{dataset.id}")
    await ground.walk()
    assert await ground.keys() == kept, "a rebuild would bring it back"
    await ground.store.delete(manifest)
    await ground.walk()
    assert await ground.keys() == set()


@pytest.mark.parametrize("in_the_middle", [False, True])
async def test_an_earlier_copy_of_redis_sweeps_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, in_the_middle: bool
) -> None:
    monkeypatch.setattr(store_sweep, "_PAGE", 1)
    if in_the_middle:
        assert await ground.sweep.step(ground.term), "it has begun"
    earlier = await ground.world.redis.command("GET", "hr:commits")
    dataset, _ = await ground.open()
    await ground.put(upload_key(dataset, digest("more")))
    if in_the_middle:
        while not ground.sweep._after:
            assert await ground.sweep.step(ground.term)
    else:
        await ground.walk()
    before = await ground.keys()
    # What a copy that was made before the dataset does not have.
    await ground.world.redis.command("DEL", f"hr:dataset:{dataset.id}")
    await ground.world.redis.command("SET", "hr:commits", earlier)
    for _ in range(3):
        await ground.walk()
    assert await ground.keys() == before


async def test_what_is_damaged_in_redis_stops_the_sweep_and_not_the_service(
    ground: Ground,
) -> None:
    job = await ground.job(Event.CANCEL)
    stray = await ground.put(output_key(job, 1, "out", digest("x")))
    await ground.world.redis.command("HSET", f"hr:job:{job}", "status", "CLOSED:NONSENSE")
    with pytest.raises(HeadraceError, match="damaged"):
        await ground.walk()
    assert await ground.keys() == stray


async def test_without_redis_nothing_goes(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = await ground.put(upload_key(of_nobody(), digest("x")))
    assert await ground.sweep.step(ground.term)

    async def away(*_: object) -> Look:
        raise Unavailable("Redis does not answer")

    monkeypatch.setattr(DatasetStore, "look", away)
    for _ in range(3):
        with pytest.raises(HeadraceError):
            await ground.walk()
    assert await ground.keys() == stray


async def _mess(ground: Ground) -> tuple[set[str], set[str]]:
    """A store in which all kinds of things lie: what may go, and what stays."""
    dataset, item = await ground.open()
    _, manifest = await ground.seal(dataset, item)
    open_one, more = await ground.open(b"y")
    gone, half, buried = of_nobody(), of_nobody(), of_nobody()
    job, live = await ground.job(Event.CANCEL), await ground.job()
    unbelieved = replace(half, state=DatasetState.SEALED, sealed_ms=2, manifest_sha256="0" * 64)
    await ground.store.put_bytes(marker_key(half.id), encode_dataset(unbelieved).encode())
    goes = await ground.put(
        upload_key(dataset, digest("replaced")),
        *(upload_key(gone, digest(word)) for word in "abc"),
        upload_key(half, digest("x")),
        output_key(job, 1, "out", digest("x")),
        tombstone_key(buried.id),
    ) | {marker_key(half.id)}
    stays = await ground.put(
        output_key(live, 1, "out", digest("x")), upload_key(open_one, digest("replaced"))
    ) | {item.key, manifest, more.key}
    return goes, stays


async def _pages(ground: Ground, *, dry_run: bool) -> list[store_sweep.Swept]:
    found = [await ground.sweep.sweep_page("", dry_run=dry_run)]
    while (cursor := found[-1].cursor) is not None:
        found.append(await ground.sweep.sweep_page(cursor, dry_run=dry_run))
    return found


@pytest.mark.parametrize("page", [1, 2, 200])
async def test_a_dry_run_foresees_what_a_sweep_removes_and_why(
    any_ground: Ground, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    ground = any_ground
    monkeypatch.setattr(store_sweep, "_PAGE", page)
    goes, stays = await _mess(ground)
    foreseen = [each for one in await _pages(ground, dry_run=True) for each in one.nameless]
    assert await ground.keys() == goes | stays, "nothing was removed"
    assert {each.key for each in foreseen} == goes
    for each in foreseen:
        assert each.due
        assert each.size_bytes == len(await ground.store.get_bytes(each.key, 10_000))
        assert each.key.split("/")[1] in each.why or "its dataset was deleted" in each.why
    swept = await _pages(ground, dry_run=False)
    assert {each.key for one in swept for each in one.nameless} == goes
    assert sum(one.looked_at for one in swept) == len(goes | stays)
    assert max(one.looked_at for one in swept) <= page
    assert await ground.keys() == stays


async def test_what_is_too_young_is_shown_and_stays(ground: Ground) -> None:
    ground.sweep.older_than_s = 3600.0
    goes, stays = await _mess(ground)
    foreseen = await _pages(ground, dry_run=True)
    assert {each.key for one in foreseen for each in one.nameless if not each.due} == goes
    await _pages(ground, dry_run=False)
    assert await ground.keys() == goes | stays


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_redis_that_knows_less_is_told_and_nothing_goes(
    ground: Ground, dry_run: bool
) -> None:
    goes, stays = await _mess(ground)
    await ground.store.put_bytes(CATALOGUE, b'{"epoch": "another", "commits": 1}')
    with pytest.raises(Conflict, match=f"remove the object {CATALOGUE}"):
        await ground.sweep.sweep_page("", dry_run=dry_run)
    assert await ground.keys() == goes | stays


async def test_admins_alone_sweep_and_a_cursor_is_one_that_was_given(all_: World) -> None:
    async with all_.data() as data:
        await all_.store.put_bytes(upload_key(of_nobody(), digest("x")), b"x")
        refused = await data.api("POST", "/datasets:sweep", json={"dry_run": True})
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
        data.user = User("root", UserRole.ADMIN)
        found, cursor = [], ""
        while cursor is not None:
            page = await data.api("POST", "/datasets:sweep", json={"cursor": cursor})
            assert page.status == 200, page.json
            found += page.json["nameless"]
            cursor = page.json["cursor"]
        assert [(each["size_bytes"], each["due"]) for each in found] == [(1, False)]
        for bad in ("logs/x", "datasets/../../x", "x" * 200):
            answer = await data.api("POST", "/datasets:sweep", json={"cursor": bad})
            assert answer.status == 422, (bad, answer.json)
        answer = await data.api("POST", "/datasets:sweep", json={"dryrun": True})
        assert answer.status == 422
