"""The data service takes its part of a job's way: data check, staging, collection and seals."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace_adapters.redis.events import Events
from headrace_data.catalogue import Catalogue
from headrace_data.service import DataService
from headrace_data.upkeep import Upkeep
from headrace_kinds.base import Target
from headrace_model.cause import Cause
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.ids import NodeId
from headrace_model.job import Need
from headrace_model.requirement import Fulfilment, Requirement
from headrace_model.status import Event, Role, Status
from headrace_model.visible import readers_of
from headrace_model.work import Fact, FactKind, Verb
from headrace_wire.jobfile import load_jobtext
from headrace_wire.logsearch import MOST_FOUND, read_lines
from headrace_wire.records import decode_fulfilments, decode_work
from tests.support.data_service import NODE, World, read_granted, write_granted
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

DRB = {"TIME": ["1979-01-01", "1981-01-01"], "HYDROFABRIC_DATA_ID": "drb"}
WANTS = {"category": "FORCING", "domain": {"TIME": ["1979-01-01", "1980-01-01"]}}
READS: dict[str, Any] = {"command": ["cat", "{forcing}"], "inputs": {"forcing": WANTS}}
MAKES: dict[str, Any] = {
    "command": ["touch", "{output}/x"],
    "outputs": {
        "flow": {"category": "OUTPUT", "format": "TEXT", "domain": {"DATA_ID": "delaware"}}
    },
}
ENVIRONMENT: dict[str, Any] = {"command": ["true"], "environment": {"pip": ["numpy==2.0"]}}
CHECK, STAGING, COLLECTION = Need.DATA_CHECK, Need.STAGING, Need.COLLECTION


@pytest.fixture
async def all_(all_: World) -> World:
    await all_.node()
    return all_


async def test_a_job_whose_data_is_there_goes_on_with_its_reasons_kept(all_: World) -> None:
    async with all_.data() as data:
        dataset = await data.make("drb", {"a.nc": b"abc"}, domain=DRB)
        job = await all_.submit({CHECK, STAGING}, READS)
        there = await all_.until(job, Status.AWAITING_ALLOCATION)
        (met,) = decode_fulfilments(there.fulfilments)
        assert met.requirement == "forcing"
        assert met.datasets == (dataset["id"],)
        assert met.why == "drb v1 covers it"
        assert await all_.datasets.links(dataset["id"]) == [job]


async def test_a_job_whose_data_is_not_there_is_told_what_is_missing(all_: World) -> None:
    async with all_.data() as data:
        await data.make("late", {"a": b"a"}, domain={"TIME": ["1979-07-01", "1981-01-01"]})
        job = await all_.submit({CHECK}, READS)
        ended = await all_.until(job, Status.DATA_UNPROVIDEABLE)
        detail = await _detail(all_, ended.id)
        assert detail.startswith("input forcing: no FORCING dataset covers it: missing TIME")
        assert "late v1" in detail


async def test_data_that_was_sealed_just_before_is_never_missed(all_: World) -> None:
    async with all_.data(), all_.data() as second:
        for number in range(5):
            domain = {"TIME": ["1979-01-01", "1980-01-01"], "DATA_ID": f"d{number}"}
            await second.make(f"d{number}", {"a": b"a"}, domain=domain)
            wants = {"category": "FORCING", "domain": domain}
            job = await all_.submit({CHECK}, {"command": ["true"], "inputs": {"forcing": wants}})
            await all_.until(job, Status.AWAITING_ALLOCATION)


async def test_a_catalogue_that_heard_no_event_asks_redis_before_it_misses(all_: World) -> None:
    target = Target("3.11", "linux_x86_64")
    deaf = Catalogue(all_.datasets, all_.jobs, Events(all_.redis), target, 600.0)
    await deaf.reload()
    async with all_.data() as data:
        view = await data.make("drb", {"a": b"1"}, domain=DRB)
    for format_ in ("GENERIC", None):
        wanted = Requirement("f", Category.FORCING, format_, Domain.from_plain(DRB))
        met = await deaf.match(wanted, readers_of("ann", ()))
        assert isinstance(met, Fulfilment)
        assert met.datasets == (view["id"],)
        deaf = Catalogue(all_.datasets, all_.jobs, Events(all_.redis), target, 600.0)


async def test_a_node_is_told_each_file_and_where_to_read_it(all_: World) -> None:
    async with all_.data() as data:
        await data.make("drb", {"a.nc": b"abc", "more/b.nc": b"defg"}, domain=DRB)
        job = await all_.submit({CHECK, STAGING}, READS)
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job, staging=True)
        asked = {"job": job, "attempt": 1, "node": NODE}
        answer = await data.ask("POST", "/internal/staging", json=asked)
        (forcing,) = answer.json["requirements"]
        assert forcing["name"] == "forcing"
        found = {item["path"]: read_granted(item) for item in forcing["items"]}
        assert found == {"a.nc": b"abc", "more/b.nc": b"defg"}
        for wrong in ({"attempt": 2}, {"node": "node9"}):
            refused = await data.ask("POST", "/internal/staging", json={**asked, **wrong})
            assert (refused.status, refused.code) == (409, "CONFLICT")


async def test_a_union_is_staged_in_folders_of_its_datasets(all_: World) -> None:
    async with all_.data() as data:
        one = await data.make("one", {"a": b"1"}, domain={"TIME": ["1979-01-01", "1979-07-01"]})
        two = await data.make("two", {"a": b"2"}, domain={"TIME": ["1979-07-01", "1980-01-01"]})
        job = await all_.submit({CHECK, STAGING}, READS)
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job, staging=True)
        asked = {"job": job, "attempt": 1, "node": NODE}
        answer = await data.ask("POST", "/internal/staging", json=asked)
        (rain,) = answer.json["requirements"]
        assert [item["path"] for item in rain["items"]] == ["one/a", "two/a"]
        assert [count for _, count in rain["datasets"]] == [1, 1]
        assert {dataset for dataset, _ in rain["datasets"]} == {one["id"], two["id"]}


async def test_a_job_is_staged_when_every_node_has_said_so(all_: World) -> None:
    other = NodeId("node2")
    await all_.node(other)
    async with all_.data() as data:
        await data.make("drb", {"a.nc": b"abc"}, domain=DRB)
        job = await all_.submit({CHECK, STAGING}, READS)
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job, NODE, other, staging=True)
        await all_.report(Fact(NODE, job, 1, FactKind.STAGED))
        assert (await all_.jobs.get(job)).status is Status.AWAITING_DATA
        await all_.report(Fact(other, job, 1, FactKind.STAGED))
        await all_.until(job, Status.AWAITING_SCHEDULING)
        assert await all_.jobs.facts(job, 1, [NODE, other]) == {}


async def test_outputs_become_described_datasets_and_the_job_completes(all_: World) -> None:
    async with all_.data() as data:
        source = await data.make("drb", {"a.nc": b"abc"}, domain=DRB)
        job = await all_.submit({CHECK, COLLECTION}, {**READS, **MAKES})
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job)
        await all_.exited(job)
        time = {"TIME": ["1979-01-01", "1980-01-01"]}
        fact = await all_.collect(data, job, {"flow": {"q.txt": b"12"}}, domains={"flow": time})
        await all_.report(fact)
        done = await all_.until(job, Status.COMPLETED)
        view = (await data.api("GET", f"/datasets/run-flow-{job}")).json
        assert view["domain"] == {**time, "DATA_ID": "delaware"}
        assert view["format"] == "TEXT"
        assert view["origin"] == {"job": job, "attempt": 1}
        assert view["derived_from"] == [
            {"id": source["id"], "name": "drb", "version": 1, "size_bytes": 3}
        ]
        assert (view["size_bytes"], view["item_count"]) == (2, 1)
        assert view["id"] in done.outputs
        got = await data.api("GET", f"/datasets/{view['id']}/items/q.txt")
        assert got.body == b"12"
        work = decode_work((await all_.jobs.work(NODE))[f"{job}.1"])
        assert work.verb is Verb.CLEAN
        assert await all_.datasets.links(source["id"]) == []
        await wait_until(lambda: all_.store.stat(f"sealed/{view['id']}"), "the SEALED marker")


async def test_an_output_without_a_file_is_refused_by_name(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        await all_.report(await all_.collect(data, job, {"flow": {}}))
        fact = await _refused(all_, job)
        assert fact.cause is Cause.COLLECTION
        assert "output 'flow' has no file" in fact.detail


async def test_an_output_that_is_not_what_was_declared_is_refused(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        fact = await all_.collect(
            data, job, {"flow": {"q": b"1"}}, domains={"flow": {"DATA_ID": "potomac"}}
        )
        await all_.report(fact)
        detail = (await _refused(all_, job)).detail
        assert "DATA_ID was declared as delaware, but the files hold potomac" in detail


async def test_two_nodes_that_write_the_same_file_are_told_so(all_: World) -> None:
    other = NodeId("node2")
    await all_.node(other)
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job, NODE, other)
        await all_.exited(job)
        for node in (NODE, other):
            await all_.report(
                await all_.collect(data, job, {"flow": {"q": node.encode()}}, node=node)
            )
        facts = await wait_until(lambda: _bad(all_, job, NODE, other), "a refusal")
        assert "nodes node1 and node2 both wrote 'q'" in facts[0].detail


async def test_a_file_that_never_reached_the_store_is_not_sealed(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        fact = await all_.collect(data, job, {"flow": {"q": b"12"}})
        await all_.store.delete(fact.outputs[0].items[0].key)
        await all_.report(fact)
        assert "the store holds nothing" in (await _refused(all_, job)).detail


async def test_a_job_waits_for_the_promised_output_of_an_older_one(all_: World) -> None:
    async with all_.data(sweep_s=600.0) as data:  # hints alone must do
        maker = await all_.submit({COLLECTION}, MAKES)
        wants = {"category": "OUTPUT", "domain": {"DATA_ID": "delaware"}}
        match = await data.api("POST", "/datasets:match", json=wants)
        assert match.json["result"] == "promised"
        reads = {"command": ["true"], "inputs": {"flow": wants}}
        reader = await all_.submit({CHECK}, reads)
        await all_.allocate(maker)
        await all_.exited(maker)
        assert (await all_.jobs.get(reader)).status is Status.AWAITING_DATA_CHECK
        await all_.report(await all_.collect(data, maker, {"flow": {"q": b"1"}}))
        await all_.until(reader, Status.AWAITING_ALLOCATION)


async def test_a_job_whose_promise_is_broken_is_told_so(all_: World) -> None:
    async with all_.data(sweep_s=600.0):
        maker = await all_.submit({COLLECTION}, MAKES)
        wants = {"category": "OUTPUT", "domain": {"DATA_ID": "delaware"}}
        reader = await all_.submit({CHECK}, {"command": ["true"], "inputs": {"flow": wants}})
        await all_.write(maker, Event.CANCEL, Role.REQUEST)
        await all_.until(reader, Status.DATA_UNPROVIDEABLE)


async def test_an_environment_is_derived_once_and_then_used(all_: World) -> None:
    async with all_.data() as data:
        one = await all_.submit({CHECK}, ENVIRONMENT)
        other = await all_.submit({CHECK}, ENVIRONMENT)
        first = await all_.until(one, Status.AWAITING_DERIVATION)
        second = await all_.until(other, Status.AWAITING_DERIVATION)
        assert first.children == second.children
        (child,) = await all_.jobs.get_many(first.children)
        assert (child.kind, child.owner) == ("derivation", "ann")
        spec = load_jobtext(child.spec)
        assert spec.command == ("python3", "pip_lock.py", "requirements.txt", "{output}")
        assert spec.files[1].content == b"numpy==2.0\n"
        await all_.allocate(child.id)
        await all_.exited(child.id)
        lock = await all_.collect(data, child.id, {"lock": {"lock.txt": b"numpy==2.0"}})
        await all_.report(lock)
        for job in (one, other):
            met = decode_fulfilments(
                (await all_.until(job, Status.AWAITING_ALLOCATION)).fulfilments
            )
            assert [each.requirement for each in met] == ["environment"]
        third = await all_.submit({CHECK}, ENVIRONMENT)
        await all_.until(third, Status.AWAITING_ALLOCATION)


async def test_a_derivation_that_fails_is_told_with_the_end_of_its_log(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({CHECK}, ENVIRONMENT)
        (child,) = (await all_.until(job, Status.AWAITING_DERIVATION)).children
        await all_.allocate(child)
        asked = {"job": child, "attempt": 1, "node": NODE}
        files = [{"name": "0.err", "size_bytes": 9}]
        grants = (await data.ask("POST", "/internal/logs", json={**asked, "files": files})).json
        write_granted(grants["files"][0], b"No matching distribution")
        read = await data.ask("GET", f"/internal/logs/{child}/1/0.err?offset=3")
        assert read.body == b"matching distribution"
        bad = {"cause": Cause.EXIT_CODE, "detail": "exit code 1"}
        await all_.write(child, Event.FAILED, Role.MONITOR, **bad)
        await all_.write(child, Event.END_FAILED, Role.MONITOR, returns=(NODE,), **bad)
        await all_.until(job, Status.DATA_FAILURE)
        detail = await _detail(all_, job)
        assert child in detail
        assert "exit code 1; its log ends:\nNo matching distribution" in detail


async def test_a_log_is_searched_where_it_was_shipped_to(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({CHECK}, MAKES)
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job)
        lines = [f"line {n} {'needle' if n % 9_999 == 5 else 'x' * 50}" for n in range(60_000)]
        files = [{"name": "0.out", "size_bytes": 9}]
        asked = {"job": job, "attempt": 1, "node": NODE, "files": files}
        grants = (await data.ask("POST", "/internal/logs", json=asked)).json
        write_granted(grants["files"][0], "\n".join(lines).encode())
        found = await data.ask("GET", f"/internal/logs/{job}/1/0.out?search=needle")
        told = [(each.line, each.text) for each in read_lines(found.body.decode())]
        assert told == [(n + 1, line) for n, line in enumerate(lines) if "needle" in line]
        many = await data.ask("GET", f"/internal/logs/{job}/1/0.out?search=line")
        assert len(read_lines(many.body.decode())) == MOST_FOUND + 1
        assert (await data.ask("GET", f"/internal/logs/{job}/1/0.out?search=")).status == 422


async def test_a_log_that_was_not_shipped_is_not_found(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        assert (await data.ask("GET", f"/internal/logs/{job}/1/0.out")).status == 404
        tricks = await data.ask("GET", f"/internal/logs/{job}/1/..%2f..%2fx")
        assert tricks.status in (404, 422)


async def test_nothing_is_granted_before_or_after_the_collection(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        item = {"output": "flow", "path": "q", "size_bytes": 1, "sha256": "0" * 64}
        asked = {"job": job, "attempt": 1, "node": NODE, "items": [item]}
        early = await data.ask("POST", "/internal/outputs", json=asked)
        assert (early.status, early.code) == (409, "CONFLICT")
        await all_.exited(job)
        for change in ({"path": "../q"}, {"sha256": "../x"}, {"output": "other"}):
            wrong = {**asked, "items": [{**item, **change}]}
            assert (await data.ask("POST", "/internal/outputs", json=wrong)).status == 422


async def test_what_a_failed_attempt_put_leaves_the_store(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        await all_.collect(data, job, {"flow": {"q": b"1"}})
        assert len(await all_.store.keys(f"datasets/{job}.1.flow")) == 1
        await all_.write(job, Event.FAILED, Role.MONITOR, cause=Cause.COLLECTION)
        await all_.write(job, Event.END_FAILED, Role.MONITOR, cause=Cause.COLLECTION)

        async def gone() -> bool:
            return not await all_.store.keys(f"datasets/{job}.1.flow")

        await wait_until(gone, "the files of the attempt to go")


async def test_what_attempts_put_leaves_the_store_though_nobody_heard_the_job_end(
    all_: World,
) -> None:
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        await all_.collect(data, job, {"flow": {"a.txt": b"half"}})
    await all_.write(job, Event.FAILED, Role.MONITOR, cause=Cause.NODE_LOST)
    await all_.write(job, Event.RETRY, Role.MONITOR, opens=(await all_.jobs.get(job)).ask)
    await all_.write(job, Event.CANCEL, Role.REQUEST)  # the second attempt never had a node

    async def removed() -> bool:
        return not await all_.store.keys(f"datasets/{job}.1.flow")

    async with all_.data():
        await wait_until(removed, "the files to leave the store")
        await wait_until(_is_tidy(all_), "the job to be off the list")


async def test_a_job_that_was_stopped_before_it_ran_and_then_cancelled_is_off_the_list(
    all_: World,
) -> None:
    """Found by the simulation: such a job stayed on the list for ever, read at each sweep."""
    job = await all_.submit({COLLECTION}, MAKES)
    await all_.write(job, Event.STOP, Role.REQUEST)
    await all_.write(job, Event.CANCEL, Role.REQUEST)
    assert not await _is_tidy(all_)()
    async with all_.data():
        await wait_until(_is_tidy(all_), "the job to be off the list")


async def test_markers_that_a_kill_prevented_follow(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck = asyncio.Event()

    async def killed(*_: object) -> None:
        struck.set()
        raise asyncio.CancelledError

    async with all_.data(sweep_s=600.0) as data:  # the sweep would mark it too
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        fact = await all_.collect(data, job, {"flow": {"q": b"1"}})
        with monkeypatch.context() as patched:
            patched.setattr(DataService, "_mark", killed)
            await all_.report(fact)
            await all_.until(job, Status.COMPLETED)
            await struck.wait()
    marker = f"sealed/{job}.1.flow"
    assert await all_.store.stat(marker) is None
    async with all_.data():
        await wait_until(lambda: all_.store.stat(marker), "the SEALED marker")


async def test_what_was_not_sealed_goes_though_a_kill_came_after_the_marker(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    marker, rest = "sealed/{}.1.flow", "datasets/{}.1.flow/1/rest"
    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        fact = await all_.collect(data, job, {"flow": {"q": b"1"}})
        await all_.store.put_bytes(rest.format(job), b"of a task that ran twice")
        with monkeypatch.context() as patched:
            patched.setattr(Upkeep, "_tidy", killed)
            await all_.report(fact)
            await all_.until(job, Status.COMPLETED)
            await wait_until(lambda: all_.store.stat(marker.format(job)), "the SEALED marker")

    async def gone() -> bool:
        return await all_.store.stat(rest.format(job)) is None

    async with all_.data():
        await wait_until(gone, "what was not sealed to go")


async def test_a_kill_before_the_seal_loses_nothing(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()

    async def killed(*_: object) -> None:
        written.set()
        raise asyncio.CancelledError

    async with all_.data() as data:
        job = await all_.submit({COLLECTION}, MAKES)
        await all_.allocate(job)
        await all_.exited(job)
        fact = await all_.collect(data, job, {"flow": {"q": b"1"}})
        with monkeypatch.context() as patched:
            patched.setattr(type(all_.jobs), "apply", killed)
            await all_.report(fact)
            await asyncio.wait_for(written.wait(), 60)
    assert (await all_.jobs.get(job)).status is Status.AWAITING_COLLECTION
    async with all_.data() as data:
        await all_.until(job, Status.COMPLETED)
        assert (await data.api("GET", f"/datasets/{job}.1.flow/items/q")).body == b"1"


async def test_a_dataset_that_is_deleted_while_it_is_chosen_is_not_used(
    all_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with all_.data() as data:
        view = await data.make("drb", {"a": b"1"}, domain=DRB)
        apply, deleted = all_.jobs.apply, []

        async def deletes_first(self: object, change: Any, term: int | None = None) -> int:
            if not deleted:
                deleted.append(await data.api("DELETE", "/datasets/drb"))
            return await apply(change, term)

        with monkeypatch.context() as patched:
            patched.setattr(type(all_.jobs), "apply", deletes_first)
            job = await all_.submit({CHECK}, READS)
            await all_.until(job, Status.DATA_UNPROVIDEABLE)
        assert deleted[0].status == 204
        assert await all_.datasets.links(view["id"]) == []


async def _refused(all_: World, job: Any) -> Fact:
    facts = await wait_until(lambda: _bad(all_, job, NODE), "a refusal")
    assert (await all_.jobs.get(job)).status is Status.AWAITING_COLLECTION
    return facts[0]


async def _bad(all_: World, job: Any, *nodes: NodeId) -> list[Fact]:
    facts = (await all_.jobs.facts(job, 1, nodes)).values()
    return [fact for fact in facts if fact.cause is not None]


def _is_tidy(all_: World) -> Callable[[], Awaitable[bool]]:
    async def tidy() -> bool:
        return not await all_.jobs.untidy(before_ms=await all_.jobs.now_ms())

    return tidy


async def _detail(all_: World, job: Any) -> str:
    """Why a job ended, as its history keeps it."""
    detail: str = json.loads((await all_.jobs.history(job))[-1])["detail"]
    return detail
