"""The metrics of evaluations: against HydroErr, by hand, and where a formula has no value."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headrace_evaluation.core import frequency, metrics
from headrace_evaluation.core.contingency import contingency
from headrace_evaluation.core.metrics import Array, Better, Value
from headrace_evaluation.core.scoring import (
    EVENT_METRICS,
    METRICS,
    Pairs,
    described,
    is_better,
    score,
)

HydroErr = pytest.importorskip("HydroErr", reason="metrics are checked against HydroErr")

DAY_MS = 86_400_000
few = settings(max_examples=30)
flows = st.floats(0.01, 10_000)


@st.composite
def pairs_of_series(draw: st.DrawFn) -> tuple[Array, Array]:
    n = draw(st.integers(3, 60))
    s = draw(arrays.arrays(np.float64, n, elements=flows))
    o = draw(arrays.arrays(np.float64, n, elements=flows))
    # Series that hardly vary make ratios ill-conditioned, not wrong.
    assume(np.std(o) > 1e-3 * np.mean(o))
    assume(np.std(s) > 1e-3 * np.mean(s))
    return s, o


def close(found: Value, wanted: float) -> None:
    assert found.reason == ""
    assert found.value == pytest.approx(wanted, rel=1e-7, abs=1e-7)


def agree_with_hydroerr(s: Array, o: Array) -> None:
    close(metrics.nse(s, o), HydroErr.nse(s, o))
    r, alpha, beta, kge = HydroErr.kge_2009(s, o, return_all=True)
    parts = metrics.kge_parts(s, o)
    for found, wanted in (
        (parts.r, r),
        (parts.alpha, alpha),
        (parts.beta, beta),
        (parts.kge, kge),
    ):
        close(found, wanted)
    _, gamma, _, kge = HydroErr.kge_2012(s, o, return_all=True)
    close(parts.gamma, gamma)
    close(parts.kge_2012, kge)
    close(metrics.rmse(s, o), HydroErr.rmse(s, o))
    close(metrics.mae(s, o), HydroErr.mae(s, o))
    close(metrics.r2(s, o), HydroErr.r_squared(s, o))
    close(metrics.pbias(s, o), 100 * HydroErr.me(s, o) / o.mean())
    close(metrics.log_nse(s, o), HydroErr.nse(np.log(s), np.log(o)))


@few
@given(pairs_of_series())
def test_metrics_agree_with_hydroerr_on_random_series(pair: tuple[Array, Array]) -> None:
    s, o = pair
    assume(np.std(np.log(o)) > 1e-3)
    agree_with_hydroerr(s, o)


@few
@given(pairs_of_series(), st.floats(0.1, 50))
def test_what_must_hold_of_any_series(pair: tuple[Array, Array], factor: float) -> None:
    s, o = pair
    assert metrics.nse(o, o).value == 1
    assert metrics.pbias(o, o).value == 0
    close(metrics.kge(o, o), 1)
    # Neither depends on the unit of both.
    close(metrics.kge(factor * s, factor * o), metrics.kge(s, o).value)
    close(metrics.nse(np.full(o.size, o.mean()), o), 0)
    assert metrics.rmse(s, o).value >= metrics.mae(s, o).value * (1 - 1e-12)


def test_doubled_flows_score_what_they_must() -> None:
    o = np.array([1.0, 2.0, 3.0, 4.0])
    parts = metrics.kge_parts(2 * o, o)
    assert (parts.r.value, parts.alpha.value, parts.beta.value, parts.gamma.value) == (1, 2, 2, 1)
    close(parts.kge, 1 - math.sqrt(2))
    close(parts.kge_2012, 0)
    close(metrics.nse(2 * o, o), -5)  # sum O^2 = 30, sum (O - 2.5)^2 = 5
    close(metrics.pbias(2 * o, o), 100)
    close(metrics.volume_error(2 * o, o, DAY_MS), 10 * 86_400)


@pytest.mark.parametrize(
    ("s", "o", "name", "reason"),
    [
        ([1, 2], [3, 3], "nse", "the observations never change"),
        ([1, 2], [3, 3], "kge", "the observations never change"),
        ([0.1, 0.1, 0.1], [1, 2, 3], "kge", "the simulated values never change"),
        ([1, 2], [0.1, 0.1], "r2", "the observations never change"),
        ([1, 2], [0, 0], "pbias", "the mean of the observations is 0"),
        ([1, 2], [-1, 1], "kge_beta", "the mean of the observations is 0"),
        ([-1, 1], [1, 2], "kge_gamma", "the mean of the simulated values is 0"),
        ([0, 2], [1, 2], "log_nse", "1 simulated values are not above 0"),
        ([1, 2], [0, 0], "log_nse", "2 observed values are not above 0"),
        ([1, 2], [1e200, 2e200], "nse", "too large"),
        ([1, 2], [-2, -1], "peak_error", "the highest observed value is not above 0"),
        ([1, 1], [1, 2], "peak_timing", "never change around the observed peak"),
    ],
)
def test_what_has_no_value_is_nan_with_a_reason(
    s: list[float], o: list[float], name: str, reason: str
) -> None:
    found = METRICS[name].of(_pairs(s, o))
    assert math.isnan(found.value)
    assert reason in found.reason


def _pairs(s: Any, o: Any, window_days: int = 7) -> Pairs:
    s, o = np.asarray(s, float), np.asarray(o, float)
    return Pairs(np.arange(o.size) * DAY_MS, s, o, DAY_MS, window_days * DAY_MS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_nothing_to_score_is_said_so_by_each_metric(name: str) -> None:
    found = METRICS[name].of(_pairs([], []))
    assert math.isnan(found.value)
    assert found.reason


@few
@given(
    arrays.arrays(np.float64, 6, elements=st.floats(-1e300, 1e300)),
    arrays.arrays(np.float64, 6, elements=st.floats(-1e300, 1e300)),
)
def test_whatever_the_numbers_there_is_a_finite_value_or_a_reason(s: Array, o: Array) -> None:
    for name, value in score(_pairs(s, o), list(METRICS), {"high": Value(1.0)}).items():
        assert math.isfinite(value.value) != bool(value.reason), name


def test_the_peak_is_looked_for_around_the_observed_one() -> None:
    o = [1.0, 1, 10, 1, 1, 1, 1, 1, 1, 1]
    s = [1.0, 1, 1, 1, 8, 1, 1, 1, 1, 50]
    assert METRICS["peak_error"].of(_pairs(s, o, 2)).value == pytest.approx(-20)
    assert METRICS["peak_timing"].of(_pairs(s, o, 2)).value == 48
    assert METRICS["peak_error"].of(_pairs(s, o, 7)).value == pytest.approx(400)


@few
@given(pairs_of_series(), flows)
def test_contingency_counts_as_a_loop_does(pair: tuple[Array, Array], threshold: float) -> None:
    s, o = pair
    table = contingency(s, o, threshold)
    counts = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for a, b in zip(s, o, strict=True):
        counts[bool(a >= threshold), bool(b >= threshold)] += 1
    assert (table.hits, table.false_alarms, table.misses, table.correct_negatives) == (
        counts[True, True],
        counts[True, False],
        counts[False, True],
        counts[False, False],
    )
    for metric in EVENT_METRICS.values():
        value = metric.of(table)
        assert math.isfinite(value.value) != bool(value.reason)


def test_contingency_scores_by_hand() -> None:
    table = contingency(np.array([5.0, 5, 1, 1, 5]), np.array([5.0, 1, 5, 1, 6]), 5)
    assert (table.pod.value, table.far.value) == (2 / 3, 1 / 3)
    assert (table.csi.value, table.frequency_bias.value) == (0.5, 1)


def test_thresholds_without_a_value_give_their_reason() -> None:
    found = score(_pairs([1, 2], [1, 3]), ["nse"], {"flood": metrics.none("two years only")})
    assert list(found) == list(described(["nse"], ["flood"]))
    assert found["csi@flood"].reason == "two years only"


def test_l_moments_are_those_of_all_samples() -> None:
    x = np.array([3.0, 7.0, 1.0, 9.0, 4.0])
    l1, l2, skew = frequency.l_moments(x)
    pairs = [abs(a - b) for i, a in enumerate(x) for b in x[i + 1 :]]
    assert l1 == pytest.approx(x.mean())
    assert l2 == pytest.approx(np.mean(pairs) / 2)
    ordered = [
        sorted((x[i], x[j], x[k]))
        for i in range(5)
        for j in range(i + 1, 5)
        for k in range(j + 1, 5)
    ]
    l3 = np.mean([c - 2 * b + a for a, b, c in ordered]) / 3
    assert skew == pytest.approx(l3 / l2)


@pytest.mark.parametrize("shape", [-0.15, 0.0, 0.2])
def test_the_gev_finds_the_level_that_a_large_sample_was_drawn_from(shape: float) -> None:
    uniform = (np.arange(20_000) + 0.5) / 20_000
    reduced = -np.log(-np.log(uniform))
    drawn = 100 + 30 * (reduced if not shape else (1 - np.exp(-shape * reduced)) / shape)
    y = -math.log(-math.log(1 - 1 / 50))
    wanted = 100 + 30 * (y if not shape else (1 - math.exp(-shape * y)) / shape)
    assert frequency.return_level(drawn, 50, frequency.Fit.GEV).value == pytest.approx(
        wanted, rel=0.005
    )
    if not shape:
        found = frequency.return_level(drawn, 50, frequency.Fit.GUMBEL)
        assert found.value == pytest.approx(wanted, rel=0.005)


def test_return_levels_by_rank_stay_within_what_was_seen() -> None:
    maxima = np.array([10.0, 50, 20, 40, 30, 60, 70, 80, 90])
    assert frequency.return_level(maxima, 2, frequency.Fit.WEIBULL).value == 50
    assert frequency.return_level(maxima, 10, frequency.Fit.WEIBULL).value == 90
    for years, fit in ((50, frequency.Fit.WEIBULL), (1, frequency.Fit.GEV)):
        assert frequency.return_level(maxima, years, fit).reason
    assert "are needed" in frequency.return_level(maxima[:2], 2, frequency.Fit.GEV).reason
    assert frequency.return_level(np.full(9, 3.0), 2, frequency.Fit.GUMBEL).reason


def test_highest_values_are_those_of_whole_years_that_begin_in_a_month() -> None:
    times = np.arange(np.datetime64("1979-01-01"), np.datetime64("1981-10-01"))
    since = times.astype("datetime64[ms]").astype(np.int64)
    values = np.arange(since.size, dtype=float)
    values[since < since[40]] = math.nan
    found = frequency.yearly_maxima(since, values, DAY_MS, 10, 0.9)
    ends = [np.datetime64("1980-09-30"), np.datetime64("1981-09-30")]
    assert found.tolist() == [float((end - times[0]).astype(int)) for end in ends]
    assert frequency.yearly_maxima(since, values, DAY_MS, 1, 0.8).size == 2


@pytest.mark.parametrize(
    ("name", "good", "bad"), [("nse", 0.9, 0.1), ("rmse", 1, 2), ("pbias", -3, 5)]
)
def test_what_is_better_depends_on_the_metric(name: str, good: float, bad: float) -> None:
    assert is_better(good, bad, METRICS[name])
    assert not is_better(bad, good, METRICS[name])
    assert METRICS[name].better in Better
