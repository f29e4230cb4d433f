"""Derivation children as the data service makes, joins and takes them; the test does the work."""

from typing import Any

import pytest

from headrace_adapters.redis.leases import LeaseStore
from headrace_kinds.derivation import DERIVATION, asked_of, content_of, derivation_key
from headrace_model.ids import JobId, job_id
from headrace_model.job import Need, NewJob, first_step
from headrace_model.move import Derivation
from headrace_model.status import Event, Role, Status
from headrace_wire.jobfile import dump_text, load_jobfile, load_jobtext
from headrace_wire.records import decode_fulfilments
from tests.support.data_service import DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

CHECK, STAGING, COLLECTION = Need.DATA_CHECK, Need.STAGING, Need.COLLECTION
DAY: dict[str, Any] = {"TIME": ["2015-12-01", "2015-12-02"], "CATCHMENT_ID": ["cat-1"]}
TWO: dict[str, Any] = {**DAY, "TIME": ["2015-12-01", "2015-12-03"]}
WANTS = {"category": "FORCING", "format": "AORC_CSV", "domain": DAY}
READS: dict[str, Any] = {"command": ["cat", "{forcing}"], "inputs": {"forcing": WANTS}}
SOURCE = {"format": "NETCDF_AORC_DEFAULT"}


@pytest.fixture
async def all_(all_: World) -> World:
    await all_.node()
    return all_


async def deriving(all_: World, job: JobId) -> JobId:
    """The one child that a job waits for."""
    (child,) = (await all_.until(job, Status.AWAITING_DERIVATION)).children
    return child


async def derive(all_: World, data: DataHarness, child: JobId) -> None:
    """Have the worker of a child make the day."""
    await all_.until(child, Status.AWAITING_ALLOCATION)
    await all_.allocate(child)
    await all_.exited(child)
    made = {"derived": {"cat-1.csv": b"time,precip_rate\n"}}
    await all_.report(await all_.collect(data, child, made, domains={"derived": DAY}))
    await all_.until(child, Status.COMPLETED)


async def taken(all_: World, job: JobId) -> list[str]:
    """The datasets that a job gets."""
    there = await all_.until(job, Status.AWAITING_ALLOCATION)
    return [one for each in decode_fulfilments(there.fulfilments) for one in each.datasets]


async def test_what_two_jobs_and_two_inputs_miss_is_made_once(all_: World) -> None:
    async with all_.data() as data:
        source = await data.make("source", {"f.nc": b"1"}, domain=TWO, **SOURCE)
        inputs = {"forcing": WANTS, "again": WANTS}
        first = await all_.submit({CHECK}, {**READS, "inputs": inputs})
        child = await deriving(all_, first)
        second = await all_.submit({CHECK}, READS)
        assert await deriving(all_, second) == child
        spec = load_jobtext((await all_.jobs.get(child)).spec)
        assert spec.command[:3] == ("python3", "-m", "headrace_derivations")
        assert [each.format for each in spec.requirements] == ["NETCDF_AORC_DEFAULT"]
        assert await taken(all_, child) == [source["id"]]
        await derive(all_, data, child)
        (made,) = {*await taken(all_, first), *await taken(all_, second)}
        known = (await data.api("GET", f"/datasets/{made}")).json
        assert [each["id"] for each in known["derived_from"]] == [source["id"]]
        assert known["expires"]
        third = await all_.submit({CHECK}, READS)
        assert await taken(all_, third) == [made]
        # Another question of the same data is another derivation.
        other = {"forcing": {**WANTS, "shape": "EXACT"}}
        fourth = await all_.submit({CHECK}, {**READS, "inputs": other})
        assert await deriving(all_, fourth) != child


async def test_newer_data_is_derived_anew_but_who_waits_takes_what_was_made_for_him(
    all_: World,
) -> None:
    async with all_.data() as data:
        await data.make("source", {"f.nc": b"1"}, domain=TWO, **SOURCE)
        job = await all_.submit({CHECK}, READS)
        child = await deriving(all_, job)
        await all_.until(child, Status.AWAITING_ALLOCATION)
        newer = await data.make("source", {"f.nc": b"2"}, domain=TWO, version="new", **SOURCE)
        await derive(all_, data, child)
        (made,) = await taken(all_, job)
        later = await all_.submit({CHECK}, READS)
        other = await deriving(all_, later)
        assert other != child
        assert await taken(all_, other) == [newer["id"]]
        # And once the newer data has gone, what was made of the older one serves again.
        await all_.write(later, Event.CANCEL, Role.REQUEST)
        await all_.until(other, Status.CANCELED)

        async def deleted() -> bool:  # once nobody uses it any more
            return (await data.api("DELETE", f"/datasets/{newer['id']}")).status == 204

        await wait_until(deleted, "the newer data to be deleted")
        last = await all_.submit({CHECK}, READS)
        assert await taken(all_, last) == [made]


async def bear(all_: World, job: JobId, source: dict[str, Any], content: str) -> JobId:
    """Have a child that reads `source` born for a job, as the data service would."""
    text = dump_text(load_jobfile({"headrace": 1, "kind": "command", **source}))
    parent = await all_.jobs.get(job)
    new = NewJob(
        id=job_id(parent.created_ms + 1, 1),
        owner=parent.owner,
        name="child",
        kind=DERIVATION,
        spec=text,
        priority=50,
        ask=parent.ask,
        needs=frozenset({CHECK, STAGING, COLLECTION}),
        parents=(job,),
    )
    born = Derivation(derivation_key(content, parent.owner), new, first_step(new.needs))
    await all_.write(job, Event.NEEDS_DERIVATION, Role.DATA, children=(born,))
    await LeaseStore(all_.redis).release(Role.DATA, "test")
    return new.id


async def test_another_way_is_taken_where_a_child_finds_its_data_gone(all_: World) -> None:
    async with all_.data() as data:
        await data.make("source", {"f.nc": b"1"}, domain=TWO, **SOURCE)
    job = await all_.submit({CHECK}, READS)
    question = asked_of(load_jobtext((await all_.jobs.get(job)).spec).requirements[0])
    child = await bear(all_, job, _reads("NETCDF_FORCING_CANONICAL"), f"{question}.gone")
    # It found nothing, as what it was planned with is gone; its parent finds the other source.
    async with all_.data():
        await all_.until(child, Status.DATA_UNPROVIDEABLE)
        other = await wait_until(lambda: _child_besides(all_, job, child), "another child")
        spec = load_jobtext((await all_.jobs.get(other)).spec)
        assert [each.format for each in spec.requirements] == ["NETCDF_AORC_DEFAULT"]


async def _child_besides(all_: World, job: JobId, known: JobId) -> JobId | None:
    children = (await all_.jobs.get(job)).children
    return next((each for each in children if each != known), None)


async def test_a_child_that_would_end_so_again_ends_its_parent(all_: World) -> None:
    async with all_.data() as data:
        await data.make("source", {"f.nc": b"1"}, domain=TWO, **SOURCE)
        first = await all_.submit({CHECK}, READS)
        known = await all_.jobs.get(await deriving(all_, first))
        await all_.write(first, Event.CANCEL, Role.REQUEST)
        await all_.until(known.id, Status.CANCELED)
    job = await all_.submit({CHECK}, READS)
    child = await bear(all_, job, _reads("PRMS_NETCDF"), content_of(known.derivation))
    async with all_.data():
        await all_.until(child, Status.DATA_UNPROVIDEABLE)
        view = await all_.until(job, Status.DATA_FAILURE)
        assert f"job {child}" in view.detail


async def test_a_derivation_waits_for_no_promise_and_its_parent_does(all_: World) -> None:
    """A child that waited for its parent's output would wait for ever."""
    async with all_.data() as data:
        promises = {"flow": {**SOURCE, "category": "FORCING", "domain": TWO}}
        maker = await all_.submit({COLLECTION}, {"command": ["true"], "outputs": promises})
        job = await all_.submit({CHECK}, READS)
        child = await all_.submit({CHECK}, _reads(SOURCE["format"]), kind="derivation")
        await all_.until(child, Status.DATA_UNPROVIDEABLE)
        assert (await all_.jobs.get(job)).status is Status.AWAITING_DATA_CHECK
        await all_.allocate(maker)
        await all_.exited(maker)
        made = {"flow": {"f.nc": b"1"}}
        await all_.report(await all_.collect(data, maker, made, domains={"flow": TWO}))
        await derive(all_, data, await deriving(all_, job))
        assert len(await taken(all_, job)) == 1


def _reads(format_: str) -> dict[str, Any]:
    wanted = {"category": "FORCING", "format": format_, "domain": DAY}
    return {"command": ["true"], "inputs": {"source": wanted}}


async def test_who_may_not_read_the_data_derives_nothing_of_it(all_: World) -> None:
    async with all_.data() as data:
        await data.make("source", {"f.nc": b"1"}, domain=TWO, **SOURCE)
        job = await all_.submit({CHECK}, READS, owner="bob")
        await all_.until(job, Status.DATA_UNPROVIDEABLE)
