"""Which jobs start now: priority, gang, backfill that delays nobody, and no starvation."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_model.bounds import Policy
from headrace_model.estimate import Estimate
from headrace_model.fit import can_hold
from headrace_model.ids import DatasetId, JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.quota import CPU_HOUR, RunLimit, What
from headrace_model.resources import NOTHING, Allocation, Paradigm, Resources, Share, generic
from headrace_scheduler.core.placement import Reason, place
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.quota import Allowances, Use
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob

PROCESS = frozenset({"process"})


def node(name: str, cpus: int, free: int | None = None, memory: int = 1000) -> Node:
    capacity = Resources(cpus * 1000, memory)
    left = capacity if free is None else Resources(free * 1000, memory)
    return Node(NodeId(name), capacity, left, NodeState.UP, PROCESS)


def job(name: str, cpus: int, limit_ms: int | None = None, **other: object) -> WaitingJob:
    base = WaitingJob(
        id=JobId(name),
        version=1,
        attempt=1,
        rank=0.0,
        resources=Resources(cpus * 1000, cpus),
        paradigm=Paradigm.SINGLE_NODE,
        backend="process",
        held=False,
        not_before_ms=None,
        time_limit_ms=limit_ms,
        queued_ms=0,
    )
    return replace(base, **other)  # type: ignore[arg-type]  # test data by keyword


def running(name: str, where: str, cpus: int, ends_ms: int | None) -> RunningJob:
    share = Share(NodeId(where), Resources(cpus * 1000, 0))
    return RunningJob(JobId(name), Allocation((share,)), ends_ms)


def seen(
    nodes: tuple[Node, ...], waiting: Iterable[WaitingJob], busy: tuple[RunningJob, ...]
) -> Snapshot:
    """A snapshot in which each job is in a line of its own, so that a plan looks at all of them.

    They wait in the order in which they are given.
    """
    ranked = [replace(each, rank=float(i)) for i, each in enumerate(waiting)]
    return Snapshot(nodes, tuple((each,) for each in ranked), busy)


def waiting_in(now: Snapshot) -> tuple[WaitingJob, ...]:
    return tuple(each for (each,) in now.lines)


def started(made: Plan) -> list[str]:
    return [placement.job for placement in made.placements]


def test_an_empty_cluster_and_an_empty_queue_make_an_empty_plan():
    assert plan(seen((), (), ()), 0) == Plan((), {})


def test_without_nodes_every_job_has_a_reason():
    made = plan(seen((), (job("a", 1), job("b", 9)), ()), 0)
    assert {why.reason for why in made.reasons.values()} == {Reason.NO_NODE_KNOWN}
    assert len(made.reasons) == 2


def test_a_job_of_a_pool_is_placed_there_and_what_blocks_it_keeps_no_other_job_back():
    large = replace(node("a", 2), pools=frozenset({"large", "old"}))
    waiting = (
        job("first", 2, pool="large"),
        job("blocked", 1, pool="large"),
        job("nowhere", 1, pool="none"),
        job("anywhere", 3),
    )
    made = plan(seen((large, node("b", 4)), waiting, ()), 0)
    where = {each.job: each.allocation.shares[0].node for each in made.placements}
    assert where == {"first": "a", "anywhere": "b"}
    assert made.why(JobId("blocked")).reason is Reason.RESERVED
    assert made.why(JobId("nowhere")).reason is Reason.NO_BACKEND


def test_jobs_of_other_pools_stand_in_lines_of_their_own():
    assert job("a", 1).alike != job("b", 1, pool="large").alike
    assert job("a", 1, pool="large").alike == job("b", 1, pool="large").alike


def test_drained_and_lost_nodes_get_nothing():
    nodes = (
        replace(node("a", 4), state=NodeState.DRAINED),
        replace(node("b", 4), state=NodeState.LOST),
    )
    made = plan(seen(nodes, (job("j", 1),), ()), 0)
    assert made.why(JobId("j")).reason is Reason.NO_NODE_UP


def test_a_job_goes_only_where_its_backend_is():
    nodes = (node("a", 1), replace(node("b", 8), backends=frozenset({"docker"})))
    jobs = (job("d", 1, backend="docker"), job("s", 1, backend="slurm"))
    made = plan(seen(nodes, jobs, ()), 0)
    assert made.placements[0].allocation.shares[0].node == "b"
    assert made.why(JobId("s")).reason is Reason.NO_BACKEND


def test_a_node_with_two_backends_is_not_given_twice():
    both = replace(node("a", 1), backends=frozenset({"process", "docker"}))
    made = plan(seen((both,), (job("p", 1), job("d", 1, backend="docker")), ()), 0)
    assert started(made) == ["p"]


def test_held_and_later_jobs_are_passed_over_and_hold_nobody_back():
    jobs = (
        job("held", 4, held=True),
        job("later", 4, not_before_ms=11),
        job("retry", 4, not_before_ms=11, attempt=2),
        job("due", 4, not_before_ms=10),
    )
    made = plan(seen((node("a", 4),), jobs, ()), 10)
    assert started(made) == ["due"]
    assert [why.reason for why in made.reasons.values()] == [
        Reason.HELD,
        Reason.NOT_BEFORE,
        Reason.BACK_OFF,
    ]


def test_a_placement_carries_the_version_and_attempt_that_were_decided_on():
    now = seen((node("a", 4),), (job("j", 1, version=7, attempt=3),), ())
    (placement,) = plan(now, 0).placements
    assert (placement.job, placement.version, placement.attempt) == ("j", 7, 3)


def test_a_job_larger_than_all_nodes_does_not_block_the_queue():
    made = plan(seen((node("a", 4, free=1),), (job("big", 5), job("small", 1)), ()), 0)
    assert made.why(JobId("big")).reason is Reason.TOO_LARGE
    assert started(made) == ["small"]


def test_a_plan_ends_at_its_limit_and_the_rest_have_a_reason():
    made = plan(seen((node("a", 9),), (job("a", 1), job("b", 1), job("c", 1)), ()), 0, limit=2)
    assert started(made) == ["a", "b"]
    assert made.why(JobId("c")).reason is Reason.NEXT_PLAN


def test_a_short_job_runs_in_the_shadow_of_the_reservation_and_a_long_one_does_not():
    jobs = (job("head", 4), job("late", 1, 11), job("endless", 1), job("short", 1, 10))
    now = seen((node("a", 4, free=2),), jobs, (running("r", "a", 2, 110),))
    made = plan(now, 100)
    assert started(made) == ["short"]
    assert made.why(JobId("head")).reason is Reason.RESERVED
    assert made.why(JobId("head")).at_ms == 110
    assert made.why(JobId("late")).reason is Reason.BEHIND_RESERVATION


def test_under_fifo_no_job_passes_the_first_that_has_no_room():
    jobs = (job("big", 9), job("first", 1), job("head", 4), job("short", 1, 10), job("huge", 8))
    now = seen((node("a", 4, free=2),), jobs, (running("r", "a", 2, 110),))
    made = plan(replace(now, policy=Policy.FIFO), 100)
    assert started(made) == ["first"]
    assert {id: why.reason for id, why in made.reasons.items()} == {
        "big": Reason.TOO_LARGE,
        "head": Reason.RESERVED,
        "short": Reason.IN_TURN,
        "huge": Reason.TOO_LARGE,
    }


def test_a_long_job_may_use_what_the_reserved_job_leaves():
    jobs = (job("head", 3), job("one", 1), job("two", 1))
    made = plan(seen((node("a", 4, free=2),), jobs, (running("r", "a", 2, 110),)), 100)
    assert started(made) == ["one"]


def test_a_job_started_in_the_same_plan_counts_with_its_end():
    made = plan(seen((node("a", 4),), (job("first", 3, 50), job("head", 4)), ()), 100)
    assert made.why(JobId("head")).at_ms == 150


def test_a_node_is_cleared_when_no_known_end_makes_room():
    nodes = (node("a", 4, free=1), node("b", 4, free=2), node("c", 2))
    jobs = (job("head", 4), job("one", 1, 1), job("two", 2, 1))
    busy = (running("r", "a", 3, None), running("s", "b", 2, None))
    made = plan(seen(nodes, jobs, busy), 100)
    assert made.why(JobId("head")).nodes == ("b",)
    assert made.why(JobId("head")).at_ms is None
    assert {(p.job, p.allocation.shares[0].node) for p in made.placements} == {
        ("one", "a"),
        ("two", "c"),
    }


def test_what_is_reserved_on_a_node_whose_pieces_are_all_held_keeps_its_room():
    pieces = (("gpus", 1),)
    n1 = replace(node("n1", 4, 3), capacity=Resources(4000, 1000, pieces))
    busy = RunningJob(JobId("r"), Allocation((Share(n1.id, Resources(1000, 0, pieces)),)), 1100)
    first = job("a", 4, resources=Resources(4000, 4, pieces))
    for policy in (Policy.EASY, Policy.CONSERVATIVE):
        now = replace(seen((n1,), (first, job("b", 3, 5_000)), (busy,)), policy=policy)
        made = plan(now, 100)
        assert started(made) == []
        assert (made.reservations[0].at_ms, len(made.reservations[0].shares)) == (1100, 1)


def test_whole_nodes_pass_no_quota_of_what_they_hold_beside_what_is_asked():
    def may_start(limit_cpus: int, paradigm: Paradigm) -> list[str]:
        cpus = RunLimit("user:ann", What.CPUS, limit_cpus * 1000)
        allowed = Allowances((cpus,), {"ann": ()}).in_use((), 100)
        whole = job("a", 1, owner="ann", whole_node=True, paradigm=paradigm)
        return started(plan(replace(seen((node("n", 64),), (whole,), ()), quotas=allowed), 100))

    for paradigm in Paradigm:
        assert may_start(8, paradigm) == []
        assert may_start(64, paradigm) == ["a"]


def test_a_quota_of_gpus_bounds_those_who_ask_for_some_and_nobody_else():
    def gpu(name: str, count: int) -> WaitingJob:
        return job(name, 1, owner="ann", resources=Resources(1000, 2, generic({"gpus": count})))

    has = Resources(8000, 99, generic({"gpus": 8}))
    n = replace(node("n", 8), capacity=has, free=has)
    gpus = RunLimit("user:ann", What.GPUS, 3)
    # Two are held already, and so one more may be.
    held = Use("ann", Resources(1000, 2, generic({"gpus": 2})), 0, None)
    quotas = Allowances((gpus,), {"ann": ()}).in_use((held,), 100)
    asked = (gpu("two", 2), gpu("one", 1), gpu("another", 1), gpu("none", 0))
    assert started(plan(replace(seen((n,), asked, ()), quotas=quotas), 100)) == ["one", "none"]
    # A quota that was lowered keeps nobody who asks for none.
    over = Allowances((replace(gpus, limit=1),), {"ann": ()}).in_use((held,), 100)
    assert started(plan(replace(seen((n,), asked, ()), quotas=over), 100)) == ["none"]


def test_jobs_without_a_time_limit_count_against_cpu_hours():
    hours = RunLimit("user:ann", What.CPU_HOURS, 48 * CPU_HOUR, 30)
    asked = [job(name, 1, owner="ann") for name in "abc"]
    allowed = Allowances((hours,), {"ann": ()}).in_use((), 100)
    now = replace(seen((node("n", 8),), asked, ()), quotas=allowed)
    assert started(plan(now, 100)) == ["a", "b"]


def test_an_end_that_has_passed_is_expected_any_moment():
    made = plan(seen((node("a", 1, 0),), (job("j", 1),), (running("r", "a", 1, 50),)), 100)
    assert made.why(JobId("j")).at_ms == 101


def test_all_that_comes_back_at_the_same_moment_counts():
    jobs = (job("head", 2), job("endless", 1))
    busy = (running("r", "a", 1, 110), running("s", "a", 1, 110))
    made = plan(seen((node("a", 3, free=1),), jobs, busy), 100)
    assert made.why(JobId("head")).at_ms == 110
    assert started(made) == ["endless"]


# --- properties -------------------------------------------------------------------------------

small_jobs = st.builds(
    lambda cpus, half, memory, paradigm, limit, backend: {
        "resources": Resources(cpus * 1000 + half * 500, memory),
        "paradigm": paradigm,
        "time_limit_ms": limit,
        "backend": backend,
    },
    st.integers(0, 6),
    st.integers(0, 1),
    st.just(1) | st.integers(0, 12),
    st.sampled_from(Paradigm),
    st.none() | st.integers(1, 30),
    st.sampled_from(["process", "process", "docker"]),
)
queues = st.lists(small_jobs, max_size=10).map(
    lambda specs: tuple(job(f"j{i}", 1, **spec) for i, spec in enumerate(specs))
)
clusters = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 10),
        st.sampled_from([PROCESS, frozenset({"docker"}), frozenset({"process", "docker"})]),
    ),
    max_size=4,
).map(
    lambda found: tuple(
        replace(node(f"n{i}", cpus, memory=memory), backends=backends)
        for i, (cpus, memory, backends) in enumerate(found)
    )
)
# Per running job: node, CPUs, memory, end.
loads = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.none() | st.integers(90, 130)
    ),
    max_size=5,
)


def loaded(nodes: tuple[Node, ...], load: list, waiting: tuple[WaitingJob, ...]) -> Snapshot:
    free = {n.id: n.free for n in nodes}
    busy = []
    for i, (position, cpus, memory, ends_ms) in enumerate(load):
        if position < len(nodes):
            part = Resources(cpus * 1000, memory)
            name = nodes[position].id
            if part.fits_in(free[name]):
                free[name] -= part
                busy.append(RunningJob(JobId(f"r{i}"), Allocation((Share(name, part),)), ends_ms))
    return seen(tuple(replace(n, free=free[n.id]) for n in nodes), waiting, tuple(busy))


policies = st.sampled_from(Policy)
snapshots = st.builds(loaded, clusters, loads, queues)
under_policies = st.builds(lambda now, policy: replace(now, policy=policy), snapshots, policies)


@given(under_policies)
def test_a_plan_never_over_books_and_gives_each_job_all_or_nothing(now):
    free = {n.id: n.free for n in now.nodes}
    asked = {j.id: j for j in waiting_in(now)}
    made = plan(now, 100)
    for placement in made.placements:
        assert placement.allocation.total == asked[placement.job].resources
        for share in placement.allocation.shares:
            free[share.node] -= share.resources
            offered = next(n.backends for n in now.nodes if n.id == share.node)
            assert asked[placement.job].backend in offered
    assert all(NOTHING.fits_in(left) for left in free.values())
    assert set(started(made)).isdisjoint(made.reasons)
    assert set(started(made)) | set(made.reasons) == set(asked)


@given(snapshots)
def test_under_fifo_those_start_that_stand_before_the_first_blocked_job(now):
    easy, fifo = plan(now, 100), plan(replace(now, policy=Policy.FIFO), 100)
    heads = [id for id, why in easy.reasons.items() if why.reason is Reason.RESERVED]
    ahead = {j.id for j in itertools.takewhile(lambda j: j.id not in heads, waiting_in(now))}
    assert fifo.placements == tuple(each for each in easy.placements if each.job in ahead)
    assert [id for id, why in fifo.reasons.items() if why.reason is Reason.RESERVED] == heads


@given(under_policies, st.randoms())
def test_the_order_of_nodes_and_running_jobs_changes_nothing(now, rng):
    nodes, busy = list(now.nodes), list(now.running)
    rng.shuffle(nodes)
    rng.shuffle(busy)
    assert plan(replace(now, nodes=tuple(nodes), running=tuple(busy)), 100) == plan(now, 100)


@given(snapshots)
def test_a_job_waits_only_if_it_does_not_fit_or_would_use_a_reservation(now):
    made = plan(now, 100)
    placed = {p.job: p.allocation for p in made.placements}
    free = {n.id: n.free for n in now.nodes}
    head_seen = False
    for waiting in waiting_in(now):
        able = {n.id: free[n.id] for n in now.nodes if waiting.backend in n.backends}
        fits = isinstance(place(waiting.resources, waiting.paradigm, able), Allocation)
        if waiting.id in placed:
            assert fits
            for share in placed[waiting.id].shares:
                free[share.node] -= share.resources
            continue
        reason = made.reasons[waiting.id].reason
        assert fits == (reason is Reason.BEHIND_RESERVATION)
        assert not fits or head_seen
        capacity = [n.capacity for n in now.nodes if waiting.backend in n.backends]
        hopeless = not can_hold(waiting.resources, waiting.paradigm, capacity)
        assert (reason is Reason.RESERVED) == (not fits and not hopeless and not head_seen)
        head_seen = head_seen or reason is Reason.RESERVED


@given(st.builds(loaded, clusters, loads, queues.map(lambda found: found[:1])))
def test_the_reservation_is_the_earliest_end_at_which_the_job_fits(now):
    made = plan(now, 100)
    heads = [why for why in made.reasons.values() if why.reason is Reason.RESERVED]
    if not heads:
        return
    (head,) = waiting_in(now)
    moments = sorted({max(r.ends_ms, 101) for r in now.running if r.ends_ms is not None})
    fits_at = []
    for at_ms in moments:
        free = {n.id: n.free for n in now.nodes if head.backend in n.backends}
        for r in now.running:
            share = r.allocation.shares[0]
            if share.node in free and r.ends_ms is not None and max(r.ends_ms, 101) <= at_ms:
                free[share.node] += share.resources
        if isinstance(place(head.resources, head.paradigm, free), Allocation):
            fits_at.append(at_ms)
    assert heads[0].at_ms == (fits_at[0] if fits_at else None)


def test_a_fraction_without_a_corner_is_not_taken_to_fit():
    head = job("head", 1, resources=Resources(2500, 0), paradigm=Paradigm.FILL_NODES)
    busy = (running("r", "a", 2, 110), running("s", "b", 1, 120))
    made = plan(seen((node("a", 2, free=0), node("b", 1, free=0)), (head,), busy), 100)
    assert made.why(JobId("head")).at_ms == 120


class Cluster:
    """A cluster that is simulated: applies plans and ends jobs, on a clock of its own."""

    def __init__(self, now: Snapshot, now_ms: int) -> None:
        self.policy = now.policy
        self.nodes = {n.id: n for n in now.nodes}
        self.waiting = list(waiting_in(now))
        self.live = {r.id: (r, r.ends_ms) for r in now.running}
        self.now_ms = now_ms
        self.started_ms: dict[JobId, int] = {}

    def free(self) -> dict[NodeId, Resources]:
        left = {name: n.capacity for name, n in self.nodes.items()}
        for held, _ in self.live.values():
            for share in held.allocation.shares:
                left[share.node] -= share.resources
        return left

    def plan_and_apply(self, lasts_ms: dict[JobId, int]) -> Plan:
        left = self.free()
        nodes = tuple(replace(n, free=left[n.id]) for n in self.nodes.values())
        busy = tuple(
            replace(held, likely_ms=None) if (held.likely_ms or 0) <= self.now_ms else held
            for held, _ in self.live.values()
        )
        now = replace(seen(nodes, tuple(self.waiting), busy), policy=self.policy)
        made = plan(now, self.now_ms)
        jobs = {j.id: j for j in self.waiting}
        for p in made.placements:
            limit = jobs[p.job].time_limit_ms
            expected = None if limit is None else self.now_ms + limit
            really = self.now_ms + lasts_ms[p.job]
            guess = jobs[p.job].estimate
            likely = self.now_ms + guess.p90_ms if guess else None
            held = RunningJob(p.job, p.allocation, expected, likely_ms=likely)
            self.live[p.job] = (held, really)
            self.started_ms[p.job] = self.now_ms
        self.waiting = [j for j in self.waiting if j.id not in self.started_ms]
        assert all(NOTHING.fits_in(room) for room in self.free().values())
        return made

    def go_to_next_end(self) -> bool:
        ends = [end for _, end in self.live.values() if end is not None]
        if not ends:
            return False
        self.now_ms = max(min(ends), self.now_ms)
        self.live = {
            name: (held, end)
            for name, (held, end) in self.live.items()
            if end is None or end > self.now_ms
        }
        return True


@given(under_policies, st.lists(st.integers(0, 30), min_size=10, max_size=10))
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_the_first_job_with_a_reservation_starts_by_then_whatever_is_backfilled(now, early):
    # Jobs end by their limit or before; those without a limit run for ever.
    lasts = {
        j.id: 10**9 if j.time_limit_ms is None else max(1, j.time_limit_ms - less)
        for j, less in zip(waiting_in(now), early, strict=False)
    }
    cluster = Cluster(
        replace(now, running=tuple(r for r in now.running if (r.ends_ms or 101) > 100)), 100
    )
    promised: dict[JobId, int] = {}
    while True:
        made = cluster.plan_and_apply(lasts)
        for first in made.reservations[:1]:
            if first.at_ms is not None:
                assert first.at_ms > cluster.now_ms
                promised[first.job] = min(first.at_ms, promised.get(first.job, first.at_ms))
        if not cluster.waiting or not cluster.go_to_next_end() or cluster.now_ms > 10**8:
            break
    for name, by_ms in promised.items():
        assert cluster.started_ms[name] <= by_ms


def estimated(p90_ms: int) -> Estimate:
    return Estimate(1, 1, p90_ms, 9, "p90 of 9 runs of this command")


@given(
    snapshots,
    st.lists(st.none() | st.integers(1, 30), min_size=15, max_size=15),
    st.lists(st.integers(1, 60), min_size=15, max_size=15),
)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_estimates_that_are_wrong_over_book_nothing_and_starve_nobody(now, told, really):
    guesses = [None if each is None else estimated(each) for each in told]
    waiting = [replace(j, estimate=g) for j, g in zip(waiting_in(now), guesses, strict=False)]
    busy = tuple(
        replace(r, likely_ms=g and 100 + g.p90_ms)
        for r, g in zip(now.running, reversed(guesses), strict=False)
    )
    cluster = Cluster(replace(now, lines=tuple((j,) for j in waiting), running=busy), 100)
    cluster.live = {
        r.id: (r, 100 + lasts) for r, lasts in zip(busy, reversed(really), strict=False)
    }
    lasts_ms = {j.id: lasts for j, lasts in zip(waiting, really, strict=False)}
    made = cluster.plan_and_apply(lasts_ms)  # the cluster itself looks for over-booking
    while cluster.go_to_next_end():
        made = cluster.plan_and_apply(lasts_ms)
    left = {made.why(j.id).reason for j in cluster.waiting}
    assert left <= {Reason.TOO_LARGE, Reason.NO_BACKEND, Reason.NO_NODE_UP, Reason.NO_NODE_KNOWN}


def test_a_reservation_is_made_for_when_a_job_ends_most_likely_and_then_for_its_limit():
    head = job("head", 2)
    full = (node("a", 2, free=0),)
    for limit_ms in (1_000, None):
        busy = replace(running("r", "a", 2, limit_ms), likely_ms=150)
        assert plan(seen(full, (head,), (busy,)), 120).why(head.id).at_ms == 150
        wrong = replace(busy, likely_ms=None)
        assert plan(seen(full, (head,), (wrong,)), 150).why(head.id).at_ms == limit_ms


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from(Paradigm),
    st.integers(1, 8),
    st.lists(st.integers(1, 9), min_size=8, max_size=8),
    st.booleans(),
    policies,
)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_an_endless_stream_of_small_jobs_never_starves_a_large_one(
    sizes, paradigm, cpus, durations, limited, policy
):
    nodes = tuple(node(f"n{i}", size) for i, size in enumerate(sizes))
    limit = 1 if limited else None
    names = (JobId(f"small{i:06}") for i in itertools.count())
    lasts = itertools.cycle([1] if limited else durations)

    # Small jobs without a known end fill the cluster first, each ending at another time.
    first = tuple(job(next(names), 1) for _ in range(sum(sizes)))
    cluster = Cluster(replace(seen(nodes, first, ()), policy=policy), 0)
    cluster.plan_and_apply(dict(zip([j.id for j in first], durations * 2, strict=False)))
    head = job("head", cpus, paradigm=paradigm)
    if not can_hold(head.resources, paradigm, [n.capacity for n in nodes]):
        return
    cluster.waiting = [head]
    # Nodes displace each other at most once per CPU and node; each time takes one longest job.
    by_ms = 9 * (sum(sizes) + 1) * len(sizes)
    while head.id not in cluster.started_ms:
        assert cluster.now_ms <= by_ms
        cluster.waiting += [job(next(names), 1, limit) for _ in range(3)]
        cluster.plan_and_apply({head.id: 1} | {j.id: next(lasts) for j in cluster.waiting[1:]})
        cluster.waiting = [head, *cluster.waiting[-6:]] if head in cluster.waiting else []
        cluster.go_to_next_end()


held_by = st.dictionaries(
    st.sampled_from([DatasetId("d0"), DatasetId("d1")]),
    st.dictionaries(st.sampled_from([NodeId(f"n{i}") for i in range(4)]), st.integers(1, 9)),
)


@given(
    clusters.map(lambda found: tuple(replace(each, backends=PROCESS) for each in found)),
    queues,
    held_by,
    st.lists(st.sampled_from([(), (DatasetId("d0"),), (DatasetId("d1"), DatasetId("d0"))])),
)
def test_what_nodes_hold_changes_where_jobs_start_and_never_whether(nodes, waiting, held, inputs):
    """On empty nodes; where jobs run, those that end first may be on the one or the other."""
    at_hand = zip(waiting, [*inputs, *[()] * len(waiting)], strict=False)
    now = seen(nodes, [replace(each, datasets=found) for each, found in at_hand], ())
    here, there = plan(now, 100), plan(replace(now, held=held), 100)
    assert started(there) == started(here)
    assert {id: why.reason for id, why in there.reasons.items()} == {
        id: why.reason for id, why in here.reasons.items()
    }
    assert {id: why.at_ms for id, why in there.reasons.items()} == {
        id: why.at_ms for id, why in here.reasons.items()
    }


def test_a_job_starts_where_most_of_its_inputs_are():
    d0, d1 = DatasetId("d0"), DatasetId("d1")
    nodes = tuple(node(f"n{i}", 2) for i in range(4))
    waiting = [job("a", 1, datasets=(d0, d1)), job("b", 1, datasets=(d0,)), job("c", 1)]
    held = {d0: {NodeId("n1"): 5, NodeId("n3"): 5}, d1: {NodeId("n3"): 1, NodeId("n9"): 99}}
    made = plan(replace(seen(nodes, waiting, ()), held=held), 0)
    # Tightest first as ever: where one has started there is less free, so the others follow it.
    assert [each.allocation.shares[0].node for each in made.placements] == ["n3", "n3", "n0"]
