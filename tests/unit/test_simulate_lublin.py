"""The jobs that are made have the figures that Lublin and Feitelson published."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import exp, factorial, log, log2
from random import Random
from statistics import mean

import pytest

from headrace_local.simulate.lublin import POWER_OF_TWO, SERIAL, Asked, _gamma_cdf, generate
from headrace_local.simulate.trace import Trace, TraceJob
from headrace_model.errors import InvalidInput


@cache
def _made(seed: int = 1, jobs: int = 6_000, load: float | None = None) -> Trace:
    return generate(Asked(jobs, 128, load), Random(seed), "made")  # noqa: S311 - same jobs each run


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    a, b = mean(one), mean(other)
    pairs = list(zip(one, other, strict=True))
    both = sum((x - a) * (y - b) for x, y in pairs)
    return (
        both / (sum((x - a) ** 2 for x, _ in pairs) * sum((y - b) ** 2 for _, y in pairs)) ** 0.5
    )


def test_the_same_seed_makes_the_same_jobs_and_another_seed_others() -> None:
    assert _made(1) == generate(Asked(6_000, 128), Random(1), "made")  # noqa: S311
    assert _made(1).jobs != _made(2).jobs


def test_jobs_are_serial_or_of_a_power_of_two_as_often_as_published() -> None:
    sizes = [job.cpus for job in _made().jobs]
    assert all(1 <= cpus <= 128 for cpus in sizes)
    powers = sum(cpus & (cpus - 1) == 0 for cpus in sizes) / len(sizes)
    # Sizes that are rounded by chance to 1 CPU or to a power of two come on top.
    assert SERIAL - 0.02 <= sizes.count(1) / len(sizes) <= SERIAL + 0.04
    assert SERIAL + POWER_OF_TWO - 0.02 <= powers <= SERIAL + POWER_OF_TWO + 0.12


def test_run_times_are_of_two_kinds_and_longer_for_larger_jobs() -> None:
    jobs = _made().jobs
    logs = [log(max(job.run_ms, 1) / 1000) for job in jobs]
    # exp(4.2 · 0.94) s and exp(312 · 0.03) s are the middles of the two.
    assert 0.6 < sum(each < 7 for each in logs) / len(logs) < 0.8
    assert all(job.run_ms <= exp(12) * 1000 + 1 for job in jobs)
    assert 0.1 < _correlation(logs, [log2(job.cpus) for job in jobs]) < 0.5


def test_most_jobs_come_by_day() -> None:
    hours = Counter(job.submit_ms // 3_600_000 % 24 for job in _made().jobs)
    assert max(hours, key=hours.__getitem__) in range(11, 18)
    day, night = (sum(hours[hour] for hour in which) for which in (range(9, 18), range(2, 8)))
    assert day / 9 > 3 * night / 6


@pytest.mark.parametrize("load", [0.3, 0.9])
def test_jobs_ask_for_as_much_of_the_cpus_as_was_said(load: float) -> None:
    jobs = _made(load=load).jobs
    work = sum(job.cpus * job.run_ms for job in jobs)
    assert work / (128 * jobs[-1].submit_ms) == pytest.approx(load, rel=0.05)


def test_a_time_limit_is_a_time_that_people_say_and_never_too_short() -> None:
    jobs = _made().jobs
    assert all(job.limit_ms and job.limit_ms >= job.run_ms for job in jobs)
    said = Counter(job.limit_ms for job in jobs)
    assert len(said) <= 24
    accuracy = mean(job.run_ms / (job.limit_ms or 1) for job in jobs)
    assert 0.2 < accuracy < 0.6  # flat would be 0.5, and rounding up takes some of it


def test_a_users_jobs_are_alike_and_some_users_have_many() -> None:
    by_user: dict[str, list[TraceJob]] = {}
    for job in _made().jobs:
        by_user.setdefault(job.user, []).append(job)
    assert len(by_user) == 32
    most, least = (by_user[f"u{number}"] for number in (1, 32))
    assert len(most) > 5 * len(least)
    logs = [log(max(job.run_ms, 1000)) for job in most]
    order = logs[:]
    Random(3).shuffle(order)  # noqa: S311
    near, far = (mean(abs(a - b) for a, b in pairwise(x)) for x in (logs, order))
    assert near < 0.8 * far


def test_a_machine_of_one_cpu_has_no_parallel_jobs() -> None:
    with pytest.raises(InvalidInput, match="one CPU in all"):
        generate(Asked(10, 1), Random(1), "made")  # noqa: S311


@pytest.mark.parametrize("shape", [1, 2, 9])
@pytest.mark.parametrize("value", [0.1, 3.0, 40.0])
def test_the_gamma_distribution_of_a_whole_shape_is_that_of_poissons_events(
    shape: int, value: float
) -> None:
    x = value / 3.0
    fewer = sum(exp(-x) * x**count / factorial(count) for count in range(shape))
    assert _gamma_cdf(value, shape, 3.0) == pytest.approx(1 - fewer, abs=1e-12)
