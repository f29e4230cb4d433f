"""Jobs and nodes in a real Redis under any order of calls: nothing leaks or is in two places."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headrace_adapters.redis.connection import NoRoom, Redis
from headrace_adapters.redis.jobs import Idempotency
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, Fenced, NotFound, Stale
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Ask, Job, Need
from headrace_model.move import Move, move_of
from headrace_model.node import NodeState
from headrace_model.priority import rank_of
from headrace_model.resources import (
    NOTHING,
    Allocation,
    Paradigm,
    Resources,
    Share,
    parse_pieces,
)
from headrace_model.share import last_days
from headrace_model.spec import Retry
from headrace_model.status import EDGES, HAS_ATTEMPT, Desired, Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_monitor.core.decide import Seen, decide
from headrace_request.core.desire import DesireVerb, desire
from tests.support.ages import eligible_ms
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, PLAIN, Recorder, Stage, launch, new_job

# Of the licences no node tells: an admin names them, and only plans know how many there are.
SMALL = replace(PLAIN.resources, generic=(("gpus", 1), ("licence_x", 1)))
ASK = replace(PLAIN, resources=SMALL)
ON_ONE = Allocation((Share(N1, SMALL),))
NODES = (N1, N2, NodeId("node3"))
RETRY = Retry(limit=2)
RETRY_CAUSE = min(RETRY.on)
UNDER_WAY = (*HAS_ATTEMPT, Status.STOPPING)
Lines = list[dict[str, Any]]
T = TypeVar("T")


def replayed(lines: Lines) -> tuple[Status, int, int]:
    """Walk a history by the table alone: the status, version and attempt that it leads to."""
    status, version, attempt = Status.ACCEPTED, 1, 1
    assert lines[0]["event"] == "SUBMIT"
    for line in lines[1:]:
        assert line["from"] == status, line
        assert line["attempt"] == attempt, line
        if not line["event"].startswith("DESIRE_"):
            edge = EDGES[status, Event(line["event"])]
            assert (edge.to, edge.writer) == (line["to"], line["by"])
            opens = line["event"] == Event.RETRY or status is Status.STOPPED
            attempt += opens and edge.to is not Status.CANCELED
            status = edge.to
        assert line["version"] in (version, version + 1), line
        version = line["version"]
    return status, version, attempt


def amount(text: str) -> Resources:
    """Read a share as the ledger has it."""
    millicpus, memory, *pieces = text.split()
    return Resources(int(millicpus), int(memory), parse_pieces(pieces))


def told(some: Resources) -> Resources:
    """Without the pieces that nodes don't tell of."""
    return replace(some, generic=tuple(each for each in some.generic if each[0] == "gpus"))


def one_of(data: st.DataObject, things: Sequence[T]) -> T:
    """Draw one by its place: hypothesis would write all of them out for its report."""
    return things[data.draw(st.integers(0, len(things) - 1))]


class Ledger(RuleBasedStateMachine):
    """Nodes come and go, jobs are made, placed, stopped and retried, some of it too late."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stage = Stage(Recorder(self.url))
        self.made: list[Job] = []
        self.old: list[Move] = []
        self.incarnations: dict[NodeId, str] = {}
        self.numbers = 0
        self.taken: dict[tuple[JobId, int], int] = {}
        self.used = 0

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.stage.redis.close())
        self.runner.close()

    @initialize()
    def begin(self) -> None:
        async def begin() -> None:
            await self.stage.redis.command("FLUSHALL")
            await self.stage.redis.open()
            await self.stage.ready()

        self.do(begin())
        self.incarnations = {N1: f"run of {N1}", N2: f"run of {N2}"}
        self.create((), again=False)
        self.create((Need.COLLECTION,), again=False)

    @rule(
        node=st.sampled_from(NODES),
        cpus=st.sampled_from([2_000, 3_000]),
        gpus=st.integers(1, 3),
    )
    def register(self, node: NodeId, cpus: int, gpus: int) -> None:
        size = Resources(cpus, 4 * 2**30, (("gpus", gpus),))
        backends = frozenset({"process"})
        held = self.do(self.held(node))
        if told(held).fits_in(size):  # a machine does not shrink below what runs on it
            self.incarnations[node] = token_hex(4)
            register = self.stage.nodes.register
            self.do(register(node, self.incarnations[node], size, backends, has_state_lock=True))

    async def shares(self, node: NodeId) -> list[str]:
        found: list[str] = await self.stage.redis.command("HVALS", f"hr:held:{node}")
        return found

    async def held(self, node: NodeId) -> Resources:
        shares = await self.shares(node)
        return sum(map(amount, shares), NOTHING)

    @rule(node=st.sampled_from(NODES), late=st.booleans())
    def lose(self, node: NodeId, late: bool) -> None:
        known = {record.id: record for record in self.do(self.stage.nodes.all())}
        if node in known:
            counter = "0" if late else known[node].counter
            lost = self.do(self.stage.nodes.lose(node, counter, 1))
            assert lost == (not late and known[node].state is NodeState.UP)

    @precondition(lambda self: len(self.made) < 4)
    @rule(
        needs=st.sampled_from([(), (Need.COLLECTION,)]),
        again=st.booleans(),
        later_ms=st.sampled_from([0, 0, 40, 400]),
    )
    def create(self, needs: tuple[Need, ...], again: bool, later_ms: int = 0) -> None:
        self.numbers += 1
        due_ms = self.do(self.stage.jobs.now_ms()) + later_ms if later_ms else None
        new = replace(new_job(self.numbers, *needs), ask=replace(ASK, not_before_ms=due_ms))
        first = self.do(self.stage.make(new))
        if again:
            assert self.do(self.stage.make(new)) == first
        self.made.append(first)

    def pick(self, data: st.DataObject, *among: Status) -> Job | None:
        """One of the jobs that are in these statuses, or of all."""
        jobs = self.do(self.stage.jobs.get_many([job.id for job in self.made]))
        found = [job for job in jobs if not among or job.status in among]
        return one_of(data, found) if found else None

    def apply(self, move: Move) -> bool:
        self.old.append(move)
        jobs = self.stage.jobs
        holding = self.do(jobs.holders(self.do(jobs.get(move.job))))
        try:
            self.do(self.stage.apply(move))
        except (NoRoom, Stale):
            return False
        at = json.loads(self.do(jobs.history(move.job))[-1])["at"]
        if move.takes:
            self.taken[move.job, move.attempt] = at
        for _ in holding & set(move.returns):
            self.used += SMALL.millicpus * (at - self.taken[move.job, move.attempt])
        return True

    @precondition(lambda self: self.made)
    @rule(data=st.data(), spread=st.sets(st.sampled_from(NODES), min_size=1, max_size=2))
    def place(self, data: st.DataObject, spread: set[NodeId]) -> None:
        job = self.pick(data, Status.AWAITING_ALLOCATION)
        if job is not None:
            shares = tuple(Share(node, SMALL) for node in sorted(spread))
            room = {node.id: node.free for node in self.do(self.stage.nodes.all())}
            fits = all(told(SMALL).fits_in(told(room.get(s.node) or NOTHING)) for s in shares)
            assert self.apply(launch(job, Allocation(shares))) == fits

    @precondition(lambda self: self.made)
    @rule(data=st.data(), verb=st.sampled_from(DesireVerb), seldom=st.integers(0, 2))
    def wish(self, data: st.DataObject, verb: DesireVerb, seldom: int) -> None:
        job = self.pick(data)
        if job is None or (verb is DesireVerb.CANCEL and seldom):
            return
        match desire(job, verb):
            case Move() as move:
                assert self.apply(move)
            case _:
                pass

    @precondition(lambda self: self.made)
    @rule(data=st.data(), kinds=st.sets(st.sampled_from(FactKind)), bad=st.integers(0, 3))
    def report(self, data: st.DataObject, kinds: set[FactKind], bad: int) -> None:
        job = self.pick(data, *UNDER_WAY, Status.COMPLETED)
        for share in job.allocation.shares if job and job.allocation else ():
            assert job is not None
            cause = RETRY_CAUSE if bad == 0 else None
            facts = [Fact(share.node, job.id, job.attempt, kind, cause) for kind in sorted(kinds)]
            report = self.stage.jobs.report
            kept = self.do(report(share.node, self.incarnations[share.node], facts))
            assert kept == (0 if job.status.closed else len(facts))

    @precondition(lambda self: self.made)
    @rule(data=st.data(), times=st.integers(1, 3))
    def watch(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            job = self.pick(data, *UNDER_WAY)
            if job and (move := decide(job, self.do(self.seen(job)))):
                assert self.apply(move)

    @rule(data=st.data(), bad=st.integers(0, 3), steps=st.integers(1, 8))
    def go_on(self, data: st.DataObject, bad: int, steps: int) -> None:
        """Let jobs go their way, which rules in random order seldom do."""
        up = {node.id for node in self.do(self.stage.nodes.all()) if node.state is NodeState.UP}
        for _ in range(steps):
            if up:
                self.place(data, up)
            self.report(data, set(FactKind), bad)
            self.watch(data, 1)
            self.collect(data)

    async def seen(self, job: Job) -> Seen:
        nodes = [share.node for share in job.allocation.shares] if job.allocation else []
        return Seen(
            facts=await self.stage.jobs.facts(job.id, job.attempt, nodes),
            lost={n.id for n in await self.stage.nodes.all() if n.state is NodeState.LOST},
            holding=await self.stage.jobs.holders(job),
            retry=RETRY,
            now_ms=await self.stage.jobs.now_ms(),
        )

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def collect(self, data: st.DataObject) -> None:
        job = self.pick(data, Status.AWAITING_COLLECTION)
        if job is not None:
            assert self.apply(move_of(job, Event.COMPLETED, Role.DATA))

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def repeat_an_old_move(self, data: st.DataObject) -> None:
        move = one_of(data, self.old)
        job = self.do(self.stage.jobs.get(move.job))
        current = (job.version, job.attempt, job.status)
        if current != (move.version, move.attempt, move.status):
            assert not self.apply(move), "a late move does nothing"

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def repeat_an_old_call(self, data: st.DataObject) -> None:
        redis = self.stage.redis
        assert isinstance(redis, Recorder)
        name, args = one_of(data, redis.calls)
        if name == "register_node":
            return  # a running agent's only; a late one is fenced by its incarnation elsewhere
        if name in ("acquire_lease", "create_job", "transition"):
            with suppress(Conflict, NotFound):
                self.do(Redis.script(redis, name, args))

    @invariant()
    def the_ledger_holds(self) -> None:
        assert self.do(self.stage.nodes.ledger_errors()) == []
        for node in NODES:
            held = self.do(self.held(node))
            running = len(self.do(self.shares(node)))
            assert held == SMALL.times(running)

    @invariant()
    def what_shares_were_used_for_counts_once_when_they_come_back(self) -> None:
        async def counted() -> int:
            days = last_days(await self.stage.jobs.now_ms(), 2)
            return sum(used["ann"] for used in (await self.stage.quotas.used(days)).values())

        assert self.do(counted()) == self.used

    @invariant()
    def a_closed_or_waiting_job_holds_nothing(self) -> None:
        for made in self.made:
            job = self.do(self.stage.jobs.get(made.id))
            if job.status.closed or job.status is Status.AWAITING_ALLOCATION:
                assert self.do(self.stage.jobs.holders(job)) == set()

    @invariant()
    def each_job_is_in_the_one_index_that_its_hash_names(self) -> None:
        jobs = self.stage.jobs
        found = {status: set(self.do(jobs.in_status(status))) for status in Status}
        for made in self.made:
            where = [status for status, ids in found.items() if made.id in ids]
            assert where == [self.do(jobs.get(made.id)).status]
        assert set(self.do(jobs.queue())) == found[Status.AWAITING_ALLOCATION]

    @invariant()
    def a_place_counts_the_time_alone_that_a_job_could_have_started(self) -> None:
        scores = dict(self.do(self.stage.redis.command("ZRANGE", "hr:queue", 0, -1, "WITHSCORES")))
        for made in self.made:
            job = self.do(self.stage.jobs.get(made.id))
            if job.status is Status.AWAITING_ALLOCATION and job.desired is not Desired.HOLD:
                lines = [json.loads(line) for line in self.do(self.stage.jobs.history(made.id))]
                since_ms = eligible_ms(lines, made.ask.not_before_ms or 0)
                assert job.rank == rank_of(since_ms, job.priority) == float(scores[made.id])

    @invariant()
    def a_history_replays_to_the_state_of_its_job(self) -> None:
        for made in self.made:
            job = self.do(self.stage.jobs.get(made.id))
            lines = [json.loads(line) for line in self.do(self.stage.jobs.history(made.id))]
            assert replayed(lines) == (job.status, job.version, job.attempt)


def test_the_ledger_holds_in_any_order_of_calls(redis_server: RedisServer) -> None:
    class Here(Ledger):
        url = redis_server.url

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Shrinking a failure would take minutes; its steps are printed as they were.
            phases=(Phase.reuse, Phase.generate),
        ),
    )


@pytest.fixture
async def stage(redis_server: RedisServer) -> Any:
    redis = Redis(redis_server.url)
    await redis.open()
    stage = Stage(redis)
    await stage.ready()
    yield stage
    await redis.close()


async def test_one_idempotency_key_makes_one_job(stage: Stage) -> None:
    once = Idempotency("key", "same")
    first = await stage.jobs.create(new_job(1), Event.NEEDS_ALLOCATION, once)
    assert await stage.jobs.create(new_job(2), Event.NEEDS_ALLOCATION, once) == first
    other = Idempotency("key", "other")
    with pytest.raises(Conflict, match="another job"):
        await stage.jobs.create(new_job(3), Event.NEEDS_ALLOCATION, other)
    assert await stage.jobs.queue() == [first[0]]


async def test_a_job_after_one_that_is_not_there_is_not_made(stage: Stage) -> None:
    with pytest.raises(NotFound, match="after"):
        await stage.jobs.create(new_job(2, after=(new_job(1).id,)), Event.NEEDS_ALLOCATION)
    with pytest.raises(NotFound):
        await stage.jobs.get(new_job(2).id)


async def test_a_repeat_finds_its_job_though_the_one_before_it_is_gone(stage: Stage) -> None:
    before, once = await stage.make(new_job(1)), Idempotency("key", "same")
    after = (before.id,)
    first = await stage.jobs.create(new_job(2, after=after), Event.NEEDS_PREREQUISITES, once)
    await stage.redis.command("DEL", f"hr:job:{before.id}")
    again = await stage.jobs.create(new_job(3, after=after), Event.NEEDS_PREREQUISITES, once)
    assert again == first


async def test_a_move_of_a_job_that_is_not_there_is_not_found(stage: Stage) -> None:
    job = await stage.make(new_job(1))
    move = move_of(job, Event.CANCEL, Role.REQUEST)
    with pytest.raises(NotFound):
        await stage.jobs.apply(replace(move, job=new_job(9).id))


async def test_two_placements_at_once_never_over_book(stage: Stage) -> None:
    half = Allocation((Share(N1, Resources(3_000, 2**30)),))
    jobs = [await stage.make(new_job(number)) for number in range(4)]
    answers = await asyncio.gather(
        *(stage.jobs.apply(launch(job, half), 1) for job in jobs), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [int, NoRoom, NoRoom, NoRoom]
    assert await stage.nodes.ledger_errors() == []


async def test_one_of_two_movers_from_the_same_version_wins(stage: Stage) -> None:
    job = await stage.make(new_job(1))
    moves = [move_of(job, event, Role.REQUEST) for event in (Event.STOP, Event.CANCEL)]
    answers = await asyncio.gather(
        *(stage.jobs.apply(move) for move in moves), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [int, Stale]
    assert (await stage.jobs.get(job.id)).status is Status.STOPPED


async def test_a_fact_of_an_older_attempt_is_passed_over(stage: Stage) -> None:
    job = await stage.launched()
    fact = Fact(N1, job.id, 7, FactKind.STARTED)
    assert await stage.jobs.report(N1, f"run of {N1}", [fact]) == 0
    assert await stage.jobs.facts(job.id, 7, [N1]) == {}


async def test_a_record_that_was_replaced_meanwhile_is_not_dropped(stage: Stage) -> None:
    job = await stage.launched()
    old = (await stage.jobs.work(N1))[f"{job.id}.1"]
    await stage.apply(
        replace(
            move_of(job, Event.CANCEL, Role.MONITOR),
            work=(Work(N1, job.id, 1, Verb.STOP, job.spec),),
        )
    )
    assert not await stage.jobs.finish_work(N1, f"run of {N1}", old)
    assert f"{job.id}.1" in await stage.jobs.work(N1)


async def test_a_restored_redis_fences_an_open_connection(stage: Stage) -> None:
    await stage.redis.command("SET", "hr:epoch", "restored")
    with pytest.raises(Fenced):
        await stage.make(new_job(1))
    await stage.redis.open()
    assert (await stage.make(new_job(1))).status is Status.AWAITING_ALLOCATION


async def test_the_queue_is_in_order_of_priority_and_then_age(stage: Stage) -> None:
    for number, priority in enumerate((50, 10, 90, 50)):
        await stage.make(replace(new_job(number), priority=priority))
    order = [new_job(number).id for number in (2, 0, 3, 1)]
    assert await stage.jobs.queue() == order
    assert await stage.jobs.queue(most=2) == order[:2]
    assert await stage.jobs.queue(1, 2) == order[1:3]
    ranks = await stage.redis.command("ZRANGE", "hr:queue", 0, -1, "WITHSCORES")
    jobs = [await stage.jobs.get(job) for job in order]
    assert [rank for _, rank in ranks] == [job.rank for job in jobs]


async def test_the_queue_of_the_version_before_is_ranked_anew_once(stage: Stage) -> None:
    jobs = [
        await stage.make(replace(new_job(number), priority=priority))
        for number, priority in enumerate((50, 10, 100))
    ]
    for job in jobs:
        rank = (100 - job.priority) * 10**13 + job.created_ms
        await stage.redis.command("ZADD", "hr:queue", rank, job.id)
    assert await stage.jobs.rank_queue(Role.SCHEDULER, 1) == 3
    assert await stage.jobs.queue() == [jobs[2].id, jobs[0].id, jobs[1].id]
    found = await stage.jobs.queue_ranks(0, 9)
    assert dict(found) == {job.id: job.rank for job in jobs}
    assert await stage.jobs.owners([jobs[0].id, new_job(9).id]) == ["ann", ""]
    assert await stage.jobs.rank_queue(Role.SCHEDULER, 1) == 0
    await stage.redis.command("DEL", "hr:ranked")
    with pytest.raises(Fenced):
        await stage.jobs.rank_queue(Role.SCHEDULER, 2)


async def test_a_retry_of_a_job_keeps_its_place(stage: Stage) -> None:
    old, young = await stage.make(new_job(1)), await stage.make(new_job(2))
    old = await stage.apply(launch(old, ON_ONE))
    failed = move_of(old, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE)
    old = await stage.apply(failed)
    again = replace(move_of(old, Event.RETRY, Role.MONITOR), opens=old.ask, returns=(N1,))
    await stage.apply(again)
    assert await stage.jobs.queue() == [old.id, young.id]


async def test_what_a_job_asks_survives_the_store(stage: Stage) -> None:
    ask = Ask(Resources(1, 2), Paradigm.ROUND_ROBIN, "container", time_ms=3, not_before_ms=4)
    assert (await stage.make(replace(new_job(1), ask=ask))).ask == ask
