"""Calibration: the periods and steps that count, and the charts."""

import re

import numpy as np
import pytest

from headrace_calibration.core.periods import Periods, Span
from headrace_calibration.core.svg import Chart, Line, draw
from headrace_calibration.metrics import paired
from headrace_evaluation.core.aligning import Series
from headrace_evaluation.core.marks import round_numbers, thinned
from headrace_model.errors import InvalidInput

_DAY = 86_400_000


class TestPeriods:
    """Which steps count."""

    def test_the_warm_up_counts_from_the_begin_of_the_run_alone(self) -> None:
        after = Periods(Span(0, 100), Span(100, 200), 30)
        assert after.counted(after.train) == Span(30, 100)
        assert after.validate is not None
        assert after.counted(after.validate) == Span(100, 200)
        before = Periods(Span(100, 200), Span(0, 100), 30)
        assert before.validate is not None
        assert (before.begin, before.end) == (0, 200)
        assert before.counted(before.train) == Span(100, 200)
        assert before.counted(before.validate) == Span(30, 100)

    @pytest.mark.parametrize(
        ("train", "validate", "warm_up", "why"),
        [
            (Span(0, 100), Span(99, 200), 0, "train and validate overlap"),
            (Span(0, 100), None, 100, "the warm-up leaves nothing of train"),
            (Span(100, 200), Span(0, 50), 60, "the warm-up leaves nothing of validate"),
        ],
    )
    def test_periods_that_leave_nothing_to_tell_are_refused(
        self, train: Span, validate: Span | None, warm_up: int, why: str
    ) -> None:
        with pytest.raises(InvalidInput, match=why):
            Periods(train, validate, warm_up)


_HOUR = 3_600_000


def _series(times: object, values: object) -> Series:
    return Series(np.asarray(times), np.asarray(values, dtype=float), "")


class TestPairing:
    """What is compared with what."""

    def test_only_steps_count_that_both_have_as_numbers(self) -> None:
        run = _series(np.array([0, 10, 20, 30, 40, 50]), np.array([0.0, 1, np.nan, 3, 4, 9]))
        seen = _series(np.array([10, 20, 30, 40, 50]), np.array([5.0, 6, 7, np.inf, 9]))
        pairs = paired(run, seen, Span(10, 50))
        assert (pairs.times.tolist(), pairs.simulated.tolist(), pairs.observed.tolist()) == (
            [10, 30],
            [1, 3],
            [5, 7],
        )

    def test_hours_are_compared_with_days_by_the_mean_of_a_day(self) -> None:
        hours = _series(np.arange(72) * _HOUR, np.arange(72.0))
        days = _series(np.arange(3) * _DAY, np.array([1.0, 2, 3]))
        pairs = paired(hours, days, Span(0, 3 * _DAY))
        assert pairs.step_ms == _DAY
        assert pairs.times.tolist() == [0, _DAY, 2 * _DAY]
        assert pairs.simulated.tolist() == [11.5, 35.5, 59.5]
        other = paired(days, hours, Span(_DAY, 3 * _DAY))
        assert other.observed.tolist() == [35.5, 59.5]

    def test_a_day_that_is_mostly_missing_does_not_count(self) -> None:
        values = np.arange(72.0)
        values[24:30] = np.nan
        days = _series(np.arange(3) * _DAY, np.array([1.0, 2, 3]))
        pairs = paired(_series(np.arange(72) * _HOUR, values), days, Span(0, 3 * _DAY))
        assert pairs.times.tolist() == [0, 2 * _DAY]

    def test_steps_that_do_not_fit_are_refused_by_their_lengths(self) -> None:
        five = _series(np.arange(20) * 5 * _HOUR, np.arange(20.0))
        days = _series(np.arange(4) * _DAY, np.arange(4.0))
        with pytest.raises(InvalidInput, match="simulated is 5 h, the one observed 24 h"):
            paired(five, days, Span(0, 4 * _DAY))
        uneven = _series(np.array([0, 24, 48, 77, 101, 136]) * _HOUR, np.arange(6.0))
        hours = _series(np.arange(150) * _HOUR, np.arange(150.0))
        with pytest.raises(InvalidInput, match=r"is 1 h, the one observed 24 h: .* differ in len"):
            paired(hours, uneven, Span(0, 9 * _DAY))


class TestCharts:
    """SVG."""

    @pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 1e6), (0.1, 0.1000001), (5, 5.5)])
    def test_ticks_are_round_and_inside(self, low: float, high: float) -> None:
        found = round_numbers(low, high, 5)
        assert 3 <= len(found) <= 11
        assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)

    def test_a_long_line_keeps_its_peaks(self) -> None:
        flow = np.ones(50_000)
        flow[[7_777, 31_111]] = 99.0, -5.0
        x, y = thinned(np.arange(50_000.0), flow, 100)
        assert len(x) <= 200
        assert {(7_777.0, 99.0), (31_111.0, -5.0)} <= set(zip(x.tolist(), y.tolist(), strict=True))

    def test_a_gap_in_a_long_line_stays_one_and_hides_no_peak(self) -> None:
        flow = np.ones(5_000)
        flow[[510, 520]] = np.nan, 99.0
        _, y = thinned(np.arange(5_000.0), flow, 100)
        assert np.isnan(y).sum() == 1
        assert np.nanmax(y) == 99

    def test_gaps_break_the_line_and_constants_can_be_drawn(self) -> None:
        line = Line("a<b", [0, 1, 2, 3], [1.0, float("nan"), 1.0, 1.0], 'stroke="red"')
        drawn = draw(Chart("t", "x", "y", (line, line)))
        assert drawn.count("M") >= 2
        paths = re.findall(r' d="([^"]*)" fill="none"', drawn)
        assert [path.count("M") for path in paths][:2] == [2, 2]
        assert "a&lt;b" in drawn
        assert "nan" not in drawn
