"""A trace by the model of Lublin and Feitelson.

U. Lublin, D. G. Feitelson: The Workload on Parallel Supercomputers: Modeling the Characteristics
of Rigid Jobs. Journal of Parallel and Distributed Computing 63(11), 2003, 1105-1122. The numbers
below are the published ones for all jobs together (batch and interactive), from the paper and the
authors' program in the Parallel Workloads Archive.

* CPUs: 1 with probability SERIAL; else 2**u, u from two uniform stages, rounded to a whole power
  of two with probability POWER_OF_TWO.
* Run time: exp(g) seconds, g from one of two gamma distributions; the larger the job, the more
  often from the second, of long jobs.
* Arrivals: exp(g) seconds apart, g gamma distributed, on a clock that runs faster or slower by
  the hour: half-hours of a day take jobs in proportion to a third gamma distribution.

The model has no users, no memory and no time limits. What stands here for them is ours:

* A user is drawn by Zipf's law, and favours jobs like the user's last ones: the weight falls with
  the distance of run times and of sizes. So the runs of one user are alike, as in real logs, and
  each figure of the model stays what it is. An application is a user's jobs of one size.
* Users say a time limit of run time / a, a uniform in (0, 1], the flat accuracy that A. W. Mu'alem
  and D. G. Feitelson found (IEEE TPDS 12(6), 2001), rounded up to a time that people say (D.
  Tsafrir, Y. Etsion, D. G. Feitelson, JSSPP 2005: twenty values make most of all estimates).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, lgamma, log, log2
from random import Random
from typing import Final

from headrace_local.simulate.trace import Trace, TraceJob
from headrace_model.errors import InvalidInput

SERIAL: Final = 0.244
POWER_OF_TWO: Final = 0.576
_LOW: Final = 0.8  # log2 of the smallest parallel job, a little lower so that 2 CPUs are not rare
_HIGH_PART: Final = 2.5  # the first stage ends at log2 of the machine - 2.5
_FIRST_STAGE: Final = 0.86
_SHORT: Final = 4.2, 0.94
_LONG: Final = 312.0, 0.03
_SHORT_BY_CPUS: Final = -0.0054, 0.78  # slope and offset of the probability of a short job
_BETWEEN: Final = 10.2303 * 1.0225, 0.4871  # of rush hours, and their ratio to all hours
_DAILY: Final = 8.1737, 3.9631
_DAY_BEGINS: Final = 11  # in half-hours: 05:30
_HALF_HOURS: Final = 48
_HALF_HOUR_S: Final = 1800.0
_LONGEST_RUN: Final = 12.0  # exp(12) s, about two days
_LONGEST_PAUSE: Final = 13.0  # exp(13) s, about five days

_SAID_S: Final = tuple(
    60 * minutes
    for minutes in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 360, 480, 600, 720, 900,
                    1080, 1440, 1800, 2160, 2880, 4320)
)  # fmt: skip
_MEMORY_OF_USERS: Final = 1.0  # how far in log(run time) and log2(CPUs) a user's jobs lie apart


@dataclass(frozen=True, slots=True)
class Asked:
    """What to generate: jobs for a machine of `cpus`, which they load to `load` (1.0: all of its
    CPUs until the last job arrives; None: as often as the model says)."""

    jobs: int
    cpus: int
    load: float | None = None
    users: int = 32


def generate(asked: Asked, chance: Random, source: str) -> Trace:
    """Make a trace; the same one for the same `asked` and state of `chance`."""
    if asked.cpus < 2:
        raise InvalidInput(
            "the model makes parallel jobs, and these nodes have one CPU in all",
            hint="give larger nodes, or a trace in SWF",
        )
    sizes = [_size(chance, log2(asked.cpus)) for _ in range(asked.jobs)]
    runs_s = [_run_s(chance, cpus) for cpus in sizes]
    pauses_s = [_pause_s(chance) for _ in range(asked.jobs)]
    if asked.load is not None:
        work = sum(cpus * run_s for cpus, run_s in zip(sizes, runs_s, strict=True))
        stretch = work / (asked.cpus * asked.load) / sum(pauses_s)
        pauses_s = [pause_s * stretch for pause_s in pauses_s]
    users = _users(chance, sizes, runs_s, asked.users)
    arrivals_s = _Day().times(accumulate(pauses_s))
    jobs = [
        TraceJob(
            number=number,
            submit_ms=round(arrival_s * 1000),
            run_ms=round(run_s * 1000),
            cpus=cpus,
            limit_ms=round(_said_s(chance, run_s) * 1000),
            user=f"u{user}",
            application=f"a{user * 100 + cpus.bit_length()}",
        )
        for number, (arrival_s, run_s, cpus, user) in enumerate(
            zip(arrivals_s, runs_s, sizes, users, strict=True), start=1
        )
    ]
    return Trace(source, tuple(jobs), {}, None, asked.cpus)


def _size(chance: Random, high: float) -> int:
    kind = chance.random()
    if kind <= SERIAL:
        return 1
    low = min(_LOW, high)
    middle = max(high - _HIGH_PART, low)
    first = chance.random() <= _FIRST_STAGE
    power = chance.uniform(low, middle) if first else chance.uniform(middle, high)
    if kind <= SERIAL + POWER_OF_TWO:
        power = float(int(power + 0.5))
    return min(int(2**power + 0.5), int(2**high + 0.5))


def _run_s(chance: Random, cpus: int) -> float:
    slope, offset = _SHORT_BY_CPUS
    short = chance.random() <= min(max(slope * cpus + offset, 0.0), 1.0)
    return exp(_below(chance, *(_SHORT if short else _LONG), _LONGEST_RUN))


def _pause_s(chance: Random) -> float:
    return exp(_below(chance, *_BETWEEN, _LONGEST_PAUSE))


def _below(chance: Random, shape: float, scale: float, most: float) -> float:
    while (value := chance.gammavariate(shape, scale)) > most:
        pass
    return value


class _Day:
    """The daily cycle: a clock on which half-hours with many arrivals are long."""

    def __init__(self) -> None:
        weights = [0.0] * _HALF_HOURS
        for at in range(_DAY_BEGINS, _DAY_BEGINS + _HALF_HOURS):
            # Bucket 1 is the day's first half-hour.
            weights[(at - 1) % _HALF_HOURS] = _gamma_cdf(at + 0.5, *_DAILY) - _gamma_cdf(
                at - 0.5, *_DAILY
            )
        mean = sum(weights) / _HALF_HOURS
        self._lengths_s = [_HALF_HOUR_S * weight / mean for weight in weights]
        self._ends_s = list(accumulate(self._lengths_s))

    def times(self, moments_s: Iterator[float]) -> Iterator[float]:
        """Seconds of the real clock, from a midnight, for moments of this one."""
        day_s = self._ends_s[-1]
        for moment_s in moments_s:
            days, rest_s = divmod(moment_s, day_s)
            at = min(bisect_left(self._ends_s, rest_s), _HALF_HOURS - 1)
            begun_s = self._ends_s[at] - self._lengths_s[at]
            part = (rest_s - begun_s) / self._lengths_s[at]
            yield (days * _HALF_HOURS + at + part) * _HALF_HOUR_S


def _gamma_cdf(value: float, shape: float, scale: float) -> float:
    """The regularised lower incomplete gamma function, by its series of positive terms."""
    x = value / scale
    term = total = 1.0 / shape
    count = shape
    while term > total * 1e-15:
        count += 1.0
        term *= x / count
        total += term
    return total * exp(shape * log(x) - x - lgamma(shape))


def _said_s(chance: Random, run_s: float) -> float:
    """The time limit that a user says for a job that runs so long."""
    wanted_s = run_s / (1.0 - chance.random())
    at = bisect_left(_SAID_S, wanted_s)
    return max(_SAID_S[min(at, len(_SAID_S) - 1)], run_s)


def _users(
    chance: Random, sizes: Sequence[int], runs_s: Sequence[float], count: int
) -> Iterator[int]:
    """The user of each job, from 1: the lower the number, the more jobs."""
    lasts: list[tuple[float, float] | None] = [None] * count
    for cpus, run_s in zip(sizes, runs_s, strict=True):
        here = log(max(run_s, 1.0)), log2(cpus)
        weights = [
            (1.0 if last is None else 0.02 + exp(-(_apart(here, last) / _MEMORY_OF_USERS)))
            / (number + 1)
            for number, last in enumerate(lasts)
        ]
        user = chance.choices(range(count), weights)[0]
        lasts[user] = here
        yield user + 1


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])
