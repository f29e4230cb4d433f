"""When waiting jobs will start: the queue played forward, some times over, by `plan` itself.

In each draw every job runs as long as a draw from what is known of it says. What runs gives its
share back then, and the next plan starts who fits. Nobody comes and nobody leaves meanwhile. If
the real future is as likely as each of the draws, it lies between the least and the greatest of
`DRAWS` = 9 of them with a probability of 8/10, and half of them lie before the middle one: the
ranks of exchangeable values are equally likely (as in headrace_model/estimate.py).

How long a job runs:

* With an estimate: between its quantiles the distribution is taken as even; one job in ten runs
  longer than the p90, by up to half of what that is above the p50, and never past the time limit.
* With a time limit alone: evenly up to that. Real ones are spread about so, whatever people ask
  (Mu'alem, Feitelson, IEEE TPDS 12(6), 2001, section 4).
* With neither: once more as long as it has run, or longer, by the rule that half of the jobs that
  have reached an age reach its double; a minute at least.

What has run for a while is drawn from the longer runs alone. The draws of a job depend on its id,
so that a forecast is the same when it is made again.

Ends that are near each other, compared with how far off they are, are taken together, and after
`_MOST_PLANS` plans or `_MOST_STARTS` starts a draw goes on by the rate at which jobs have started:
the cost is bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final
from zlib import crc32

from headrace_model.estimate import Estimate
from headrace_model.ids import JobId, NodeId
from headrace_model.quota import What
from headrace_model.resources import Allocation, Resources
from headrace_scheduler.core.order import in_turn
from headrace_scheduler.core.placement import Reason
from headrace_scheduler.core.plan import Plan, plan
from headrace_scheduler.core.quota import Quotas
from headrace_scheduler.core.running import Running
from headrace_scheduler.core.snapshot import Node, RunningJob, Snapshot, WaitingJob

DRAWS: Final = 9

_MOST_PLANS: Final = 250  # of a draw
_MOST_STARTS: Final = 4_000
_FEW: Final = 300  # jobs in all: with no more each end is looked at alone
_NEAR: Final = 0.04  # ends are taken together within this part of the time until them
_LONGEST_MS: Final = 30 * 86_400_000
_YOUNGEST_MS: Final = 60_000
# Only a change of the nodes, or a person, lets these start.
_NEVER: Final = frozenset(
    {
        Reason.HELD,
        Reason.DEADLINE,
        Reason.NO_NODE_KNOWN,
        Reason.NO_NODE_UP,
        Reason.NO_BACKEND,
        Reason.TOO_LARGE,
    }
)


@dataclass(frozen=True, slots=True)
class Start:
    """When a job starts: most likely, and the range that holds it in 8 of 10 cases."""

    at_ms: int
    low_ms: int
    high_ms: int


def forecast(snapshot: Snapshot, now_ms: int, draws: int = DRAWS) -> Mapping[JobId, Start]:
    """Foresee the starts of all waiting jobs that will start if nothing else changes.

    `snapshot` may hold jobs that are to start later (`not_before_ms`), each in a line of its own.
    Deterministic.
    """
    found: dict[JobId, list[int]] = {}
    for number in range(draws):
        for id, at_ms in _Draw(snapshot, now_ms, number).play().items():
            found.setdefault(id, []).append(at_ms)
    starts = {}
    for id, times in found.items():
        if 2 * len(times) > draws:
            times.sort()
            starts[id] = Start(times[len(times) // 2], times[0], times[-1])
    return starts


class _Draw:
    """One way in which it may go on."""

    def __init__(self, snapshot: Snapshot, now_ms: int, number: int) -> None:
        self._snapshot = snapshot
        self._begin_ms = self._now_ms = now_ms
        self._number = number
        self._nodes = {node.id: node for node in snapshot.nodes}
        self._lines = snapshot.lines
        self._waiting = {job.id: job for line in self._lines for job in line}
        self._running = Running(snapshot.running)
        self._held = {job.id: job for job in snapshot.running}
        self._used = [bound.used for bound in snapshot.quotas.bounds]
        self._ends = [
            (now_ms + remaining_ms(job, now_ms, self._chance(job.id)), job.id)
            for job in snapshot.running
        ]
        later = [job.not_before_ms for job in self._waiting.values() if job.not_before_ms]
        later += [each.until_ms for node in snapshot.nodes for each in node.windows]
        self._later = sorted((at_ms for at_ms in later if at_ms > now_ms), reverse=True)
        heapify(self._ends)
        many = len(self._waiting) + len(self._running) > _FEW
        self._near = _NEAR if many else 0.0
        self._starts: dict[JobId, int] = {}
        self._came: dict[NodeId, int] = {}  # when the last share came back that came just now

    def play(self) -> dict[JobId, int]:
        """Give the start of each job that starts."""
        for _ in range(_MOST_PLANS):
            made = self._plan()
            self._start(made)
            if not self._waiting:
                return self._starts
            if len(self._starts) > _MOST_STARTS:
                break
            if not self._go_on():
                return self._starts
        self._start_by_rate(made)
        return self._starts

    def _chance(self, id: JobId) -> float:
        """A number from 0 to 1 that belongs to the job in this draw."""
        return (crc32(f"{id}/{self._number}".encode()) + 0.5) / 2**32

    def _plan(self) -> Plan:
        now = replace(
            self._snapshot,
            nodes=tuple(self._nodes.values()),
            lines=self._lines,
            running=self._running,
            held={},
            quotas=self._quotas(),
        )
        return plan(now, self._now_ms, limit=len(self._waiting) + 1)

    def _start(self, made: Plan) -> None:
        if not made.placements:
            return
        for placement in made.placements:
            job, allocation = self._waiting.pop(placement.job), placement.allocation
            self._give(allocation, -1)
            at_ms = self._starts[job.id] = self._since(job, allocation)
            longest_ms = job.longest_ms
            heappush(self._ends, (at_ms + self._run_ms(job, allocation), job.id))
            self._hold(
                RunningJob(
                    id=job.id,
                    allocation=allocation,
                    ends_ms=None if longest_ms is None else at_ms + longest_ms,
                    estimate=job.estimate,
                    owner=job.owner,
                    since_ms=at_ms,
                )
            )
        left = ([job for job in line if job.id in self._waiting] for line in self._lines)
        self._lines = in_turn((line for line in left if line), self._snapshot.shifts)

    def _since(self, job: WaitingJob, allocation: Allocation) -> int:
        """When the room that a job now takes came back: of ends that were taken together its own,
        so that no room lies idle for it."""
        came = (self._came.get(share.node, self._now_ms) for share in allocation.shares)
        return max(*came, job.not_before_ms or 0)

    def _run_ms(self, job: WaitingJob, allocation: Allocation) -> int:
        """How long a job holds its share: an array as often as it must fill its slots anew, within
        the time limit of all of its tasks together."""
        chance = self._chance(job.id)
        run_ms = duration_ms(job.estimate, job.time_limit_ms, 0, chance)
        if job.tasks is None:
            return run_ms
        slots = max(allocation.total.millicpus // max(job.resources.millicpus, 1), 1)
        return min(run_ms * -(-job.tasks // slots), job.time_limit_ms or _LONGEST_MS)

    def _go_on(self) -> bool:
        """Go to the next moment at which something may start; tell whether there is one."""
        while self._later and self._later[-1] <= self._now_ms:
            self._later.pop()
        moments = [end_ms for end_ms, _ in self._ends[:1]] + self._later[-1:]
        if not moments:
            return False
        next_ms = min(moments)
        until_ms = next_ms + int((next_ms - self._begin_ms) * self._near)
        self._now_ms = max(self._now_ms, next_ms)
        self._came = {}
        while self._ends and self._ends[0][0] <= until_ms:
            end_ms, id = heappop(self._ends)
            self._now_ms = max(self._now_ms, end_ms)
            allocation = self._let_go(id)
            self._give(allocation, 1)
            for share in allocation.shares:
                self._came[share.node] = end_ms
        return True

    def _hold(self, job: RunningJob) -> None:
        self._held[job.id] = job
        self._running.put(job)
        self._count(job, 1)

    def _let_go(self, id: JobId) -> Allocation:
        job = self._held.pop(id)
        self._running.drop(id)
        self._count(job, -1)
        return job.allocation

    def _count(self, job: RunningJob, sign: int) -> None:
        """Count what a job uses of quotas; CPU time that was used does not come back."""
        limit_ms = None if job.ends_ms is None else job.ends_ms - (job.since_ms or 0)
        for at, bound in enumerate(self._snapshot.quotas.bounds):
            if job.owner in bound.owners and (sign > 0 or bound.what is not What.CPU_HOURS):
                self._used[at] += sign * bound.needs(job.allocation.total, limit_ms)

    def _quotas(self) -> Quotas:
        bounds = zip(self._snapshot.quotas.bounds, self._used, strict=True)
        return Quotas(tuple(replace(bound, used=used) for bound, used in bounds))

    def _give(self, allocation: Allocation, sign: int) -> None:
        for share in allocation.shares:
            node = self._nodes.get(share.node)
            if node is not None:
                self._nodes[share.node] = _with(node, share.resources, sign)

    def _start_by_rate(self, made: Plan) -> None:
        """What still waits starts as quickly as what has started until now."""
        passed_ms = self._now_ms - self._begin_ms
        each_ms = passed_ms / max(len(self._starts), 1)
        never = {id for id, why in made.reasons.items() if why.reason in _NEVER}
        left = [job for line in self._lines if line[0].id not in never for job in line]
        left.sort(key=lambda job: job.place_in(self._snapshot.shifts))
        for number, job in enumerate(left, 1):
            at_ms = self._now_ms + int(number * each_ms)
            self._starts[job.id] = max(at_ms, job.not_before_ms or 0)


def _with(node: Node, amount: Resources, sign: int) -> Node:
    return replace(node, free=node.free + amount if sign > 0 else node.free - amount)


def remaining_ms(job: RunningJob, now_ms: int, chance: float) -> int:
    """How long a running job still holds its share, by a chance from 0 to 1."""
    passed_ms = 0 if job.since_ms is None else max(now_ms - job.since_ms, 0)
    limit_ms = None if job.ends_ms is None else job.ends_ms - now_ms + passed_ms
    return max(duration_ms(job.estimate, limit_ms, passed_ms, chance) - passed_ms, 1)


def duration_ms(
    estimate: Estimate | None, limit_ms: int | None, passed_ms: int, chance: float
) -> int:
    """How long a job runs that has run for `passed_ms`, in all, by a chance from 0 to 1."""
    run_ms = _from_estimate(estimate, passed_ms, chance) if estimate else None
    if run_ms is None and limit_ms is not None:
        run_ms = passed_ms + chance * (limit_ms - passed_ms)
    if run_ms is None:
        run_ms = max(passed_ms, _YOUNGEST_MS) / max(1 - chance, 1e-3)
        run_ms = min(run_ms, passed_ms + _LONGEST_MS)
    if limit_ms is not None:
        run_ms = min(run_ms, limit_ms)
    return max(int(run_ms), passed_ms + 1)


def _from_estimate(estimate: Estimate, passed_ms: int, chance: float) -> float | None:
    """None where it has run longer than the estimate knows of."""
    p10_ms, p50_ms, p90_ms = estimate.p10_ms, estimate.p50_ms, estimate.p90_ms
    corners = (
        (0.0, max(p10_ms - (p50_ms - p10_ms) / 4, 0.0)),
        (0.1, float(p10_ms)),
        (0.5, float(p50_ms)),
        (0.9, float(p90_ms)),
        (1.0, p90_ms + (p90_ms - p50_ms) / 2),
    )
    if passed_ms >= corners[-1][1]:
        return None
    reached = 0.0
    for (low, low_ms), (high, high_ms) in pairwise(corners):
        if low_ms <= passed_ms < high_ms:
            reached = low + (high - low) * (passed_ms - low_ms) / (high_ms - low_ms)
    wanted = reached + chance * (1 - reached)
    for (low, low_ms), (high, high_ms) in pairwise(corners):
        if wanted <= high:
            return low_ms + (high_ms - low_ms) * (wanted - low) / (high - low)
    return corners[-1][1]
