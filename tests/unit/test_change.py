"""The smallest change that lets a waiting job start: what is named suffices, and less does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.bounds import Window
from headrace_model.fit import undivided
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.priority import rank_of
from headrace_model.quota import What
from headrace_model.resources import NOTHING, Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.causes import NODES, answer
from headrace_scheduler.core.change import Anew, Change, Part, Trials, changes
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.quota import Bound, Quotas
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob

GIB = 1 << 30
MIB = 1 << 20
T0 = 1_767_225_600_000
PROCESS = frozenset({"process"})
SLACK_MS = 120_000  # of a time limit that is advised: for who reads before submitting


def rank(priority: int, entered_ms: int = T0) -> float:
    return rank_of(entered_ms, priority)


ANEW = Anew(priority=50, highest=75, rank=rank)


def node(name: str, cpus: int, gib: float, used: tuple[int, float] = (0, 0), **other) -> Node:
    capacity = Resources(cpus * 1000, int(gib * GIB))
    free = capacity - Resources(used[0] * 1000, int(used[1] * GIB))
    return Node(NodeId(name), capacity, free, NodeState.UP, PROCESS, **other)


def job(name: str, cpus: int, gib: float, place: int = 0, **other) -> WaitingJob:
    base = WaitingJob(
        id=JobId(name),
        version=1,
        attempt=1,
        rank=rank(50, T0 - 1000 + place),
        resources=Resources(cpus * 1000, int(gib * GIB)),
        paradigm=Paradigm.SINGLE_NODE,
        backend="process",
        held=False,
        not_before_ms=None,
        time_limit_ms=None,
        queued_ms=T0 - 1000,
    )
    return replace(base, **other)


def busy(where: str, cpus: int, gib: float, ends_ms: int | None) -> RunningJob:
    share = Share(NodeId(where), Resources(cpus * 1000, int(gib * GIB)))
    return RunningJob(JobId(f"on-{where}"), Allocation((share,)), ends_ms)


def queue(nodes, others=(), running=()) -> Snapshot:
    lines = sorted(((each,) for each in others), key=lambda line: line[0].place)
    return Snapshot(tuple(nodes), tuple(lines), tuple(running))


def test_less_memory_is_named_with_its_node():
    now = queue([node("node1", 8, 16, (0, 8)), node("node2", 8, 16, (0, 4))])
    told = answer(now, job("me", 2, 16), ANEW, T0)
    assert told.change is not None
    assert told.change.sentence == ("With 4 GiB less memory (12GiB) it starts at once on node2.")
    assert told.change.set == {"resources.memory": "12GiB"}
    assert [each.cause for each in told.causes] == ["RESERVED", "MEMORY"]
    assert told.position == 1


def test_a_time_limit_that_ends_before_a_reservation_is_named():
    nodes = [node("a", 4, 16, (2, 0))]
    ahead = job("large", 4, 1)
    running = [busy("a", 2, 0, T0 + 3_600_000)]
    told = answer(queue(nodes, [ahead], running), job("me", 1, 1, place=1), ANEW, T0)
    assert told.change is not None
    assert told.change.set == {"limits.time": "58m"}
    assert [each.cause for each in told.causes] == ["BEHIND_RESERVATION", "TIME", "PRIORITY"]
    assert told.position == 2


def test_an_advised_time_limit_still_does_for_who_submits_a_minute_later():
    shut = replace(node("a", 2, 1), windows=(Window(T0 + 1_807_000, T0 + 9_000_000, "disks"),))
    told = answer(queue([shut]), job("me", 1, 1), ANEW, T0)
    assert told.change is not None
    assert told.change.set == {"limits.time": "28m"}
    later = T0 + 60_000
    anew = job("anew", 1, 1, rank=rank(50, later), time_limit_ms=28 * 60_000)
    assert plan(queue([shut], [anew]), later).allocation_of(anew.id)


def test_another_pool_takes_nothing_from_the_job_and_a_higher_priority_comes_last():
    nodes = [
        node("a", 4, 16, pools=frozenset({"small"})),
        node("b", 4, 16, pools=frozenset({"large"})),
    ]
    ahead = job("ahead", 4, 1, pool="small")
    told = answer(queue(nodes, [ahead]), job("me", 4, 1, place=1, pool="small"), ANEW, T0)
    assert [each.cause for each in told.causes][1:] == ["POOL", "PRIORITY"]
    assert told.change is not None
    assert told.change.set == {"resources.pool": "null"}


def test_cpus_and_memory_together_only_where_neither_suffices():
    now = queue([node("a", 8, 16, (6, 12))])
    (found,) = changes(now, job("me", 4, 8), ANEW, T0)
    assert (found.part, found.job.resources) == (Part.CPUS_AND_MEMORY, Resources(2000, 4 * GIB))


def test_a_job_that_is_cut_gives_up_cpus_with_their_memory():
    now = queue([node("a", 4, 8), node("b", 2, 4)])
    found = changes(now, job("me", 10, 20, paradigm=Paradigm.FILL_NODES), ANEW, T0)
    assert [(each.part, each.job.resources) for each in found] == [
        (Part.CPUS, Resources(6000, 12 * GIB))
    ]


def test_workers_that_work_together_may_go_to_several_nodes_where_these_let_them():
    both = frozenset({"container", "parallel"})
    nodes = [replace(node(name, 2, 16), backends=both) for name in ("a", "b")]
    me = job("me", 4, 4, backend="container")
    told = answer(queue(nodes), me, replace(ANEW, spread="parallel"), T0)
    assert told.change is not None
    assert (told.change.set, told.change.nodes) == (
        {"resources.paradigm": "FILL_NODES"}, ("a", "b")
    )  # fmt: skip
    alone = answer(queue(nodes), me, ANEW, T0)
    assert [each.cause for each in alone.causes] == ["TOO_LARGE", "CPUS"]


def test_a_node_that_takes_no_work_is_a_cause():
    away = replace(node("b", 8, 16), state=NodeState.DRAINED, free=NOTHING)
    told = answer(queue([node("a", 1, 1, (1, 1)), away]), job("me", 8, 16), ANEW, T0)
    assert told.change is None
    assert [each.cause for each in told.causes] == ["TOO_LARGE", NODES]
    assert "b (DRAINED)" in told.causes[-1].sentence


def test_a_held_job_is_told_whether_it_would_start():
    now = queue([node("a", 4, 4)])
    told = answer(now, job("me", 4, 4, held=True), ANEW, T0)
    assert told.change is not None
    assert told.change.sentence == "Released it starts at once on a."
    assert answer(now, job("me", 5, 4, held=True), ANEW, T0).change is None


@pytest.mark.parametrize("part", [{"held": True}, {"not_before_ms": T0 + 1}])
def test_who_may_not_start_yet_and_has_no_room_is_not_told_that_it_starts(part):
    assert answer(queue([]), job("me", 5, 4, **part), ANEW, T0).change is None


def test_a_job_that_starts_needs_no_change():
    told = answer(queue([node("a", 4, 4)]), job("me", 4, 4), ANEW, T0)
    assert (told.change, told.causes) == (None, ())
    assert told.starts == Allocation((Share(NodeId("a"), Resources(4000, 4 * GIB)),))


# ---- what is named suffices, and nothing smaller does

amounts = st.builds(
    Resources, st.integers(1, 60).map(lambda n: n * 100), st.integers(0, 40).map(lambda n: n * MIB)
)
pools = st.sampled_from(["p", "q", None])


@st.composite
def clusters(draw) -> tuple[Snapshot, WaitingJob]:
    nodes, running = [], []
    for number in range(draw(st.integers(1, 4))):
        capacity = draw(amounts)
        used = Resources(
            draw(st.integers(0, capacity.millicpus // 100)) * 100,
            draw(st.integers(0, capacity.memory_bytes // MIB)) * MIB,
        )
        name = NodeId(f"n{number}")
        state = draw(st.sampled_from([NodeState.UP, NodeState.UP, NodeState.DRAINED]))
        pool = draw(pools)
        nodes.append(
            Node(name, capacity, capacity - used, state, PROCESS, frozenset({pool} - {None}))
        )
        ends_ms = draw(st.none() | st.integers(1, 9000).map(lambda s: T0 + s * 1000))
        running.append(RunningJob(JobId(f"r{number}"), Allocation((Share(name, used),)), ends_ms))

    def waiting(name: str, place: int) -> WaitingJob:
        priority = draw(st.sampled_from([50, 50, 52, 60]))
        return replace(
            job(name, 1, 1, pool=draw(pools)),
            rank=rank(priority if name != "me" else 50, T0 - 1000 + place),
            resources=draw(amounts),
            paradigm=draw(st.sampled_from(Paradigm)),
            time_limit_ms=draw(st.none() | st.integers(1, 9000).map(lambda s: s * 1000)),
            tasks=draw(st.sampled_from([None, None, 3])),
        )

    others = [waiting(f"w{place}", place) for place in range(draw(st.integers(0, 6)))]
    return queue(nodes, others, running), waiting("me", draw(st.integers(0, 6)))


def starts(now: Snapshot, tried: WaitingJob) -> bool:
    """Whether the next plan of the whole queue starts the job."""
    lines = sorted((*now.lines, (tried,)), key=lambda line: line[0].place)
    made = plan(replace(now, lines=tuple(lines)), T0)
    return any(placement.job == tried.id for placement in made.placements)


def smaller(change: Change, asked: WaitingJob) -> list[WaitingJob]:
    """Changes of the same kind that are smaller by a step."""
    found, has, was = change.job, change.job.resources, asked.resources
    step = 1000 if was.millicpus > 1000 else 100 if was.millicpus > 100 else 1
    more_cpus = replace(has, millicpus=has.millicpus + step)
    more_memory = replace(
        has, memory_bytes=has.memory_bytes + (MIB if was.memory_bytes > MIB else 1)
    )
    match change.part:
        case Part.PRIORITY:
            less = change.priority - 1
            return [replace(found, rank=rank(less))] if less > 50 else []
        case Part.TIME:
            limit = change.job.time_limit_ms
            longest = limit + min(limit, SLACK_MS)
            longer = longest + (1000 if longest < 600_000 else 60_000)
            was_ms = asked.time_limit_ms
            return [replace(found, time_limit_ms=longer)] if not was_ms or longer < was_ms else []
        case Part.CPUS if not undivided(was, asked.cut):
            each = was.memory_bytes * 1000 // was.millicpus
            more = Resources(more_cpus.millicpus, each * more_cpus.millicpus // 1000)
            return [replace(found, resources=more)] if more.millicpus < was.millicpus else []
        case Part.CPUS:
            return (
                [replace(found, resources=more_cpus)]
                if more_cpus.millicpus < was.millicpus
                else []
            )
        case Part.MEMORY:
            fits = more_memory.memory_bytes < was.memory_bytes
            return [replace(found, resources=more_memory)] if fits else []
        case Part.CPUS_AND_MEMORY:
            return [
                replace(found, resources=more)
                for more in (more_cpus, more_memory)
                if more.millicpus < was.millicpus and more.memory_bytes < was.memory_bytes
            ]
        case _:
            return []


@given(clusters())
def test_a_trial_with_the_jobs_that_count_is_the_plan_of_all(drawn):
    now, asked = drawn
    trials = Trials(now, T0)
    for cpus in range(0, asked.resources.millicpus, 700):
        for limit_ms in (None, 60_000, 600_000):
            less = replace(asked.resources, millicpus=max(cpus, 1), memory_bytes=1)
            me = replace(asked, rank=rank(50), resources=less, time_limit_ms=limit_ms)
            assert bool(trials.start(me)) == starts(now, me)


@given(clusters())
def test_what_is_named_starts_the_job_in_the_next_plan_and_nothing_smaller_does(drawn):
    now, asked = drawn
    for change in changes(now, asked, ANEW, T0):
        assert starts(now, change.job), change
        if change.part is Part.TIME and (limit := change.job.time_limit_ms) > 1000:
            longer = limit + min(limit - 1000, SLACK_MS)
            assert starts(now, replace(change.job, time_limit_ms=longer)), change
        assert all(not starts(now, less) for less in smaller(change, asked)), change


@given(clusters())
def test_where_nothing_is_named_no_single_change_starts_the_job(drawn):
    now, asked = drawn
    anew = replace(asked, rank=rank(50))
    if changes(now, asked, ANEW, T0) or starts(now, anew):
        return
    tries: list[Callable[[WaitingJob], WaitingJob]] = [
        lambda it: replace(it, rank=rank(75)),
        lambda it: replace(it, time_limit_ms=1000),
        lambda it: replace(it, pool=None),
        lambda it: replace(it, pool="p"),
        lambda it: replace(it, resources=replace(it.resources, memory_bytes=1)),
    ]
    for made in tries:
        assert not starts(now, made(anew))


@given(clusters())
def test_the_first_cause_is_the_reason_of_the_plan(drawn):
    now, asked = drawn
    told = answer(now, asked, ANEW, T0)
    lines = sorted((*now.lines, (asked,)), key=lambda line: line[0].place)
    made = plan(replace(now, lines=tuple(lines)), T0)
    if told.starts:
        assert starts(now, asked)
    else:
        assert told.causes[0].cause == made.why(asked.id).reason
        assert told.causes[0].sentence == told.explanation.sentence


def test_a_maintenance_in_the_way_is_blamed_and_not_the_neighbour_who_waits_for_it_too():
    """Both have room but for the window; who is ahead of me has what room there is after it."""
    shut = replace(node("a", 4, 4), windows=(Window(T0 + 1_000, T0 + 9_000, "new disks"),))
    first, me = (
        job(name, 2, 2, place, time_limit_ms=5_000) for place, name in enumerate(("first", "me"))
    )
    told = answer(queue([shut], [first]), me, ANEW, T0)
    assert told.causes[0].cause == "MAINTENANCE"
    assert "new disks" in told.explanation.sentence
    assert "BEHIND_RESERVATION" not in [each.cause for each in told.causes]
    assert "so short that it ends before" in told.explanation.next_step
    alone = answer(queue([replace(shut, windows=())], [first]), me, ANEW, T0)
    assert alone.starts is not None


def test_who_has_no_time_limit_hears_of_the_maintenance_and_not_of_who_waits_for_it_too():
    shut = replace(
        node("local", 2, 1), windows=(Window(T0 + 900_000, T0 + 9_000_000, "new disks"),)
    )
    first = job("longw", 1, 0.25, time_limit_ms=1_800_000)
    me = job("me", 1, 0.25, 1)
    told = answer(queue([shut], [first]), me, ANEW, T0)
    assert [each.cause for each in told.causes] == ["MAINTENANCE", "TIME"]
    assert "new disks" in told.explanation.sentence
    assert "in its way" not in told.explanation.sentence
    assert "that job" not in told.explanation.next_step


def test_a_reservation_behind_the_deadline_is_told():
    full = queue([node("a", 4, 4, (4, 4))], running=[busy("a", 4, 4, T0 + 60_000)])
    me = job("me", 4, 4, time_limit_ms=30_000, deadline_ms=T0 + 80_000)
    told = answer(full, me, ANEW, T0)
    assert [each.cause for each in told.causes][:2] == ["RESERVED", "DEADLINE"]
    assert "must start by 2026-01-01T00:00:50Z" in told.causes[1].sentence
    later = answer(full, replace(me, deadline_ms=T0 + 90_000), ANEW, T0)
    assert "DEADLINE" not in [each.cause for each in later.causes]


@pytest.mark.parametrize("part", [{"held": True}, {"not_before_ms": T0 + 1}])
def test_who_is_not_in_the_queue_has_no_place(part):
    assert answer(queue([]), job("me", 1, 1, **part), ANEW, T0).position is None


def test_what_only_another_ask_or_other_nodes_would_start_is_told_to_start_never():
    here = node("a", 4, 4)
    bound = Bound("user:ann", What.CPUS, 2_000, owners=frozenset({"ann"}))
    small = replace(queue([here]), quotas=Quotas((bound,)))
    assert answer(small, job("me", 3, 1, owner="ann"), ANEW, T0).never
    assert "It never starts" in (
        answer(small, job("me", 3, 1, owner="ann"), ANEW, T0).explanation.sentence
    )
    used = replace(queue([here]), quotas=Quotas((replace(bound, used=1_000),)))
    assert not answer(used, job("me", 2, 1, owner="ann"), ANEW, T0).never
    assert answer(queue([here]), job("me", 5, 1), ANEW, T0).never
    back = replace(node("b", 8, 16), state=NodeState.LOST, free=NOTHING)
    assert not answer(queue([here, back]), job("me", 5, 1), ANEW, T0).never
    labelled = job("me", 1, 1, labels=frozenset({("disk", "fast")}))
    assert answer(queue([here]), labelled, ANEW, T0).never


def test_a_whole_node_is_asked_for_in_words_that_do_not_contradict_what_is_free():
    half = node("a", 4, 4, (2, 2))
    now = queue([half], running=[busy("a", 2, 2, T0 + 60_000)])
    sentence = answer(now, job("me", 1, 1, whole_node=True), ANEW, T0).explanation.sentence
    assert "nobody else on its nodes" in sentence
    assert "none of the nodes that it may use are empty" in sentence
    assert "the nearest that one node has" not in sentence
