"""What a simulation shows: waiting, slowdown, fairness, how much of the nodes was used.

The bounded slowdown of a job is max(1, (waited + ran) / max(ran, 10 s)); the bound keeps jobs of
a moment from counting for everything (D. G. Feitelson et al., Theory and Practice in Parallel Job
Scheduling, JSSPP 1997). Fairness is seen by the mean slowdown of each user: Jain's index of them
is 1.0 when all are equal, and 1/n when one of n bears it all (R. Jain et al., DEC-TR-301, 1984).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_local.simulate.engine import Ran, Run
from headrace_model.ids import NodeId
from headrace_model.resources import NOTHING, Resources
from headrace_scheduler.core.snapshot import Node

_BOUND_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean and percentiles (nearest rank) of one figure over all jobs."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Fairness:
    """The mean bounded slowdown of each user: its index over users, the best and the worst."""

    users: int
    jain: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one run. `overbooked` counts refused placements, and moments at which the records
    show more used on a node than it has; `late` counts jobs that began later than reserved."""

    jobs: int
    too_large: int
    stranded: int
    timed_out: int
    makespan_s: float
    utilisation: float
    wait_s: Spread
    slowdown: Spread
    fairness: Fairness
    reserved: int
    late: int
    overbooked: int
    placements_per_s: float


def figures_of(run: Run, nodes: Sequence[Node]) -> Figures:
    """Count all of it; `run.ran` must not be empty."""
    slowdowns = [slowdown(each) for each in run.ran]
    begin_ms = min(each.job.submit_ms for each in run.ran)
    span_ms = max(each.end_ms for each in run.ran) - begin_ms
    used = sum(each.job.cpus * 1000 * (each.end_ms - each.start_ms) for each in run.ran)
    has = sum(node.capacity.millicpus for node in nodes) * span_ms
    promised = [each for each in run.ran if each.promised_ms is not None]
    return Figures(
        jobs=len(run.ran),
        too_large=len(run.too_large),
        stranded=run.stranded,
        timed_out=sum(each.end_ms - each.start_ms < each.job.run_ms for each in run.ran),
        makespan_s=span_ms / 1000,
        utilisation=used / has if has else 0.0,
        wait_s=spread([(each.start_ms - each.job.submit_ms) / 1000 for each in run.ran]),
        slowdown=spread(slowdowns),
        fairness=_fairness(run.ran, slowdowns),
        reserved=len(promised),
        late=sum(each.start_ms > (each.promised_ms or 0) for each in promised),
        overbooked=run.refused + overbooked(run.ran, nodes),
        placements_per_s=run.placed / run.planning_s if run.planning_s else 0.0,
    )


def slowdown(ran: Ran) -> float:
    """The bounded slowdown of one job."""
    held_ms = ran.end_ms - ran.start_ms
    return max(1.0, (ran.end_ms - ran.job.submit_ms) / max(held_ms, _BOUND_MS))


def spread(values: Iterable[float]) -> Spread:
    """Mean and percentiles of some values, one at least."""
    found = sorted(values)

    def percentile(hundredths: int) -> float:
        return found[max(0, -(-len(found) * hundredths // 100) - 1)]

    mean = sum(found) / len(found)
    return Spread(mean, percentile(50), percentile(90), percentile(99), found[-1])


def overbooked(ran: Iterable[Ran], nodes: Sequence[Node]) -> int:
    """How often a start left more used on a node than it has, by the records alone.

    It asks neither planner nor ledger. Of one moment, ends come before starts.
    """
    changes: dict[NodeId, list[tuple[int, int, Resources]]] = defaultdict(list)
    for each in ran:
        if each.end_ms > each.start_ms:
            for share in each.allocation.shares:
                changes[share.node].append((each.end_ms, 0, NOTHING - share.resources))
                changes[share.node].append((each.start_ms, 1, share.resources))
    capacities = {node.id: node.capacity for node in nodes}
    count = 0
    for node, moved in changes.items():
        used, capacity = NOTHING, capacities.get(node, NOTHING)
        for _, starts, change in sorted(moved, key=lambda each: each[:2]):
            used += change
            count += bool(starts) and not used.fits_in(capacity)
    return count


def _fairness(ran: Sequence[Ran], slowdowns: Sequence[float]) -> Fairness:
    by_user: dict[str, list[float]] = defaultdict(list)
    for each, slow in zip(ran, slowdowns, strict=True):
        by_user[each.job.user].append(slow)
    means = [sum(found) / len(found) for found in by_user.values()]
    jain = sum(means) ** 2 / (len(means) * sum(mean**2 for mean in means))
    return Fairness(len(means), jain, min(means), max(means))
