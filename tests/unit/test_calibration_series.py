"""Calibration: the series that are compared, their units, and the steps that count."""

import re
from pathlib import Path

import numpy as np
import pytest

from headrace_calibration.core.periods import Periods, Span
from headrace_calibration.core.svg import Chart, Line, draw
from headrace_calibration.metrics import paired
from headrace_calibration.series import factor_between, pick, read_columns
from headrace_evaluation.core.marks import round_numbers, thinned
from headrace_model.errors import InvalidInput

netCDF4 = pytest.importorskip("netCDF4", reason="series in NetCDF need netCDF4: not installed")

_DAY = 86_400_000


def _grid(path: Path, **units: str) -> None:
    """A file as the observations of PRMS are: ids as characters, locations first."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("poi_id", 2)
        file.createDimension("time", 3)
        file.createDimension("letters", 10)
        ids = file.createVariable("poi_id", "S1", ("poi_id", "letters"))
        ids._Encoding = "ascii"
        ids[:] = np.array(["01420500", "01434000"], dtype="S10")
        time = file.createVariable("time", "i4", ("time",))
        time.units = "days since 1979-01-01"
        time[:] = [0, 1, 2]
        for name, unit in units.items():
            data = file.createVariable(name, "f4", ("poi_id", "time"), fill_value=-1)
            data.units = unit
            data[:] = [[1, 2, -1], [4, 5, 6]]


class TestReading:
    """Files of models and of observations."""

    def test_columns_of_a_table_are_locations_and_may_tell_their_unit(
        self, tmp_path: Path
    ) -> None:
        text = "time,01420500 [ft3 s-1],outlet\n1970-01-01,1,2\n1970-01-02,,3\n"
        (tmp_path / "flow.csv").write_text(text)
        found = read_columns(tmp_path, None)
        times, values = pick(found, "01420500", "m3 s-1", "it")
        assert times.tolist() == [0, _DAY]
        np.testing.assert_allclose(values, [0.3048**3, np.nan])
        np.testing.assert_array_equal(pick(found, "outlet", "m3 s-1", "it")[1], [2, 3])
        np.testing.assert_array_equal(pick(found, "01420500", None, "it")[1], [1, np.nan])

    def test_a_catchments_file_of_ngen_is_a_location_by_its_name(self, tmp_path: Path) -> None:
        for name in ("cat-27", "cat-52"):
            (tmp_path / f"{name}.csv").write_text(
                "Time Step,Time,Q,P\n0,1970-01-01 00:00:00,7,1\n"
            )
        found = read_columns(tmp_path, "Q")
        assert sorted(found) == ["cat-27", "cat-52"]
        assert found["cat-27"].series[1].tolist() == [7]

    def test_a_nexus_file_of_ngen_has_no_header(self, tmp_path: Path) -> None:
        rows = "0, 1970-01-01 00:00:00, 7.5\n1, 1970-01-01 01:00:00, 8\n"
        (tmp_path / "nex-26_output.csv").write_text(rows)
        times, flow = pick(read_columns(tmp_path, None), "nex-26", "l/s", "it")
        assert times.tolist() == [0, 3_600_000]
        np.testing.assert_allclose(flow, [7500, 8000])

    def test_netcdf_by_location_and_time_is_read_with_its_gaps(self, tmp_path: Path) -> None:
        _grid(tmp_path / "obs.nc", discharge="ft3 s-1")
        found = read_columns(tmp_path, None)
        times, values = pick(found, "01420500", None, "it")
        assert (times // _DAY).tolist() == [3287, 3288, 3289]
        np.testing.assert_array_equal(values, [1, 2, np.nan])
        assert pick(found, "01434000", None, "it")[1].tolist() == [4, 5, 6]

    def test_a_step_of_netcdf_begins_where_its_bounds_do(self, tmp_path: Path) -> None:
        _grid(tmp_path / "obs.nc", discharge="ft3 s-1")
        with netCDF4.Dataset(tmp_path / "obs.nc", "a") as file:
            file.createDimension("edges", 2)
            file["time"].bounds = "time_bounds"
            file.createVariable("time_bounds", "i4", ("time", "edges"))[:] = [
                [-1, 0], [0, 1], [1, 2],
            ]  # fmt: skip
        times = pick(read_columns(tmp_path, None), "01420500", None, "it")[0]
        assert (times // _DAY).tolist() == [3286, 3287, 3288]

    def test_times_that_fall_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("time,x\n1970-01-02,1\n1970-01-01,1\n")
        with pytest.raises(InvalidInput, match=r"a\.csv: a time is not after the one before"):
            read_columns(tmp_path, None)

    def test_which_of_two_variables_has_to_be_said(self, tmp_path: Path) -> None:
        _grid(tmp_path / "obs.nc", discharge="ft3 s-1", stage="ft")
        with pytest.raises(InvalidInput, match=r"obs\.nc has discharge, stage: say which"):
            read_columns(tmp_path, None)
        assert read_columns(tmp_path, "stage")["01420500"].unit == "ft"

    def test_what_is_not_there_or_twice_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("time,x\n1970-01-01,1\n")
        with pytest.raises(InvalidInput, match="it tells nothing of y; it tells of x"):
            pick(read_columns(tmp_path, None), "y", None, "it")
        (tmp_path / "b.csv").write_text("time,x\n1970-01-01,1\n")
        with pytest.raises(InvalidInput, match="x stands in two files"):
            read_columns(tmp_path, None)

    @pytest.mark.parametrize(
        ("unit", "wanted", "factor"),
        [
            ("ft3 s-1", "m3 s-1", 0.3048**3),
            ("ft^3/s", "m3/s", 0.3048**3),
            ("m3 h-1", "l/s", 1 / 3.6),
        ],
    )
    def test_units_are_brought_into_one(self, unit: str, wanted: str, factor: float) -> None:
        assert factor_between(unit, wanted, "it") == pytest.approx(factor)

    @pytest.mark.parametrize("unit", ["mm d-1", "wishes", "-2 m3 s-1"])
    def test_units_without_a_way_are_refused(self, unit: str) -> None:
        with pytest.raises(InvalidInput, match=f"it: {unit} can't be brought into m3 s-1"):
            factor_between(unit, "m3 s-1", "it")

    def test_a_unit_is_short(self) -> None:
        for pair in (("m" * 65, "m"), ("m", "9**" * 30 + "9")):
            with pytest.raises(InvalidInput, match="it: a unit has at most 64 characters"):
                factor_between(*pair, "it")

    @pytest.mark.parametrize(("unit", "wanted"), [("degC", "K"), ("K", "degF"), ("degC", "degF")])
    def test_units_that_no_factor_leads_to_are_refused(self, unit: str, wanted: str) -> None:
        with pytest.raises(
            InvalidInput, match=f"it: {unit} can't be brought into {wanted}: .*zero"
        ):
            factor_between(unit, wanted, "it")


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


class TestPairing:
    """What is compared with what."""

    def test_only_steps_count_that_both_have_as_numbers(self) -> None:
        run = (np.array([0, 10, 20, 30, 40, 50]), np.array([0.0, 1, np.nan, 3, 4, 9]))
        seen = (np.array([10, 20, 30, 40, 50]), np.array([5.0, 6, 7, np.inf, 9]))
        pairs = paired(run, seen, Span(10, 50))
        assert (pairs.times.tolist(), pairs.simulated.tolist(), pairs.observed.tolist()) == (
            [10, 30],
            [1, 3],
            [5, 7],
        )

    def test_hours_are_compared_with_days_by_the_mean_of_a_day(self) -> None:
        hours = (np.arange(72) * _HOUR, np.arange(72.0))
        days = (np.arange(3) * _DAY, np.array([1.0, 2, 3]))
        pairs = paired(hours, days, Span(0, 3 * _DAY))
        assert pairs.step_ms == _DAY
        assert pairs.times.tolist() == [0, _DAY, 2 * _DAY]
        assert pairs.simulated.tolist() == [11.5, 35.5, 59.5]
        other = paired(days, hours, Span(_DAY, 3 * _DAY))
        assert other.observed.tolist() == [35.5, 59.5]

    def test_a_day_that_is_mostly_missing_does_not_count(self) -> None:
        values = np.arange(72.0)
        values[24:30] = np.nan
        days = (np.arange(3) * _DAY, np.array([1.0, 2, 3]))
        pairs = paired((np.arange(72) * _HOUR, values), days, Span(0, 3 * _DAY))
        assert pairs.times.tolist() == [0, 2 * _DAY]

    def test_steps_that_do_not_fit_are_refused_by_their_lengths(self) -> None:
        five = (np.arange(20) * 5 * _HOUR, np.arange(20.0))
        days = (np.arange(4) * _DAY, np.arange(4.0))
        with pytest.raises(InvalidInput, match="simulated is 5 h, the one observed 24 h"):
            paired(five, days, Span(0, 4 * _DAY))
        uneven = (np.array([0, 24, 48, 77, 101, 136]) * _HOUR, np.arange(6.0))
        hours = (np.arange(150) * _HOUR, np.arange(150.0))
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
