"""The simulation: its events, its figures, and that a wrong ledger or planner shows in them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_local.simulate.engine import Ran, Run, Setting, Simulation
from headrace_local.simulate.figures import Figures, figures_of, overbooked, slowdown, spread
from headrace_local.simulate.learned import Learned
from headrace_local.simulate.ledger import Ledger, NoRoom
from headrace_local.simulate.lublin import Asked, generate
from headrace_local.simulate.pool import said_nodes
from headrace_local.simulate.trace import TraceJob
from headrace_model.bounds import Policy
from headrace_model.ids import NodeId
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_scheduler.core.plan import Placement, Plan, plan
from headrace_scheduler.core.snapshot import Snapshot, WaitingJob

GIB = 2**30
N1, N2 = NodeId("node1"), NodeId("node2")


def _job(
    number: int, submit_s: int, run_s: int, cpus: int, limit_s: int | None = None
) -> TraceJob:
    limit_ms = None if limit_s is None else limit_s * 1000
    return TraceJob(number, submit_s * 1000, run_s * 1000, cpus, limit_ms, user=f"u{number % 2}")


def _run(
    jobs: Sequence[TraceJob], *nodes: str, policy: Policy = Policy.EASY, **more: object
) -> Run:
    setting = Setting(said_nodes(nodes), policy)
    return Simulation(jobs, setting, time.process_time, **more).run()  # type: ignore[arg-type]


def _starts(run: Run) -> dict[int, int]:
    return {each.job.number: each.start_ms // 1000 for each in run.ran}


def test_what_ends_at_a_moment_makes_room_for_what_comes_then() -> None:
    run = _run([_job(1, 0, 10, 2), _job(2, 10, 5, 2)], "2")
    assert _starts(run) == {1: 0, 2: 10}


def test_a_short_job_passes_a_blocked_one_where_that_does_not_delay_it() -> None:
    jobs = [_job(1, 0, 100, 1, 100), _job(2, 1, 50, 2, 50), _job(3, 2, 10, 1, 98)]
    run = _run(jobs, "2")
    assert _starts(run) == {1: 0, 2: 100, 3: 2}
    assert [each.promised_ms for each in run.ran if each.job.number == 2] == [100_000]


def test_a_job_ends_at_its_time_limit() -> None:
    run = _run([_job(1, 0, 100, 1, 30)], "1")
    assert run.ran[0].end_ms == 30_000
    assert figures_of(run, said_nodes(["1"])).timed_out == 1


def test_a_job_that_no_node_could_hold_is_told_and_keeps_nobody_waiting() -> None:
    jobs = [_job(1, 0, 10, 3), _job(2, 0, 10, 1), _job(3, 1, 10, 3)]
    run = _run(jobs, "2")
    assert (_starts(run), [job.number for job in run.too_large]) == ({2: 0}, [1, 3])
    assert run.stranded == 0


def test_memory_that_a_trace_does_not_tell_is_what_was_said() -> None:
    jobs = [_job(1, 0, 10, 1), replace(_job(2, 0, 10, 1), memory_bytes=GIB)]
    setting = Setting(said_nodes(["2,3GiB"]), memory_bytes=2 * GIB)
    run = Simulation(jobs, setting, time.process_time).run()
    told = {each.job.number: each.allocation.total.memory_bytes for each in run.ran}
    assert told == {1: 2 * GIB, 2: GIB}


def test_who_looks_on_sees_each_job_once_with_the_snapshot_of_its_arrival() -> None:
    seen: list[tuple[int, list[str], int]] = []

    def watch(snapshot: Snapshot, now_ms: int, came: Sequence[WaitingJob]) -> None:
        seen.append((now_ms, [job.id for job in came], len(snapshot.running)))

    _run([_job(1, 0, 10, 1), _job(2, 4, 10, 1), _job(3, 4, 10, 1)], "1", watch=watch)
    assert seen[:2] == [(0, ["j000000000"], 0), (4000, ["j000000001", "j000000002"], 1)]


@st.composite
def _traces(draw: st.DrawFn) -> tuple[list[TraceJob], list[str]]:
    count = draw(st.integers(1, 12))
    jobs = []
    for number in range(count):
        run_s = draw(st.integers(0, 20))
        limit_s = draw(st.none() | st.integers(1, 20))
        job = _job(number, draw(st.integers(0, 15)), run_s, draw(st.integers(1, 6)), limit_s)
        jobs.append(replace(job, memory_bytes=draw(st.integers(0, 3)) * GIB))
    nodes = draw(st.lists(st.sampled_from(["1,1GiB", "2,4GiB", "4,3GiB"]), min_size=1, max_size=3))
    return sorted(jobs, key=lambda job: job.submit_ms), nodes


@settings(max_examples=100)
@given(_traces(), st.sampled_from(Paradigm), st.sampled_from(Policy))
def test_each_job_runs_once_in_time_and_on_no_more_than_there_is(
    made: tuple[list[TraceJob], list[str]], paradigm: Paradigm, policy: Policy
) -> None:
    jobs, texts = made
    nodes = said_nodes(texts)
    run = Simulation(jobs, Setting(nodes, policy, paradigm), time.process_time).run()
    assert (run.refused, run.stranded, overbooked(run.ran, nodes)) == (0, 0, 0)
    done = [each.job for each in run.ran] + list(run.too_large)
    assert sorted(job.number for job in done) == sorted(job.number for job in jobs)
    for each in run.ran:
        assert each.start_ms >= each.job.submit_ms
        assert each.end_ms - each.start_ms == each.job.held_ms
        assert each.allocation.total.millicpus == each.job.cpus * 1000


class _Forgets(Learned):
    """Nothing is learned of earlier runs: time limits alone count."""

    def note(self, job: TraceJob) -> None:
        pass


@given(_traces(), st.sampled_from([Policy.FIFO, Policy.EASY]))
def test_the_first_blocked_job_starts_by_its_reservation_where_each_has_a_time_limit(
    made: tuple[list[TraceJob], list[str]], policy: Policy
) -> None:
    """Of one user: whose share moves, changes the order, and with it who is the first. Nothing is
    learned: an estimate may be too low, and moves reservations."""
    jobs, texts = made
    limited = [replace(job, limit_ms=job.limit_ms or 20_000, user="u1") for job in jobs]
    run = _run(limited, *texts, policy=policy, learned=_Forgets)
    assert [each for each in run.ran if each.start_ms > (each.promised_ms or each.start_ms)] == []


# Planted faults: what must show in the figures.


def _figures(**more: object) -> Figures:
    trace = generate(Asked(150, 32, 1.1, users=1), Random(1), "made")  # noqa: S311 - the same jobs
    return figures_of(_run(trace.jobs, "4x8", learned=_Forgets, **more), said_nodes(["4x8"]))


def test_the_real_ledger_and_planner_overbook_nothing_and_keep_reservations() -> None:
    found = _figures()
    assert (found.overbooked, found.late, found.stranded) == (0, 0, 0)
    assert found.reserved > 10


# What the policies are for: docs/scheduling.md has the figures of more jobs.


@pytest.mark.parametrize("seed", [1, 2])
def test_who_lets_jobs_pass_beats_fifo_in_mean_slowdown(seed: int) -> None:
    trace = generate(Asked(150, 32, 0.6), Random(seed), "made")  # noqa: S311 - the same jobs
    nodes = said_nodes(["4x8"])
    runs = {each: figures_of(_run(trace.jobs, "4x8", policy=each), nodes) for each in Policy}
    assert [(each.overbooked, each.stranded, each.jobs) for each in runs.values()] == [
        (0, 0, 150)
    ] * 3
    fifo = runs[Policy.FIFO].slowdown.mean
    assert runs[Policy.EASY].slowdown.mean < fifo / 2
    assert runs[Policy.CONSERVATIVE].slowdown.mean < fifo / 2


def test_the_p90_of_run_times_covers_85_to_95_percent_of_jobs_that_come_later() -> None:
    """Each is estimated before it has run, from those before it: half of the jobs, then more."""
    inside = told = 0
    for seed in (1, 2):
        trace = generate(Asked(3_000, 64), Random(seed), "made")  # noqa: S311 - the same jobs
        learned = Learned()
        for at, job in enumerate(trace.jobs):
            estimate = learned.estimate(job)
            if estimate and at >= len(trace.jobs) // 2:
                told += 1
                inside += job.run_ms <= estimate.p90_ms
            learned.note(job)
    assert told > 1_000
    assert 0.85 <= inside / told <= 0.95


def test_a_user_who_has_used_much_lets_others_go_first() -> None:
    """Ann's three jobs came first, and hers that ran until now counts against the next."""
    ann = [_job(1, 0, 3600, 1, 3600), _job(3, 1, 3600, 1, 3600), _job(5, 2, 3600, 1, 3600)]
    bob = _job(2, 60, 3600, 1, 3600)
    run = _run([*ann, bob], "1")
    assert sorted(_starts(run), key=_starts(run).__getitem__) == [1, 2, 3, 5]


class _FreesTwice(Ledger):
    """A share comes back twice: a repeat is not noticed."""

    def give_back(self, run: str, nodes: Iterable[NodeId]) -> None:
        for node in nodes:
            self.free[node] += self._held[node][run]
            super().give_back(run, [node])


def test_a_ledger_that_frees_twice_shows_as_overbooking() -> None:
    assert _figures(ledger=_FreesTwice).overbooked > 0


def _overbooks(snapshot: Snapshot, now_ms: int, limit: int = 100) -> Plan:
    """A planner that takes each node for twice as large as it is."""
    doubled = [
        replace(node, capacity=node.capacity.times(2), free=node.free + node.capacity)
        for node in snapshot.nodes
    ]
    return plan(replace(snapshot, nodes=tuple(doubled)), now_ms, limit)


def test_a_planner_that_overbooks_is_refused_by_the_ledger_and_shows() -> None:
    assert _figures(planner=_overbooks).overbooked > 0


def _ignores_reservations(snapshot: Snapshot, now_ms: int, limit: int = 100) -> Plan:
    """First fit: each job as if no other were blocked; the reasons are those of the real plan."""
    told = plan(snapshot, now_ms, limit)
    free = {node.id: node.free for node in snapshot.nodes}
    placements: list[Placement] = []
    for job in sorted((job for line in snapshot.lines for job in line), key=lambda job: job.place):
        nodes = tuple(replace(node, free=free[node.id]) for node in snapshot.nodes)
        alone = plan(replace(snapshot, nodes=nodes, lines=((job,),)), now_ms, 1)
        for placement in alone.placements:
            for share in placement.allocation.shares:
                free[share.node] -= share.resources
            placements.append(placement)
    return Plan(tuple(placements[:limit]), told.reasons)


def test_a_planner_that_ignores_reservations_shows_as_late_starts() -> None:
    found = _figures(planner=_ignores_reservations)
    assert (found.late > 0, found.overbooked) == (True, 0)


# The ledger; against the real script: tests/integration/test_simulated_ledger.py.


def _ledger() -> Ledger:
    return Ledger([(N1, Resources(2000, GIB)), (N2, Resources(1000, GIB))])


def test_a_share_that_is_too_large_leaves_the_others_untaken() -> None:
    ledger = _ledger()
    with pytest.raises(NoRoom) as refused:
        ledger.take("a", [Share(N1, Resources(1, 1)), Share(N2, Resources(1001, 0))])
    assert (refused.value.node, ledger.free) == (N2, _ledger().free)


def test_a_share_comes_back_once() -> None:
    ledger = _ledger()
    ledger.take("a", [Share(N1, Resources(500, 7))])
    for _ in range(2):
        ledger.give_back("a", [N1, N2, NodeId("elsewhere")])
    assert ledger.free == _ledger().free


def test_a_run_takes_one_share_of_a_node() -> None:
    with pytest.raises(ValueError, match="one share"):
        _ledger().take("a", [Share(N1, Resources(1, 1)), Share(N1, Resources(1, 1))])


# The figures.


def test_figures_are_those_that_a_person_counts() -> None:
    """Two jobs of 10 s on one CPU, the second waits 10 s; a third of another user waits for both
    and runs for 1 s."""
    jobs = [_job(0, 0, 10, 1, 10), _job(2, 0, 10, 1, 10), _job(1, 0, 1, 1, 10)]
    found = figures_of(_run(jobs, "1"), said_nodes(["1"]))
    assert found.makespan_s == 21
    assert found.utilisation == 1.0
    assert (found.wait_s.mean, found.wait_s.p50, found.wait_s.max) == (10, 10, 20)
    # 10 s of 10 s, 20 of 10, and 21 of the bound of 10
    assert found.slowdown.mean == pytest.approx((1 + 2 + 2.1) / 3)
    assert (found.fairness.lowest, found.fairness.highest) == (1.5, 2.1)
    assert found.fairness.jain == pytest.approx((1.5 + 2.1) ** 2 / (2 * (1.5**2 + 2.1**2)))
    assert (found.reserved, found.late, found.overbooked) == (2, 0, 0)


def test_a_job_of_a_moment_does_not_count_for_everything() -> None:
    ran = Ran(_job(1, 0, 0, 1), 60_000, 60_000, Allocation(()))
    assert slowdown(ran) == 6.0


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_at_least_as_many_as_said_are_no_larger_than_a_percentile(values: list[float]) -> None:
    found = spread(values)
    for hundredths, value in ((50, found.p50), (90, found.p90), (99, found.p99)):
        assert value in values
        assert sum(each <= value for each in values) * 100 >= hundredths * len(values)
        assert sum(each < value for each in values) * 100 < hundredths * len(values)
    assert found.max == max(values)
