"""When jobs will start: the queue played forward, with the range that holds the real start."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.estimate import Estimate
from headrace_model.ids import JobId, NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_scheduler.core import forecast as forecasts
from headrace_scheduler.core.forecast import Start, duration_ms, forecast
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import NEW, Node, RunningJob, Snapshot, WaitingJob
from headrace_scheduler.forecasts import Forecast

T0 = 1_767_225_600_000
HOUR = 3_600_000
PROCESS = frozenset({"process"})


def known(run_ms: int) -> Estimate:
    """An estimate that is certain."""
    return Estimate(run_ms, run_ms, run_ms, 20, "20 runs")


def node(name: str, cpus: int, free: int | None = None) -> Node:
    capacity = Resources(cpus * 1000, 1000)
    left = capacity if free is None else Resources(free * 1000, 1000)
    return Node(NodeId(name), capacity, left, NodeState.UP, PROCESS)


def job(name: str, cpus: int = 1, rank: float = 0.0, **other) -> WaitingJob:
    base = WaitingJob(
        id=JobId(name),
        version=1,
        attempt=1,
        rank=rank,
        resources=Resources(cpus * 1000, 1),
        paradigm=Paradigm.SINGLE_NODE,
        backend="process",
        held=False,
        not_before_ms=None,
        time_limit_ms=None,
        queued_ms=T0,
    )
    return replace(base, **other)


def running(name: str, where: str, cpus: int, **other) -> RunningJob:
    share = Share(NodeId(where), Resources(cpus * 1000, 1))
    base = RunningJob(JobId(name), Allocation((share,)), ends_ms=None, since_ms=T0)
    return replace(base, **other)


def queue(
    nodes: Iterable[Node], waiting: Iterable[WaitingJob], busy: Iterable[RunningJob] = ()
) -> Snapshot:
    lines = sorted(((each,) for each in waiting), key=lambda line: line[0].place)
    return Snapshot(tuple(nodes), tuple(lines), tuple(busy))


def test_what_fits_now_starts_now():
    made = forecast(queue([node("a", 2)], [job("w")]), T0)
    assert made == {"w": Start(T0, T0, T0)}


def test_what_waits_for_a_job_starts_when_that_ends_and_the_next_one_after_it():
    busy = running("r", "a", 1, estimate=known(HOUR), ends_ms=T0 + HOUR)
    waiting = [
        job(name, rank=rank, estimate=known(HOUR), time_limit_ms=HOUR)
        for rank, name in enumerate(("w1", "w2"), 1)
    ]
    made = forecast(queue([node("a", 1, free=0)], waiting, [busy]), T0)
    assert {id: (each.low_ms, each.high_ms) for id, each in made.items()} == {
        "w1": (T0 + HOUR, T0 + HOUR),
        "w2": (T0 + 2 * HOUR, T0 + 2 * HOUR),
    }


def test_a_time_limit_bounds_the_range_and_a_job_that_runs_for_long_is_expected_later():
    def start(**other: object) -> Start:
        busy = running("r", "a", 1, **other)
        return forecast(queue([node("a", 1, free=0)], [job("w")], [busy]), T0)[JobId("w")]

    made = start(ends_ms=T0 + HOUR)
    assert T0 < made.low_ms < made.at_ms < made.high_ms <= T0 + HOUR
    young, old = start(since_ms=T0 - HOUR), start(since_ms=T0 - 100 * HOUR)
    assert young.at_ms - T0 < HOUR * 3 < 50 * HOUR < old.at_ms - T0


def test_a_job_that_starts_later_is_foreseen_from_then_on_and_a_held_one_is_not():
    waiting = [job("later", not_before_ms=T0 + HOUR), job("held", held=True)]
    made = forecast(queue([node("a", 1)], waiting), T0)
    assert made == {"later": Start(T0 + HOUR, T0 + HOUR, T0 + HOUR)}


def test_what_fits_nowhere_is_not_foreseen_and_keeps_nobody_back():
    waiting = [job("large", cpus=9), job("slurm", backend="slurm"), job("w", rank=1.0)]
    assert forecast(queue([node("a", 1)], waiting), T0).keys() == {"w"}


def test_an_array_fills_its_slots_as_often_as_it_has_tasks():
    for limit, hours in ((10 * HOUR, 3), (2 * HOUR, 2)):  # the limit is one of all tasks together
        array = job("array", tasks=6, estimate=known(HOUR), time_limit_ms=limit)
        made = forecast(queue([node("a", 2)], [array, job("w", rank=1.0)]), T0)
        assert made[JobId("w")].at_ms == T0 + hours * HOUR


@pytest.mark.parametrize("passed_ms", [0, 30_000, 80_000, 100_000])
def test_an_estimate_is_drawn_from_by_its_quantiles_and_the_older_the_longer(passed_ms: int):
    estimate = Estimate(20_000, 50_000, 90_000, 20, "20 runs")
    times = [duration_ms(estimate, 200_000, passed_ms, (n + 0.5) / 1000) for n in range(1000)]
    assert times == sorted(times)
    assert passed_ms < times[0]
    assert times[-1] <= (110_000 if passed_ms < 100_000 else 200_000)
    if not passed_ms:
        assert [sum(t <= q for t in times) for q in (20_000, 50_000, 90_000)] == [100, 500, 900]


@given(
    st.none() | st.lists(st.integers(1, 10**7), min_size=3, max_size=3).map(
        lambda times: Estimate(*sorted(times), 9, "")
    ),
    st.none() | st.integers(1, 10**7),
    st.integers(0, 10**7),
    st.floats(0, 1),
)  # fmt: skip
def test_a_job_runs_longer_than_it_has_and_not_past_its_limit(estimate, limit, passed, chance):
    run_ms = duration_ms(estimate, limit, passed, chance)
    assert passed < run_ms
    assert limit is None or run_ms <= max(limit, passed + 1)


@st.composite
def queues(draw) -> Snapshot:
    nodes, busy = [], []
    for number in range(draw(st.integers(0, 3))):
        cpus = draw(st.integers(1, 4))
        used = draw(st.integers(0, cpus))
        nodes.append(node(f"n{number}", cpus, cpus - used))
        ends_ms = draw(st.none() | st.integers(-5, 900).map(lambda s: T0 + s * 1000))
        if used:
            busy.append(running(f"r{number}", f"n{number}", used, ends_ms=ends_ms))
    waiting = [
        job(
            f"w{number}",
            draw(st.integers(1, 5)),
            float(number),
            held=draw(st.sampled_from([False, False, True])),
            not_before_ms=draw(st.sampled_from([None, None, T0 + 5_000])),
            time_limit_ms=draw(st.none() | st.integers(1, 900).map(lambda s: s * 1000)),
            estimate=draw(st.none() | st.integers(1, 900).map(lambda s: known(s * 1000))),
            tasks=draw(st.sampled_from([None, None, 3])),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    return queue(nodes, waiting, busy)


@given(queues())
def test_every_job_that_the_nodes_could_hold_is_foreseen_and_each_range_holds_its_middle(now):
    made = forecast(now, T0)
    largest = max((each.capacity.millicpus for each in now.nodes), default=0)
    able = {
        each.id for (each,) in now.lines if not each.held and each.resources.millicpus <= largest
    }
    assert made.keys() == able
    assert all(T0 <= s.low_ms <= s.at_ms <= s.high_ms for s in made.values())
    started = {each.job for each in plan(now, T0).placements}
    assert {id for id, each in made.items() if each.high_ms == T0} >= started
    assert forecast(now, T0) == made


def played(
    nodes: list[Node], jobs: list[WaitingJob], run_ms: Callable[[WaitingJob], int]
) -> dict[JobId, int]:
    """When the jobs really start, on nodes that are empty at T0."""
    now_ms, waiting, starts = T0, dict.fromkeys(jobs), {}
    free = {each.id: each for each in nodes}
    busy: dict[JobId, RunningJob] = {}
    ends: list[tuple[int, JobId]] = []
    while waiting:
        made = plan(queue(free.values(), waiting, busy.values()), now_ms, limit=10_000)
        by_id = {each.id: each for each in waiting}
        for placement in made.placements:
            one = by_id[placement.job]
            del waiting[one]
            starts[one.id] = now_ms
            limit_ms = one.time_limit_ms
            ends_ms = None if limit_ms is None else now_ms + limit_ms
            busy[one.id] = RunningJob(one.id, placement.allocation, ends_ms, now_ms)
            heappush(ends, (now_ms + run_ms(one), one.id))
            (share,) = placement.allocation.shares
            at = free[share.node]
            free[share.node] = replace(at, free=at.free - share.resources)
        if waiting:
            now_ms, ended = heappop(ends)
            (share,) = busy.pop(ended).allocation.shares
            at = free[share.node]
            free[share.node] = replace(at, free=at.free + share.resources)
    return starts


@pytest.mark.parametrize("learned", [True, False])
def test_the_range_holds_the_real_start_of_three_jobs_in_four(learned: bool) -> None:
    rng = Random(6)  # noqa: S311 - a seeded test
    inside = total = 0
    for _ in range(10):
        nodes = [node(f"n{number}", 8) for number in range(2)]
        jobs = []
        for number in range(30):
            scale = rng.choice([60_000, 600_000, HOUR])
            estimate = (
                Estimate(scale // 10, scale // 2, scale * 9 // 10, 20, "") if learned else None
            )
            jobs.append(
                job(
                    f"w{number:02}",
                    rng.choice([1, 2, 4, 8]),
                    float(number),
                    time_limit_ms=scale,
                    estimate=estimate,
                )
            )
        real = played(nodes, jobs, lambda each: max(int(rng.random() * each.time_limit_ms), 1))
        made = forecast(queue(nodes, jobs), T0)
        for id, at_ms in real.items():
            if at_ms > T0:
                total += 1
                inside += made[id].low_ms <= at_ms <= made[id].high_ms
    assert inside / total >= 0.75, f"{inside} of {total}"


def test_ends_that_are_taken_together_and_a_draw_that_is_cut_short_change_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = Random(6)  # noqa: S311 - a seeded test
    nodes = [node(f"n{number}", 8) for number in range(4)]
    jobs = [
        job(
            f"w{number:03}",
            rng.choice([1, 2, 4]),
            float(number),
            time_limit_ms=rng.choice([600_000, HOUR]),
        )
        for number in range(200)
    ]
    now = queue(nodes, jobs)
    rough = forecast(now, T0, draws=3)
    monkeypatch.setattr(forecasts, "_NEAR", 0.0)
    monkeypatch.setattr(forecasts, "_MOST_PLANS", 10_000)
    exact = forecast(now, T0, draws=3)
    monkeypatch.setattr(forecasts, "_MOST_STARTS", 100)
    short = forecast(now, T0, draws=3)
    assert rough.keys() == exact.keys() == short.keys()

    def off(made: Mapping[JobId, Start]) -> float:
        """The mean difference, as a part of the mean time until the start."""
        far_ms = sum(each.at_ms - T0 for each in exact.values())
        return sum(abs(made[id].at_ms - each.at_ms) for id, each in exact.items()) / far_ms

    assert off(rough) < 0.15
    assert off(short) < 0.2
    last_ms = max(each.at_ms for each in exact.values()) - T0
    assert abs(max(each.at_ms for each in rough.values()) - T0 - last_ms) < 0.1 * last_ms


def test_why_a_job_never_starts_names_no_command_for_one_that_is_not_submitted():
    never = Forecast(T0, {}, [], {}, {}, {}, None, "run times: none needed")
    assert never.of(job(NEW)).basis == "as things are nothing lets it start"
    waiting = "as things are nothing lets it start (`headrace jobs why j1`)"
    assert never.of(job("j1")).basis == waiting
