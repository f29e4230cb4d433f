"""What nodes have free over time, against a clock that looks at each millisecond."""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from headrace_model.bounds import Policy, Window
from headrace_model.fit import can_hold
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Allocation, Paradigm, Resources, Share, generic
from headrace_scheduler.core.placement import Reason, place
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.policy import MOST_RESERVATIONS, MOST_WORK
from headrace_scheduler.core.profile import Profile, Reservation, usable
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.core.timeline import CLOSED, Timeline
from tests.unit.test_plan import job, node, policies, running, seen, started, waiting_in

NOW_MS = 100
END_MS = 170  # all that is drawn has happened by then

pieces = st.dictionaries(st.sampled_from(["gpus", "licence"]), st.integers(0, 3)).map(generic)
no_pieces = st.just(())
amounts = st.builds(
    Resources,
    st.integers(0, 6).map(lambda n: n * 500),
    st.integers(0, 6),
    no_pieces | no_pieces | pieces,
)
moments = st.integers(NOW_MS - 10, NOW_MS + 30)
parts = st.lists(st.tuples(st.integers(0, 2), amounts, st.none() | moments), max_size=6)
keeps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(NOW_MS, NOW_MS + 20),
        st.integers(1, 20) | st.just(inf),
        st.none() | amounts,
    ),
    max_size=4,
)


@dataclass
class Given:
    """Nodes with what is held, has started and is kept there, in the profile and in the open."""

    nodes: list[Node]
    running: Running
    began: list[tuple[Allocation, int | None]]
    kept: list[tuple[NodeId, int, float, Resources | None]]

    @property
    def profile(self) -> Profile:
        made = Profile(self.nodes, self.running, NOW_MS)
        for allocation, lasts_ms in self.began:
            made.start(allocation, lasts_ms)
        for each in self.kept:
            made.keep(*each)
        return made

    def free(self, of: Node, at_ms: int) -> Resources:
        """What a node has free at a moment."""
        room = of.free
        for held in self.running:
            for share in held.allocation.shares:
                due = held.ends_ms is not None and max(held.ends_ms, NOW_MS + 1) <= at_ms
                if share.node == of.id and due:
                    room += share.resources
        for allocation, lasts_ms in self.began:
            for share in allocation.shares:
                if share.node == of.id and (lasts_ms is None or at_ms < NOW_MS + lasts_ms):
                    room -= share.resources
        for name, begin_ms, end_ms, what in self.kept:
            if name == of.id and begin_ms <= at_ms < end_ms:
                if what is None:
                    return CLOSED
                room -= what
        return room

    def over(self, of: Node, begin_ms: int, end_ms: float) -> Resources:
        """What it has free all the time from one moment to another."""
        least = self.free(of, begin_ms)
        for at_ms in range(begin_ms, int(min(end_ms, END_MS + begin_ms))):
            least = least.least(self.free(of, at_ms))
        return least


def made_of(sizes: list[Resources], held: list, began: list, kept: list) -> Given:
    names = [NodeId(f"n{i}") for i in range(len(sizes))]
    free = dict(zip(names, sizes, strict=True))
    runs, starts = [], []
    for i, (position, part, ends_ms) in enumerate(held):
        if position < len(names) and part.fits_in(free[names[position]]):
            free[names[position]] -= part
            share = Share(names[position], part)
            runs.append(RunningJob(JobId(f"r{i}"), Allocation((share,)), ends_ms))
    left = dict(free)
    for position, part, ends_ms in began:
        if position < len(names) and part.fits_in(left[names[position]]):
            left[names[position]] -= part
            lasts_ms = None if ends_ms is None else max(1, ends_ms - NOW_MS)
            starts.append((Allocation((Share(names[position], part),)), lasts_ms))
    nodes = [
        Node(name, size, free[name], NodeState.UP, frozenset({"process"}))
        for name, size in zip(names, sizes, strict=True)
    ]
    keeping = [
        (names[position], begin_ms, begin_ms + lasts_ms, what)
        for position, begin_ms, lasts_ms, what in kept
        if position < len(names)
    ]
    return Given(nodes, Running(runs), starts, keeping)


often_none = st.just([])
clusters = st.builds(
    made_of,
    st.lists(amounts, min_size=1, max_size=3),
    parts,
    often_none | parts,
    often_none | keeps,
)


def held_by(room: Resources) -> Resources:
    """All rooms alike that have less than nothing of something: they hold nothing."""
    return room if NOTHING.fits_in(room) else CLOSED


@given(clusters, st.integers(NOW_MS, NOW_MS + 40), st.integers(1, 40) | st.just(inf))
def test_what_is_free_for_a_while_is_the_least_of_each_moment_in_it(now, begin_ms, lasts_ms):
    profile = now.profile
    found = profile.over(begin_ms, begin_ms + lasts_ms)
    for each in now.nodes:
        assert held_by(found[each.id]) == held_by(now.over(each, begin_ms, begin_ms + lasts_ms))
        through = profile.through(each.id, NOW_MS + lasts_ms)
        assert held_by(through) == held_by(now.over(each, NOW_MS, NOW_MS + lasts_ms))


def longest_of(asked: WaitingJob) -> float:
    """How long a job may hold its share: until it runs, and then for its time limit."""
    return inf if asked.time_limit_ms is None else asked.staging_ms + asked.time_limit_ms


asks = st.builds(
    lambda resources, paradigm, limit, staging, whole, spread: job(
        "j",
        1,
        limit_ms=limit,
        staging_ms=staging,
        resources=resources,
        paradigm=paradigm,
        whole_node=whole,
        spread=spread,
    ),
    st.builds(
        Resources,
        st.integers(1, 9).map(lambda n: n * 500),
        st.integers(0, 8),
        no_pieces | no_pieces | pieces,
    ),
    st.sampled_from(Paradigm),
    st.none() | st.integers(1, 30),
    st.just(0) | st.integers(1, 10),
    st.sampled_from([False, False, True]),
    st.booleans(),
)


@given(clusters, asks)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_a_reservation_is_the_first_moment_at_which_the_job_fits_for_as_long_as_it_may_run(
    now, asked
):
    if not can_hold(asked.resources, asked.cut, [n.capacity for n in now.nodes]):
        return
    lasts_ms = longest_of(asked)
    found = now.profile.reserve(asked, now.nodes)
    for at_ms in range(NOW_MS, END_MS):
        rooms = {n.id: usable(asked, n, now.over(n, at_ms, at_ms + lasts_ms)) for n in now.nodes}
        fits = place(asked.resources, asked.cut, rooms, (), asked.spread)
        if isinstance(fits, Allocation):
            assert found.at_ms == at_ms
            assert [s.node for s in found.shares] == [s.node for s in fits.shares]
            for kept, share in zip(found.shares, fits.shares, strict=True):
                assert share.resources.fits_in(kept.resources)
                assert kept.resources.fits_in(rooms[kept.node])
            return
    assert found.at_ms is None
    capacity = {n.id: n.capacity for n in now.nodes}
    assert can_hold(asked.resources, asked.cut, [capacity[name] for name in found.cleared])


@given(
    st.builds(
        made_of,
        st.lists(amounts, min_size=3, max_size=3),
        st.lists(st.tuples(st.integers(0, 2), amounts, moments), min_size=4, max_size=12),
        often_none,
        st.lists(
            st.tuples(
                st.integers(0, 2), st.integers(NOW_MS, NOW_MS + 30), st.integers(1, 20), amounts
            ),
            min_size=3,
            max_size=8,
        ),
    ),
    st.lists(asks, min_size=1, max_size=3),
)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_who_asks_a_profile_while_it_is_made_changes_no_later_answer(now, asked):
    """Nodes are written anew between answers, and what they were is let go."""
    made = Profile(now.nodes, now.running, NOW_MS)
    for i, each in enumerate(now.kept):
        made.keep(*each)
        fresh = Profile(now.nodes, now.running, NOW_MS)
        for before in now.kept[: i + 1]:
            fresh.keep(*before)
        for at_ms in (NOW_MS, NOW_MS + 15, inf):
            assert made.over(at_ms, at_ms + 5) == fresh.over(at_ms, at_ms + 5)
        for ask in asked:
            if can_hold(ask.resources, ask.cut, [n.capacity for n in now.nodes]):
                assert made.reserve(ask, now.nodes) == fresh.reserve(ask, now.nodes)


MANY = 600  # nodes; the moments of all of them in one order pass what floating point can hold
NEAR = 12  # ms, so that moments lie close to each other


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 10**9),
    st.integers(1, NEAR),
    st.integers(1, 2 * NEAR),
    st.integers(1, 4 * MANY),
    st.sampled_from([Paradigm.FILL_NODES, Paradigm.ROUND_ROBIN]),
)
@settings(deadline=None, max_examples=15, phases=[Phase.generate])  # each has 600 nodes
def test_moments_are_exact_on_many_nodes_with_windows(
    seed, after_ms, apart_ms, lasts_ms, cpus, paradigm
):
    """Two jobs on each node end some milliseconds apart, and about then it is shut for a while."""
    nodes = [node(f"n{i:03}", 4, free=0) for i in range(MANY)]
    ends, begins = np.random.default_rng(seed).integers(0, NEAR, (2, MANY)) + NOW_MS + after_ms
    busy = [running(f"r{i}", f"n{i:03}", 2, int(end)) for i, end in enumerate(ends)]
    busy += [running(f"s{i}", f"n{i:03}", 2, int(end) + apart_ms) for i, end in enumerate(ends)]
    profile = Profile(nodes, busy, NOW_MS)
    for each, begin in zip(nodes, begins, strict=True):
        profile.keep(each.id, int(begin), int(begin) + 5)

    def held(at_ms: int) -> int:
        """The CPUs that all nodes have, each all the time."""
        cpus = 2 * (ends <= at_ms) + 2 * (ends + apart_ms <= at_ms)
        return int(cpus[(begins + 5 <= at_ms) | (begins >= at_ms + lasts_ms)].sum())

    asked = job("j", cpus, lasts_ms, paradigm=paradigm, resources=Resources(cpus * 1000, 0))
    found = profile.reserve(asked, nodes)
    latest_ms = NOW_MS + after_ms + 4 * NEAR
    moments = range(NOW_MS + after_ms, latest_ms)
    assert found.at_ms == next(at_ms for at_ms in moments if held(at_ms) >= cpus)
    assert sum(share.resources.millicpus for share in found.shares) == cpus * 1000


def test_no_reservation_has_a_time_and_keeps_nothing():
    with pytest.raises(ValueError, match="keeps nothing"):
        Reservation(JobId("j"), NOW_MS)


def test_where_no_place_is_found_at_the_moment_that_was_told_nodes_are_cleared(monkeypatch):
    """The moment and the place are found in two ways, and may contradict each other."""
    monkeypatch.setattr(Timeline, "first_cut", lambda *_: (NOW_MS + 1, {}))
    nodes = [node("a", 2, free=0), node("b", 2, free=0)]
    busy = [running("r", "a", 2, 110), running("s", "b", 2, 120)]
    asked = job("j", 3, 10, paradigm=Paradigm.FILL_NODES)
    found = Profile(nodes, busy, NOW_MS).reserve(asked, nodes)
    assert (found.at_ms, found.cleared) == (None, (NodeId("a"), NodeId("b")))


changes = st.lists(
    st.tuples(st.integers(0, 5), st.none() | st.tuples(st.integers(0, 1), amounts, moments)),
    max_size=12,
)


@given(changes)
def test_what_is_kept_of_running_jobs_is_that_of_those_that_are_left(steps):
    kept: dict[JobId, RunningJob] = {}
    running_jobs = Running()
    nodes = [NodeId("n0"), NodeId("n1")]
    for number, change in steps:
        name = JobId(f"r{number}")
        if change is None:
            running_jobs.drop(name)
            kept.pop(name, None)
        else:
            where, part, ends_ms = change
            shares = (Share(nodes[where], part), Share(nodes[1 - where], part))
            kept[name] = RunningJob(name, Allocation(shares), ends_ms if number else None)
            running_jobs.put(kept[name])
        fresh = Running(kept.values())
        assert set(running_jobs.ids) == set(kept)
        for each in nodes:
            assert list(running_jobs.parts(each)) == list(fresh.parts(each))
            mine, other = running_jobs.returns(each), fresh.returns(each)
            assert mine.names == other.names
            assert mine.ends_ms.tolist() == other.ends_ms.tolist()
            assert mine.amounts.tolist() == other.amounts.tolist()
        assert list(running_jobs.ends(NOW_MS)) == list(fresh.ends(NOW_MS))


# --- plans ------------------------------------------------------------------------------------

windows = st.lists(
    st.builds(
        lambda begin, lasts: Window(begin, begin + lasts, "new disks"),
        st.integers(NOW_MS - 10, NOW_MS + 40),
        st.integers(1, 20),
    ),
    max_size=2,
).map(tuple)
labels = st.sampled_from([frozenset(), frozenset(), frozenset({("disk", "ssd")})])


def planned_on(
    now: Given, found: list[tuple[WaitingJob, int | None]], about: list, policy: Policy
) -> Snapshot:
    nodes = tuple(
        replace(each, windows=shut, labels=has)
        for each, (shut, has) in zip(now.nodes, about, strict=False)
    )
    waiting = [
        replace(each, id=JobId(f"j{i}"), tasks=tasks if not each.whole_node else None)
        for i, (each, tasks) in enumerate(found)
    ]
    return replace(seen(nodes, waiting, ()), running=now.running, policy=policy)


queues = st.lists(
    st.tuples(
        st.builds(lambda each, needs: replace(each, labels=needs), asks, labels),
        st.sampled_from([None, None, None, 3]),
    ),
    max_size=8,
)
snapshots = st.builds(
    planned_on,
    st.builds(made_of, st.lists(amounts, min_size=1, max_size=3), parts, st.just([]), st.just([])),
    queues,
    st.lists(st.tuples(windows, labels), min_size=3, max_size=3),
    policies,
)


def at_each_moment(now: Snapshot, made: Plan) -> None:
    """Let all that is planned hold its share as long as it may; nothing is over-booked ever."""
    asked = {each.id: each for each in waiting_in(now)}
    taken = [(p.job, NOW_MS, s) for p in made.placements for s in p.allocation.shares]
    taken += [(r.job, r.at_ms, s) for r in made.reservations for s in r.shares]
    moments = {NOW_MS} | {begin_ms for _, begin_ms, _ in taken}
    for each in now.nodes:
        for at_ms in moments | {w.from_ms for w in each.windows if w.from_ms >= NOW_MS}:
            room = each.free
            for held in now.running:
                if held.ends_ms is not None and max(held.ends_ms, NOW_MS + 1) <= at_ms:
                    room = sum(
                        (s.resources for s in held.allocation.shares if s.node == each.id), room
                    )
            there = False
            for name, begin_ms, share in taken:
                lasts_ms = longest_of(asked[name])
                if share.node == each.id and begin_ms <= at_ms < begin_ms + lasts_ms:
                    room -= share.resources
                    there = True
            assert not there or NOTHING.fits_in(room)
            assert not there or not any(w.from_ms <= at_ms < w.until_ms for w in each.windows)


@given(snapshots)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_what_starts_delays_no_reservation_and_runs_into_no_maintenance(now):
    made = plan(now, NOW_MS)
    at_each_moment(now, made)
    by_id = {each.id: each for each in now.nodes}
    for placement in made.placements:
        (asked,) = (each for each in waiting_in(now) if each.id == placement.job)
        for share in placement.allocation.shares:
            where = by_id[share.node]
            assert asked.labels <= where.labels
            assert not asked.whole_node or share.resources == where.capacity == where.free


@given(snapshots)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_what_is_decided_of_a_job_does_not_depend_on_those_behind_it(now):
    made = plan(now, NOW_MS)
    for end in range(len(now.lines)):
        ahead = plan(replace(now, lines=now.lines[:end]), NOW_MS)
        names = {line[0].id for line in now.lines[:end]}
        assert ahead.placements == tuple(p for p in made.placements if p.job in names)
        assert ahead.reservations == tuple(r for r in made.reservations if r.job in names)
        assert ahead.reasons == {id: why for id, why in made.reasons.items() if id in names}


@given(snapshots)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_a_conservative_plan_reserves_for_all_that_wait_for_room_and_can_be_told_when(now):
    made = plan(replace(now, policy=Policy.CONSERVATIVE), NOW_MS)
    reserved = {each.job: each for each in made.reservations}
    assert sum(each.at_ms is None for each in reserved.values()) <= 1
    for name, why in made.reasons.items():
        if why.reason in (Reason.NO_ROOM, Reason.BEHIND_RESERVATION) and why.at_ms is None:
            assert any(each.at_ms is None for each in reserved.values())
        elif why.reason not in (Reason.NO_BACKEND, Reason.TOO_LARGE):
            assert why.at_ms == reserved[name].at_ms
            assert why.nodes == reserved[name].nodes


@given(snapshots)
def test_a_plan_is_the_same_from_running_jobs_in_any_collection(now):
    assert plan(replace(now, running=tuple(now.running)), NOW_MS) == plan(now, NOW_MS)


def test_under_easy_a_second_blocked_job_may_be_delayed_and_under_conservative_not():
    """`second` could start at 110 on b; `late` has room there now, and would stay beyond that."""
    nodes = (node("a", 4, free=0), node("b", 4, free=2))
    busy = (running("r", "a", 4, 120), running("s", "b", 2, 110))
    jobs = (job("head", 4, 50, labels=frozenset({("disk", "ssd")})), job("second", 4, 50))
    nodes = (replace(nodes[0], labels=frozenset({("disk", "ssd")})), nodes[1])
    now = seen(nodes, (*jobs, job("late", 1, 50), job("early", 1, 10)), busy)
    assert started(plan(now, NOW_MS)) == ["late", "early"]
    made = plan(replace(now, policy=Policy.CONSERVATIVE), NOW_MS)
    assert started(made) == ["early"]
    assert made.why(JobId("second")).at_ms == 110
    # `late` starts when `second` ends on b, or beside it where there is room by then.
    assert made.why(JobId("late")).reason is Reason.BEHIND_RESERVATION
    assert made.why(JobId("late")).at_ms == 160


def test_jobs_that_ask_alike_get_reservations_one_after_the_other_up_to_a_number_of_them():
    line = [job(f"j{i:03}", 1, 10) for i in range(MOST_RESERVATIONS + 5)]
    line = [replace(each, rank=float(i)) for i, each in enumerate(line)]
    now = Snapshot((node("a", 1, free=0),), (line,), (running("r", "a", 1, 150),))
    made = plan(replace(now, policy=Policy.CONSERVATIVE), NOW_MS)
    assert [each.at_ms for each in made.reservations] == [
        150 + 10 * i for i in range(MOST_RESERVATIONS)
    ]


BIG = 1000  # nodes, all full


def full_nodes_and_jobs_for_half_of_them(ends: bool) -> Snapshot:
    nodes = tuple(node(f"n{i:04}", 4, free=0) for i in range(BIG))
    busy = [
        running(f"r{i}-{k}", f"n{i:04}", 1, NOW_MS + 1 + 37 * i * k % 1009 if ends else None)
        for i in range(BIG)
        for k in range(4)
    ]
    large = [
        job(f"j{i}", 2 * BIG + i, 1000, paradigm=Paradigm.ROUND_ROBIN)
        for i in range(MOST_RESERVATIONS)
    ]
    return replace(seen(nodes, large, ()), running=Running(busy), policy=Policy.CONSERVATIVE)


def test_a_plan_reserves_for_no_more_jobs_when_that_has_been_work_enough():
    """Each of these keeps a thousand shares; by number alone fifty would get a reservation."""
    now = full_nodes_and_jobs_for_half_of_them(ends=True)
    made = plan(now, NOW_MS)
    reserved = [each.job for each in made.reservations]
    assert reserved == [f"j{i}" for i in range(len(reserved))]
    assert 3 <= len(reserved) <= 6
    behind = {made.why(line[0].id).reason for line in now.lines[len(reserved) :]}
    assert behind == {Reason.NO_ROOM}


def test_searches_that_find_no_reservation_are_work_too(monkeypatch):
    """Nothing ends that is known of, so that one job clears nodes and no other gets anything."""
    now = full_nodes_and_jobs_for_half_of_them(ends=False)
    works, reserve = [], Profile.reserve
    monkeypatch.setattr(
        Profile, "reserve", lambda self, *rest: (works.append(self.work), reserve(self, *rest))[1]
    )
    lines = tuple(
        (replace(job, id=JobId(f"{job.id}-{i}"), rank=100.0 * i + job.rank),)
        for i in range(20)
        for (job,) in now.lines
    )
    assert len(plan(replace(now, lines=lines), NOW_MS).reservations) == 1
    assert len(works) < len(lines)
    assert works[-1] < MOST_WORK


@given(snapshots)
@settings(deadline=None)  # its time depends on the example, not only on the code
def test_however_little_work_a_plan_may_do_what_it_decides_it_decides_the_same(now):
    """The first blocked job keeps its reservation, and nobody delays that."""
    whole = plan(replace(now, policy=Policy.CONSERVATIVE), NOW_MS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace_scheduler.core.plan.MOST_WORK", 1)
        made = plan(replace(now, policy=Policy.CONSERVATIVE), NOW_MS)
    at_each_moment(now, made)
    assert made.reservations == whole.reservations[:1]


@pytest.mark.parametrize("policy", Policy)
def test_nothing_starts_that_may_run_into_a_maintenance(policy):
    shut = replace(node("a", 4), windows=(Window(150, 200, "new disks"),))
    jobs = (job("short", 1, 50), job("long", 1, 51), job("endless", 1))
    made = plan(replace(seen((shut,), jobs, ()), policy=policy), NOW_MS)
    assert started(made) == ["short"]
    assert made.why(JobId("long")).reason is Reason.MAINTENANCE
    assert made.why(JobId("long")).at_ms == 200
    assert started(plan(seen((shut,), jobs, ()), 199)) == []
    assert started(plan(seen((shut,), jobs, ()), 200)) == ["short", "long", "endless"]


def test_a_whole_node_is_an_empty_one_and_all_of_it_is_taken():
    nodes = (node("a", 4, free=3), node("b", 8))
    jobs = (job("all", 2, whole_node=True), job("small", 1), job("other", 1, whole_node=True))
    made = plan(seen(nodes, jobs, (running("r", "a", 1, 110),)), NOW_MS)
    assert {p.job: p.allocation.shares for p in made.placements} == {
        "all": (Share(NodeId("b"), nodes[1].capacity),),
        "small": (Share(NodeId("a"), Resources(1000, 1)),),
    }


def test_spread_takes_the_emptiest_node_and_else_the_tightest_is_taken():
    nodes = (node("a", 4, free=1), node("b", 4, free=3), node("c", 4, free=2))
    jobs = (job("tight", 1), job("spread", 1, spread=True), job("again", 1, spread=True))
    made = plan(seen(nodes, jobs, ()), NOW_MS)
    assert [p.allocation.shares[0].node for p in made.placements] == ["a", "b", "c"]


def test_what_asks_no_gpu_leaves_nodes_with_gpus_to_those_who_ask():
    one = (("gpus", 1),)
    with_gpu = Node(
        NodeId("a"), Resources(2000, 9, one), Resources(2000, 9, one), NodeState.UP,
        frozenset({"process"}),
    )  # fmt: skip
    jobs = (
        job("cpu", 1),
        job("gpu", 1, resources=Resources(1000, 1, one)),
        job("more", 8),
        job("much", 1, resources=Resources(1000, 1, (("gpus", 2),))),
        job("beside", 1),
    )
    made = plan(seen((with_gpu, node("b", 1)), jobs, ()), NOW_MS)
    where = {p.job: p.allocation.shares[0].node for p in made.placements}
    assert where == {"cpu": "b", "gpu": "a", "beside": "a"}
    assert made.why(JobId("much")).reason is Reason.TOO_LARGE


def test_all_that_changes_at_one_moment_counts_before_a_job_that_is_cut_is_told_to_start():
    """At 110 one CPU comes back on a, and from then on b is not free for as long as it runs."""
    nodes = (node("a", 1, free=0), node("b", 1))
    profile = Profile(nodes, (running("r", "a", 1, 110),), NOW_MS)
    profile.keep(NodeId("b"), 114, 120)
    wide = job("wide", 2, 5, paradigm=Paradigm.FILL_NODES)
    assert profile.reserve(wide, nodes).at_ms == 120
