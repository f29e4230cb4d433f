"""The queue in lines: the plan is that of a walk over every job, and only some are looked at."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_model.ids import JobId
from headrace_model.quota import What
from headrace_model.resources import Paradigm, Resources
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.quota import Bound, Quotas
from headrace_scheduler.core.snapshot import Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from tests.unit.test_plan import PROCESS, job, loaded, loads, node, running, seen, waiting_in

NOW_MS = 100
# Few asks that differ in one thing or another, so that there are lines, and several.
few_asks = st.builds(
    lambda cpus, paradigm, limit, backend: {
        "resources": Resources(cpus * 1000, 1),
        "paradigm": paradigm,
        "time_limit_ms": limit,
        "backend": backend,
    },
    st.sampled_from([1, 3]),
    st.sampled_from([Paradigm.SINGLE_NODE, Paradigm.FILL_NODES]),
    st.sampled_from([None, 5, 25]),
    st.sampled_from(["process", "docker"]),
)
often_none = st.sampled_from([None, None, None, 1, 3])
queued = st.lists(
    st.tuples(
        few_asks,
        st.sampled_from([False, False, False, True]),
        st.sampled_from([None, None, None, NOW_MS, NOW_MS + 1]),
        often_none,
        st.sampled_from(["ann", "ann", "bob", "cyd"]),
        st.sampled_from([None, None, None, NOW_MS + 4, NOW_MS + 5]),
    ),
    min_size=2,
    max_size=14,
)
some_nodes = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from([PROCESS, frozenset({"docker"}), frozenset({"process", "docker"})]),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda found: tuple(
        replace(node(f"n{i}", cpus), backends=backends) for i, (cpus, backends) in enumerate(found)
    )
)


def made_of(specs: list) -> tuple[WaitingJob, ...]:
    return tuple(
        job(
            f"j{i:02}", 1, **ask, held=held, not_before_ms=later, tasks=tasks, owner=owner,
            deadline_ms=deadline,
        )
        for i, (ask, held, later, tasks, owner, deadline) in enumerate(specs)
    )  # fmt: skip


some_shifts = st.dictionaries(st.sampled_from(["ann", "bob"]), st.integers(0, 9))
some_quotas = st.lists(
    st.builds(
        Bound,
        st.just("group:some"),
        st.sampled_from(list(What)),
        st.integers(0, 6_000),
        st.integers(0, 100),
        st.frozensets(st.sampled_from(["ann", "bob", "cyd"])),
    ).map(lambda bound: replace(bound, limit=3) if bound.what is What.JOBS else bound),
    max_size=2,
).map(lambda bounds: Quotas(tuple(bounds)))


def in_lines(jobs: list[WaitingJob], shifts: Mapping[str, int] | None = None) -> Waiting:
    waiting = Waiting()
    waiting.shift(shifts or {})
    for each in jobs:
        waiting.put(each)
    return waiting


@settings(max_examples=100, deadline=None)
@given(
    some_nodes, loads, queued, st.randoms(), st.integers(0, 14), st.integers(0, 25), some_shifts,
    some_quotas,
)  # fmt: skip
def test_lines_give_the_plan_of_a_walk_over_every_job(
    nodes, load, specs, rng, limit, known, shifts, quotas
):
    every = loaded(nodes, load, made_of(specs))
    jobs = list(waiting_in(every))
    # What is not known yet, behind `until`, may well be there and must not be planned.
    until = (float(known), JobId("j99"))
    placed = sorted(jobs, key=lambda each: each.place_in(shifts))
    front = [each for each in placed if each.place_in(shifts) <= until]
    walked = plan(
        replace(seen(every.nodes, front, every.running), quotas=quotas),
        NOW_MS,
        limit,
    )
    rng.shuffle(jobs)
    waiting = in_lines(jobs, rng.choice([shifts, {"bob": 3}]))
    waiting.shift(shifts)
    lines = waiting.lines(NOW_MS)
    found = plan(
        Snapshot(every.nodes, lines, every.running, until, shifts=shifts, quotas=quotas),
        NOW_MS,
        limit,
    )
    assert found.placements == walked.placements
    late = {each.id for each in jobs if (each.latest_start_ms or NOW_MS) < NOW_MS}
    assert late.isdisjoint(each.job for each in found.placements)
    assert set(waiting.overdue(NOW_MS)) == late


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),  # which job
            st.sampled_from(["put", "put", "drop", "lines"]),
            st.integers(1, 2),  # what it asks
            st.booleans(),
            st.none() | st.integers(1, 4),
        ),
        max_size=30,
    )
)
def test_after_any_changes_the_lines_hold_each_job_that_may_start(changes):
    waiting, known, now_ms = Waiting(), {}, 0
    for number, what, cpus, held, later in changes:
        name = JobId(f"j{number}")
        match what:
            case "put":
                made = job(name, cpus, held=held, not_before_ms=later, rank=float(cpus))
                waiting.put(made)
                known[name] = made
            case "drop":
                waiting.drop(name)
                known.pop(name, None)
            case _:
                now_ms += cpus
                lines = waiting.lines(now_ms)
                may = [
                    j for j in known.values() if not j.held and (j.not_before_ms or 0) <= now_ms
                ]
                assert sorted(j.id for line in lines for j in line) == sorted(j.id for j in may)
                assert [line[0].place for line in lines] == sorted(line[0].place for line in lines)
                for line in lines:
                    assert len({j.alike for j in line}) == 1
                    assert [j.place for j in line] == sorted(j.place for j in line)
                later_ms = [
                    j.not_before_ms
                    for j in known.values()
                    if not j.held and (j.not_before_ms or 0) > now_ms
                ]
                assert waiting.next_start_ms() == min(later_ms, default=None)
        assert set(waiting) == set(known)
        assert waiting.held == {j.id for j in known.values() if j.held}


ONE = job("one", 3, 5, paradigm=Paradigm.FILL_NODES)
HALF_FREE = (node("a", 4, free=2), node("b", 4, free=2))
ENDS_LATER = (running("r", "a", 2, 110), running("s", "b", 2, None))


@pytest.mark.parametrize(
    ("before", "blocked"),
    [
        ((), replace(ONE, resources=Resources(5000, 1))),
        ((), replace(ONE, paradigm=Paradigm.SINGLE_NODE)),
        ((), replace(ONE, tasks=1)),
        ((), replace(ONE, backend="docker")),
        ((job("head", 4),), replace(ONE, time_limit_ms=None)),
    ],
)
def test_a_job_starts_though_one_that_asks_otherwise_in_one_thing_can_not(before, blocked):
    jobs = [*before, replace(blocked, id=JobId("blocked")), ONE]
    ranked = [replace(each, rank=float(i)) for i, each in enumerate(jobs)]
    lines = in_lines(ranked).lines(NOW_MS)
    made = plan(Snapshot(HALF_FREE, lines, ENDS_LATER), NOW_MS)
    assert [each.job for each in made.placements] == ["one"]


def test_a_full_cluster_looks_at_one_job_of_each_line():
    waiting = in_lines(
        [job(f"j{i:04}", 1 + i % 2, rank=float(i)) for i in range(1000)]
        + [job(f"k{i:04}", 9, rank=float(i)) for i in range(1000)]
    )
    made = plan(Snapshot((node("a", 4, free=0),), waiting.lines(0), ()), 0)
    assert sorted(made.reasons) == ["j0000", "j0001", "k0000"]


def test_a_plan_ends_where_the_queue_is_not_known_any_more():
    jobs = [job(name, 1, rank=float(i)) for i, name in enumerate("abc")]
    now = Snapshot((node("n", 4),), in_lines(jobs).lines(0), (), until=jobs[1].place)
    assert [each.job for each in plan(now, 0).placements] == ["a", "b"]
    assert [each.job for each in plan(replace(now, until=(-1.0, JobId(""))), 0).placements] == []
