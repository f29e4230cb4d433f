"""The scores of examples/delaware/score.py, against their formulas and on small files."""

import csv
import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

HydroErr = pytest.importorskip("HydroErr", reason="score.py computes with HydroErr: not installed")
netCDF4 = pytest.importorskip("netCDF4", reason="score.py reads with netCDF4: not installed")

SCRIPT = Path(__file__).parents[2] / "examples" / "delaware" / "score.py"
CFS = 0.3048**3
NOWHERE = math.nan


def load_script() -> ModuleType:
    """Import score.py by its path: the examples are scripts, not a package."""
    spec = importlib.util.spec_from_file_location("delaware_score", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


score = load_script()

flow_values = st.floats(0.01, 10_000)


@st.composite
def pairs_of_flows(draw: st.DrawFn) -> tuple[Any, Any]:
    days = draw(st.integers(3, 60))
    simulated = draw(arrays.arrays(np.float64, days, elements=flow_values))
    observed = draw(arrays.arrays(np.float64, days, elements=flow_values))
    # Series that hardly vary make the ratios of the formulas ill-conditioned, not wrong.
    assume(np.std(observed) > 1e-3 * np.mean(observed))
    assume(np.std(simulated) > 1e-3 * np.mean(simulated))
    return simulated, observed


def kge_of_2009(simulated: Any, observed: Any) -> float:
    r = np.corrcoef(simulated, observed)[0, 1]
    alpha = np.std(simulated) / np.std(observed)
    beta = np.mean(simulated) / np.mean(observed)
    return float(1 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2))


@given(pairs_of_flows())
def test_the_metrics_follow_the_formulas_that_the_script_states(pair: tuple[Any, Any]) -> None:
    s, o = pair
    found = score.score_gauge("1", s, o)
    assert found.n == o.size
    nse = 1 - np.sum((s - o) ** 2) / np.sum((o - o.mean()) ** 2)
    assert found.nse == pytest.approx(nse, rel=1e-9, abs=1e-9)
    assert found.kge == pytest.approx(kge_of_2009(s, o), rel=1e-6, abs=1e-6)
    assert found.pbias == pytest.approx(100 * (s.sum() - o.sum()) / o.sum(), rel=1e-9, abs=1e-9)


@given(pairs_of_flows(), st.data())
def test_missing_days_of_either_side_count_as_if_they_were_not_there(
    pair: tuple[Any, Any], data: st.DataObject
) -> None:
    s, o = pair
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=o.size, max_size=o.size)))
    in_simulation = np.array(data.draw(st.lists(st.booleans(), min_size=o.size, max_size=o.size)))
    with_gaps = score.score_gauge(
        "1",
        np.where(missing & in_simulation, np.inf, s),
        np.where(missing & ~in_simulation, np.nan, o),
    )
    without = score.score_gauge("1", s[~missing], o[~missing])
    assert with_gaps.n == without.n == np.count_nonzero(~missing)
    for metric in score.METRICS:
        assert getattr(with_gaps, metric) == pytest.approx(getattr(without, metric), nan_ok=True)


def test_the_metrics_agree_with_hydroerr_on_a_random_year() -> None:
    rng = np.random.default_rng(1472000)
    o = rng.gamma(2.0, 50.0, 365)
    s = o * rng.lognormal(0.0, 0.3, 365)
    found = score.score_gauge("1", s, o)
    assert found.nse == pytest.approx(HydroErr.nse(s, o))
    assert found.kge == pytest.approx(HydroErr.kge_2009(s, o))
    assert found.kge != pytest.approx(HydroErr.kge_2012(s, o), abs=1e-3)


def test_perfect_mean_and_doubled_flows_score_what_they_must() -> None:
    o = np.array([1.0, 2.0, 3.0, 4.0])
    perfect = score.score_gauge("1", o, o)
    assert (perfect.nse, perfect.kge, perfect.pbias) == pytest.approx((1, 1, 0))
    doubled = score.score_gauge("1", 2 * o, o)
    # sum O^2 = 30, sum (O - 2.5)^2 = 5; r = 1, both ratios 2.
    assert (doubled.nse, doubled.kge, doubled.pbias) == pytest.approx((-5, 1 - math.sqrt(2), 100))
    assert score.score_gauge("1", np.full(4, 2.5), o).nse == pytest.approx(0)


@pytest.mark.parametrize(
    "observed",
    [np.zeros(4), np.full(4, 7.0), np.full(4, np.nan), np.array([7.0, np.nan, np.nan, np.nan])],
    ids=["a dry river", "a constant flow", "no observation", "one observation"],
)
def test_a_metric_without_a_value_is_nan_and_left_out_of_the_median(observed: Any) -> None:
    undefined = score.score_gauge("1", np.array([1.0, 2.0, 3.0, 4.0]), observed)
    assert math.isnan(undefined.nse)
    assert math.isnan(undefined.kge)
    others = [score.Score(str(n), 4, nse, 0.0, 0.0) for n, nse in enumerate((0.1, 0.3, 0.8))]
    assert score.median([*others, undefined], "nse") == 0.3
    assert math.isnan(score.median([undefined], "nse"))


def write_observations(folder: Path, values_cfs: Any, since: str) -> None:
    """Write a file of the shape of the sample: gauge first, ids as characters, ft3 s-1."""
    folder.mkdir()
    gauges, days = values_cfs.shape
    with netCDF4.Dataset(folder / "obs.nc", "w") as file:
        file.createDimension("poi_id", gauges)
        file.createDimension("poiid_nchars", 10)
        file.createDimension("time", days)
        ids = file.createVariable("poi_id", "S1", ("poi_id", "poiid_nchars"))
        ids.setncatts({"cf_role": "timeseries_id", "_Encoding": "ascii"})
        ids[:] = np.array([f"0{n}" for n in range(gauges)], dtype="S10")
        time = file.createVariable("time", "f4", ("time",))
        time.units = f"days since {since}"
        time[:] = np.arange(days)
        discharge = file.createVariable("discharge", "f4", ("poi_id", "time"), fill_value=np.nan)
        discharge.units = "ft3 s-1"
        discharge[:] = values_cfs


def flow(gauges: list[str], first: str, values: Any) -> Any:
    days = np.datetime64(first) + np.arange(len(values))
    return score.Flow(gauges, {}, days, np.asarray(values, dtype=float))


def test_observations_in_cubic_feet_become_cubic_metres_with_time_first(tmp_path: Path) -> None:
    write_observations(
        tmp_path / "o", np.array([[1.0, 2.0, np.nan], [10.0, 20.0, 30.0]]), "1979-01-01"
    )
    read = score.read_flow(tmp_path / "o")
    assert read.gauges == ["00", "01"]
    assert [str(day) for day in read.days] == ["1979-01-01", "1979-01-02", "1979-01-03"]
    expected = np.array([[1.0, 10.0], [2.0, 20.0], [np.nan, 30.0]]) * CFS
    np.testing.assert_allclose(read.values, expected)


def test_a_folder_with_no_file_and_a_file_with_unknown_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(score.InputError, match="holds 0 NetCDF files; exactly one is needed"):
        score.read_flow(tmp_path)
    write_observations(tmp_path / "o", np.ones((1, 3)), "1979-01-01")
    with netCDF4.Dataset(tmp_path / "o" / "obs.nc", "a") as file:
        file["discharge"].units = "acres"
    with pytest.raises(score.InputError, match="0 variables of flow"):
        score.read_flow(tmp_path / "o")


def test_flows_are_matched_by_gauge_and_date_and_the_warm_up_is_cut() -> None:
    observed = flow(["a", "b"], "1979-01-03", [[1, 10], [2, 20], [3, 30], [4, 40]])
    simulated = flow(["b", "c", "a"], "1979-01-01", [[n, 0, n] for n in range(100, 105)])
    o, s = score.align(observed, simulated, warm_up_days=3)
    assert o.gauges == s.gauges == ["a", "b"]
    assert [str(day) for day in o.days] == ["1979-01-04", "1979-01-05"]
    np.testing.assert_array_equal(o.values, [[2, 20], [3, 30]])
    np.testing.assert_array_equal(s.values, [[103, 103], [104, 104]])


def test_inputs_without_a_common_gauge_or_day_are_refused() -> None:
    observed = flow(["a"], "1979-01-01", [[1], [2]])
    with pytest.raises(score.InputError, match="no gauge is in both inputs"):
        score.align(observed, flow(["b"], "1979-01-01", [[1], [2]]), warm_up_days=0)
    with pytest.raises(score.InputError, match="no day is in both inputs after 2 days"):
        score.align(observed, flow(["a"], "1979-01-01", [[1], [2]]), warm_up_days=2)


def test_gauges_with_too_few_days_are_not_scored() -> None:
    observed = flow(["a", "b"], "1979-01-01", [[1, 1], [2, NOWHERE], [4, 3]])
    simulated = flow(["a", "b"], "1979-01-01", [[1, 1], [2, 2], [3, 3]])
    assert [one.gauge for one in score.score_all(observed, simulated, 3)] == ["a"]
    assert [one.gauge for one in score.score_all(observed, simulated, 2)] == ["a", "b"]


def test_the_best_gauges_are_shown_when_none_of_the_wanted_was_scored() -> None:
    by_nse = {"a": 0.1, "b": NOWHERE, "c": 0.9, "d": 0.5, "e": -3.0}
    scores = [score.Score(gauge, 400, nse, 0.0, 0.0) for gauge, nse in by_nse.items()]
    assert [one.gauge for one in score.choose_gauges(scores, ["e", "x"])] == ["e"]
    assert [one.gauge for one in score.choose_gauges(scores, ["x"])] == ["c", "d", "a"]


def test_the_table_holds_a_line_per_gauge_and_an_empty_cell_for_no_value(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    score.write_scores(path, [score.Score("01", 551, 0.5, NOWHERE, -7.25)])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["gauge", "n", "nse", "kge", "pbias"],
        ["01", "551", "0.500000", "", "-7.250000"],
    ]
