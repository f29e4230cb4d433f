"""What the monitor decides for any job, any facts and any wish of the owner."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from functools import reduce
from operator import or_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.cause import RETRYABLE, Cause
from headrace_model.ids import NodeId, job_id
from headrace_model.job import CONTAINER, PARALLEL, PROCESS, Ask, Job, Need
from headrace_model.move import Move
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.spec import Retry
from headrace_model.status import EDGES, HAS_ATTEMPT, Desired, Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb
from headrace_monitor.core.again import FIRST_BACK_OFF_MS, LONGEST_BACK_OFF_MS
from headrace_monitor.core.decide import Facts, Seen, decide

N1, N2, N3 = NODES = (NodeId("node1"), NodeId("node2"), NodeId("node3"))
NOW = 1_700_000_000_000
SMALL = Resources(1_000, 2**30)
RUNNING = Job(
    id=job_id(NOW, 1),
    owner="ann",
    name="job",
    kind="command",
    spec='{"kind":"command"}',
    status=Status.RUNNING,
    desired=Desired.RUN,
    version=4,
    attempt=1,
    retries=0,
    priority=50,
    rank=1.0,
    created_ms=NOW - 20_000,
    entered_ms=NOW - 10_000,
    ask=Ask(SMALL, Paradigm.SINGLE_NODE, "process"),
    needs=frozenset(),
    after=(),
    parents=(),
    origin=None,
    request_id="",
    allocation=Allocation((Share(N1, SMALL), Share(N2, SMALL))),
    cause=None,
    detail="",
    exit_code=None,
    fulfilments="",
    outputs="",
)
STOPPING = replace(RUNNING, status=Status.STOPPING, cause=Cause.NODE_LOST)
BOTH = frozenset({N1, N2})

causes = st.sampled_from(Cause)
retries = st.builds(
    Retry, limit=st.integers(0, 4), on=st.frozensets(st.sampled_from(sorted(RETRYABLE)))
)


@st.composite
def jobs(
    draw: st.DrawFn, among: Sequence[Status] = tuple(Status), wishes: Iterable[Desired] = Desired
) -> Job:
    status = draw(st.sampled_from(among))
    holders = draw(st.lists(st.sampled_from(NODES), unique=True, min_size=1))
    placed = status in HAS_ATTEMPT or status is Status.STOPPING
    return replace(
        RUNNING,
        status=status,
        desired=draw(st.sampled_from(list(wishes))),
        retries=draw(st.integers(0, 4)),
        needs=draw(st.frozensets(st.sampled_from(Need))),
        ask=replace(
            RUNNING.ask,
            time_ms=draw(st.none() | st.integers(1, 20_000)),
            tasks=draw(st.none() | st.integers(1, 100)),
            backend=draw(st.sampled_from([PROCESS, CONTAINER, PARALLEL])),
        ),
        allocation=Allocation(tuple(Share(n, SMALL) for n in holders)) if placed else None,
        cause=draw(causes) if status is Status.STOPPING else None,
    )


def fact(
    node: NodeId, kind: FactKind, cause: Cause | None = None
) -> dict[tuple[NodeId, FactKind], Fact]:
    return {(node, kind): Fact(node, RUNNING.id, 1, kind, cause)}


@st.composite
def facts(draw: st.DrawFn) -> dict[tuple[NodeId, FactKind], Fact]:
    seen = st.tuples(st.sampled_from(NODES), st.sampled_from(FactKind))
    found: dict[tuple[NodeId, FactKind], Fact] = {}
    for node, kind in draw(st.lists(seen, unique=True)):
        found |= fact(node, kind, draw(st.none() | causes))
    return found


some_nodes = st.frozensets(st.sampled_from(NODES))
anything_seen = st.builds(
    Seen,
    facts=facts(),
    lost=some_nodes,
    holding=some_nodes,
    retry=retries,
    now_ms=st.just(NOW),
    exclusive=st.booleans(),
    confirmed=some_nodes,
)


def seen(
    found: Facts | None = None,
    *,
    lost: Set[NodeId] = frozenset(),
    holding: Set[NodeId] = BOTH,
    retry: Retry = Retry(),  # noqa: B008 (frozen)
    now_ms: int = NOW,
) -> Seen:
    return Seen(found or {}, lost, holding, retry, now_ms)


def nodes_of(job: Job) -> list[NodeId]:
    return [share.node for share in job.allocation.shares] if job.allocation else []


def moved(job: Job, by: Seen) -> Move:
    move = decide(job, by)
    assert move is not None
    return move


@given(jobs(), anything_seen)
def test_every_move_is_an_edge_that_the_monitor_writes(job: Job, by: Seen) -> None:
    move = decide(job, by)
    if move is None:
        return
    assert move.event is not None
    edge = EDGES[job.status, move.event]
    assert (edge.to, edge.writer) == (move.to, Role.MONITOR)
    assert move.writer is Role.MONITOR
    assert (move.job, move.version, move.attempt) == (job.id, job.version, job.attempt)
    assert move.takes is None
    assert {work.node for work in move.work} <= set(nodes_of(job))


@given(jobs([s for s in Status if s not in (*HAS_ATTEMPT, Status.STOPPING)]), anything_seen)
def test_jobs_without_an_attempt_are_left_alone(job: Job, by: Seen) -> None:
    assert decide(job, by) is None


@given(jobs(HAS_ATTEMPT, (Desired.STOP, Desired.CANCEL)), anything_seen)
def test_a_wish_to_stop_or_cancel_wins_over_every_fact(job: Job, by: Seen) -> None:
    move = moved(job, by)
    assert move.to is Status.STOPPING
    canceled = job.desired is Desired.CANCEL
    assert move.event is (Event.CANCEL if canceled else Event.STOP)
    assert move.cause is (Cause.CANCELED if canceled else Cause.STOPPED)


@given(jobs(HAS_ATTEMPT), anything_seen)
def test_every_way_to_stopping_asks_each_node_to_stop_and_returns_nothing(
    job: Job, by: Seen
) -> None:
    move = decide(job, by)
    if move and move.to is Status.STOPPING:
        assert [(w.node, w.verb) for w in move.work] == [(n, Verb.STOP) for n in nodes_of(job)]
        assert move.returns == ()
        assert move.cause is not None
        stopped = {node for node, kind in move.consumes if kind is FactKind.STOPPED}
        assert stopped == set(), "a STOPPED fact that came early still returns its share"


@given(jobs(), anything_seen)
def test_a_share_comes_back_only_from_a_node_where_nothing_runs(job: Job, by: Seen) -> None:
    move = decide(job, by)
    for node in move.returns if move else ():
        gone = {(node, FactKind.STOPPED)}
        if job.status is not Status.STOPPING:
            gone.add((node, FactKind.EXITED))
        back_already = job.is_spread and node not in by.holding
        assert node in by.lost or back_already or gone & by.facts.keys()


@given(jobs([Status.STOPPING]), anything_seen)
def test_a_job_ends_only_once_every_node_is_done_with_it(job: Job, by: Seen) -> None:
    by = replace(by, exclusive=False)
    move = decide(job, by)
    gone = {n for n in nodes_of(job) if n in by.lost or (n, FactKind.STOPPED) in by.facts}
    if gone == set(nodes_of(job)):
        assert move is not None
        assert move.event is not Event.SHARE_RETURNED
        assert set(move.returns) == gone
    elif gone & set(by.holding):
        assert move is not None
        assert move.event is Event.SHARE_RETURNED
        assert set(move.returns) == gone & set(by.holding)
        assert (move.cause, move.detail) == (job.cause, job.detail), "the cause stays"
    else:
        assert move is None


@given(jobs([Status.STOPPING]), anything_seen)
def test_the_end_follows_the_wish_then_the_cause_and_the_retries_left(job: Job, by: Seen) -> None:
    gone = set(nodes_of(job))
    stopped = [fact(node, FactKind.STOPPED) for node in gone - by.lost]
    by = replace(by, facts=reduce(or_, stopped, by.facts), confirmed=by.lost)
    move = moved(job, by)
    restored = job.cause is Cause.RESTORED  # nobody asked for that: it costs no retry
    again = restored or (
        job.cause in by.retry.on
        and job.cause not in (Cause.STOPPED, Cause.CANCELED, Cause.PREREQUISITE)
        and job.cause is not Cause.OOM  # tests/unit/test_monitor_again.py
        and job.retries < by.retry.limit
    )
    match job.desired:
        case Desired.CANCEL:
            assert move.to is Status.CANCELED
        case Desired.STOP:
            assert move.to is Status.STOPPED
        case _ if again:
            assert move.to is Status.AWAITING_ALLOCATION
            assert move.retries == job.retries + (not restored)
            assert move.opens is not None
            assert move.opens.not_before_ms is not None
            pause = move.opens.not_before_ms - by.now_ms
            assert pause == min(FIRST_BACK_OFF_MS * 2**job.retries, LONGEST_BACK_OFF_MS)
            assert replace(move.opens, not_before_ms=None) == job.ask
        case _:
            assert move.to is Status.FAILED
    if move.to is not Status.AWAITING_ALLOCATION:
        assert move.opens is None
    assert {w.node for w in move.work} == gone - by.lost
    assert {w.verb for w in move.work} <= {Verb.CLEAN}
    failed = move.event in (Event.RETRY, Event.END_FAILED)
    keeps = failed and Need.COLLECTION in job.needs and not job.is_array
    assert {w.spec for w in move.work} <= {job.spec if keeps else ""}
    assert set(move.forgets) == gone & by.lost
    assert {node for node, _ in move.consumes} == gone


@pytest.mark.parametrize("lost", [frozenset(), frozenset({N3})])
def test_two_nodes_return_their_shares_one_after_the_other(lost: Set[NodeId]) -> None:
    assert decide(STOPPING, seen(lost=lost)) is None
    first = fact(N1, FactKind.STOPPED)
    move = moved(STOPPING, seen(first, lost=lost))
    assert (move.event, move.returns) == (Event.SHARE_RETURNED, (N1,))
    assert decide(STOPPING, seen(first, lost=lost, holding={N2})) is None, "it is back already"
    end = moved(STOPPING, seen(first, lost={N2}, holding={N2}))
    assert (end.event, end.forgets) == (Event.RETRY, (N2,))


def test_a_job_runs_once_all_its_workers_have_started() -> None:
    job = replace(RUNNING, status=Status.SCHEDULED)
    one, other = fact(N1, FactKind.STARTED), fact(N2, FactKind.STARTED)
    assert decide(job, seen(one)) is None
    assert moved(job, seen(one | other)).to is Status.RUNNING


def test_a_worker_that_has_ended_has_also_started() -> None:
    job = replace(RUNNING, status=Status.SCHEDULED)
    mixed = fact(N1, FactKind.STARTED) | fact(N2, FactKind.EXITED)
    move = moved(job, seen(mixed))
    assert move.to is Status.RUNNING
    assert all(kind is not FactKind.EXITED for _, kind in move.consumes)


@pytest.mark.parametrize(
    ("needs", "to", "verb"),
    [
        (frozenset({Need.COLLECTION}), Status.AWAITING_COLLECTION, Verb.COLLECT),
        (frozenset({Need.STAGING}), Status.COMPLETED, Verb.CLEAN),
    ],
)
def test_when_all_workers_ended_well_the_shares_are_back(
    needs: frozenset[Need], to: Status, verb: Verb
) -> None:
    job = replace(RUNNING, needs=needs)
    one, other = fact(N1, FactKind.EXITED), fact(N2, FactKind.EXITED)
    assert decide(job, seen(one)) is None
    move = moved(job, seen(one | other))
    assert (move.to, move.returns, move.exit_code) == (to, (N1, N2), 0)
    assert {work.verb for work in move.work} == {verb}


@given(st.integers(1, 100_000), st.integers(0, 200_000))
def test_the_time_limit_counts_from_the_start_to_the_millisecond(limit: int, ran: int) -> None:
    job = replace(RUNNING, ask=replace(RUNNING.ask, time_ms=limit), entered_ms=NOW)
    move = decide(job, seen(now_ms=NOW + ran))
    assert (move is not None) == (ran >= limit)
    if move:
        assert (move.event, move.cause) == (Event.FAILED, Cause.TIME_LIMIT)


@pytest.mark.parametrize("status", [s for s in HAS_ATTEMPT if s is not Status.RUNNING])
def test_only_running_counts_against_the_time_limit(status: Status) -> None:
    job = replace(RUNNING, status=status, ask=replace(RUNNING.ask, time_ms=1))
    assert decide(job, seen()) is None


@pytest.mark.parametrize("status", HAS_ATTEMPT)
def test_a_lost_node_ends_the_attempt_wherever_it_is(status: Status) -> None:
    job = replace(RUNNING, status=status)
    move = moved(job, seen(lost={N2}))
    assert (move.event, move.cause) == (Event.ATTEMPT_LOST, Cause.NODE_LOST)
    assert "node2" in move.detail
    assert decide(job, seen(lost={N3})) is None, "a node of others"


@given(causes, st.sampled_from(FactKind), st.sampled_from(HAS_ATTEMPT))
def test_a_bad_fact_ends_the_attempt_with_its_cause(
    cause: Cause, kind: FactKind, status: Status
) -> None:
    bad = Fact(N2, RUNNING.id, 1, kind, cause, "why", exit_code=7)
    move = moved(replace(RUNNING, status=status), seen({(N2, kind): bad}))
    assert (move.to, move.cause, move.detail) == (Status.STOPPING, cause, "why")
    assert move.exit_code == 7
    lost = cause in (Cause.ATTEMPT_LOST, Cause.RESTORED)
    assert move.event is (Event.ATTEMPT_LOST if lost else Event.FAILED)


@given(jobs(), anything_seen)
def test_an_exclusive_job_may_run_again_only_once_its_workers_are_known_to_be_gone(
    job: Job, by: Seen
) -> None:
    by = replace(by, exclusive=True)
    move = decide(job, by)
    if move is None:
        return
    unheard = {
        node
        for node in by.lost - by.confirmed
        if node in by.holding and (node, FactKind.STOPPED) not in by.facts
    }
    opens_another = move.event in (Event.RETRY, Event.END_STOPPED)
    if opens_another or move.event in (Event.SHARE_RETURNED, Event.NODE_LEFT):
        assert not unheard & set(move.returns), "its share is what says that a worker may live"
        assert set(move.confirmed) == by.confirmed & set(move.lost), "else a late decision passes"
    if opens_another:
        assert not unheard & set(nodes_of(job))


@pytest.mark.parametrize("wish", [Desired.RUN, Desired.STOP])
def test_an_exclusive_job_waits_for_a_lost_node_until_an_admin_confirms(wish: Desired) -> None:
    job = replace(STOPPING, desired=wish)
    there = fact(N1, FactKind.STOPPED)
    silent = replace(seen(there, lost={N2}), exclusive=True)
    assert moved(job, silent).returns == (N1,), "what is known to be gone comes back"
    silent = replace(silent, holding={N2})
    assert decide(job, silent) is None
    sure = moved(job, replace(silent, confirmed={N2}))
    assert sure.event is (Event.RETRY if wish is Desired.RUN else Event.END_STOPPED)
    assert (sure.lost, sure.confirmed) == ((N2,), (N2,))
    back = moved(job, replace(silent, facts=there | fact(N2, FactKind.STOPPED), lost=set()))
    assert back.event is sure.event, "or until the node is back and has ended it"


@pytest.mark.parametrize(
    ("wish", "cause", "event"),
    [
        (Desired.CANCEL, Cause.CANCELED, Event.END_CANCELED),
        (Desired.RUN, Cause.EXIT_CODE, Event.END_FAILED),
    ],
)
def test_an_exclusive_job_that_never_runs_again_waits_for_no_lost_node(
    wish: Desired, cause: Cause, event: Event
) -> None:
    job = replace(STOPPING, desired=wish, cause=cause)
    assert moved(job, replace(seen(lost=BOTH), exclusive=True)).event is event


def test_an_exclusive_job_whose_worker_had_ended_waits_for_no_lost_node() -> None:
    by = replace(seen(lost=BOTH, holding=set()), exclusive=True)
    assert moved(STOPPING, by).event is Event.RETRY


def test_the_highest_peak_of_its_workers_is_kept_however_they_ended() -> None:
    one, other = fact(N1, FactKind.EXITED), fact(N2, FactKind.EXITED)
    assert moved(RUNNING, seen(one | other)).peak_memory_bytes is None
    measured = {
        key: replace(each, peak_memory_bytes=peak)
        for (key, each), peak in zip((one | other).items(), (70, 50), strict=True)
    }
    assert moved(RUNNING, seen(measured)).peak_memory_bytes == 70
    oom = {key: replace(each, cause=Cause.OOM) for key, each in measured.items()}
    assert moved(RUNNING, seen(oom)).peak_memory_bytes == 70
