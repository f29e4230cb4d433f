"""An evaluation from files to results: units, steps, gaps, weights, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_client.cli.evaluation import compared
from headrace_evaluation.__main__ import evaluate, read_spec
from headrace_evaluation.core.aligning import (
    EvaluationFailed,
    Series,
    aligned,
    factor,
    in_steps,
)
from headrace_evaluation.core.scoring import METRICS
from headrace_evaluation.datasets import open_dataset
from headrace_evaluation.reading import Place
from headrace_evaluation.worker import Evaluation
from headrace_formats.detect import detect_folder
from headrace_kinds.evaluation import Aggregate, MetricName
from headrace_model.domain import Index
from headrace_model.errors import HeadraceError
from headrace_wire.jobfile import dump, load_jobfile
from tests.support.samples import sample

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def test_the_metrics_of_the_kind_are_those_that_are_computed() -> None:
    assert [str(each) for each in MetricName] == list(METRICS)


@pytest.mark.parametrize(
    ("unit", "wanted", "area_km2", "number"),
    [
        ("ft3 s-1", "m3 s-1", None, 0.3048**3),
        ("ft^3/s", "m3/s", None, 0.3048**3),
        ("cfs", "cms", None, 0.3048**3),
        ("m3 s-1", "ft3/s", None, 0.3048**-3),
        ("mm/d", "m3 s-1", 86.4, 1.0),
        ("m/h", "m3/s", 3.6, 1000.0),
        ("kg m-2 s-1", "m3 s-1", 1.0, 1000.0),
        ("m3 s-1", "m3 s-1", None, 1.0),
    ],
)
def test_units_are_brought_together(
    unit: str, wanted: str, area_km2: float | None, number: float
) -> None:
    assert factor(unit, wanted, area_km2) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("unit", ["", "acres", "mm", "__import__('os')", "m3 s-1 " * 20, "degC"])
def test_units_of_another_kind_are_refused(unit: str) -> None:
    with pytest.raises(EvaluationFailed):
        factor(unit, "m3 s-1")


@pytest.mark.parametrize(("unit", "wanted"), [("degC", "K"), ("K", "degC"), ("degF", "degC")])
def test_units_with_a_zero_of_their_own_are_not_multiplied(unit: str, wanted: str) -> None:
    with pytest.raises(EvaluationFailed, match="their zeros differ"):
        factor(unit, wanted)
    assert factor(unit, unit) == 1


@pytest.mark.parametrize("how", list(Aggregate))
@settings(max_examples=30)
@given(
    st.lists(st.sampled_from([0.0, 1.5, 40.0, float("nan")]), min_size=1, max_size=80),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)
def test_steps_are_aggregated_as_a_loop_does(
    how: Aggregate, values: list[float], hours: int, share: float
) -> None:
    times = np.arange(len(values), dtype=np.int64) * HOUR_MS
    found = in_steps(Series(times, np.array(values), "m"), hours * HOUR_MS, 0, how, share)
    step = HOUR_MS if len(values) > 1 else hours * HOUR_MS
    wanted = {}
    for begin in range(0, len(values), hours):
        there = [each for each in values[begin : begin + hours] if each == each]
        covered = len(there) * step / (hours * HOUR_MS)
        if there and covered >= share - 1e-9:
            total = {
                "mean": sum(there) / len(there),
                "sum": sum(there) / covered,
                "max": max(there),
            }
            wanted[begin * HOUR_MS] = total[str(how)]
    assert found.times.tolist() == list(wanted)
    assert found.values.tolist() == pytest.approx(list(wanted.values()))


def test_hourly_flows_meet_daily_ones_that_begin_at_five() -> None:
    hourly = Series(np.arange(96) * HOUR_MS, np.arange(96.0), "")
    daily = Series(np.array([0, 1, 2]) * DAY_MS + 5 * HOUR_MS, np.array([1.0, np.nan, 3.0]), "")
    found = aligned(hourly, daily, 0, 4 * DAY_MS, None, Aggregate.MEAN, 1.0)
    assert found.step_ms == DAY_MS
    assert found.times.tolist() == [5 * HOUR_MS, 2 * DAY_MS + 5 * HOUR_MS]
    assert found.simulated.tolist() == [16.5, 64.5]
    late = aligned(hourly, daily, DAY_MS, 4 * DAY_MS, None, Aggregate.MEAN, 1.0)
    assert late.times.tolist() == [2 * DAY_MS + 5 * HOUR_MS]


def test_months_need_a_step() -> None:
    months = np.arange("1979-01", "1980-01", dtype="datetime64[M]").astype("datetime64[ms]")
    series = Series(months.astype(np.int64), np.arange(12.0), "")
    with pytest.raises(EvaluationFailed, match="differ in length"):
        aligned(series, series, 0, 2**60, None, Aggregate.MEAN, 1.0)


def test_a_sum_is_of_the_whole_step_where_some_is_missing() -> None:
    hourly = Series(np.arange(20) * HOUR_MS, np.ones(20), "mm")
    found = in_steps(hourly, DAY_MS, 0, Aggregate.SUM, 0.8)
    assert found.values.tolist() == pytest.approx([24.0])


def test_a_step_finer_than_the_coarser_series_is_refused() -> None:
    hourly = Series(np.arange(96) * HOUR_MS, np.arange(96.0), "")
    daily = Series(np.arange(4) * DAY_MS, np.arange(4.0), "")
    for pair in ((hourly, daily), (daily, hourly)):
        with pytest.raises(EvaluationFailed, match="a step of 6 h is finer than the 24 h of"):
            aligned(*pair, 0, 2**60, 6 * HOUR_MS, Aggregate.MEAN, 0.0)
    found = aligned(hourly, daily, 0, 2**60, DAY_MS, Aggregate.MEAN, 1.0)
    assert found.times.size == 4


def spec(**more: Any) -> dict[str, Any]:
    return {"period": ["1979-01-01", "1979-03-02"], "observed_unit": "m3 s-1",
            "simulated_unit": "m3 s-1", **more}  # fmt: skip


def table(folder: Path, columns: dict[str, list[float]]) -> Path:
    folder.mkdir()
    days = np.datetime64("1979-01-01") + np.arange(len(next(iter(columns.values()))))
    with (folder / "flow.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *columns])
        writer.writerows(zip(days, *columns.values(), strict=True))
    return folder


def run(folder: Path, said: dict[str, Any], *runs: Path) -> Any:
    path = folder / "spec.json"
    path.write_text(json.dumps(said))
    named = [f"{each.name}={each}" for each in runs]
    evaluate(read_spec(path), folder / "observed", folder / "out", named)
    return json.loads((folder / "out" / "scores.json").read_text())


FLOW = [10.0 + (day % 7) for day in range(60)]


def test_two_runs_are_scored_side_by_side_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(tmp_path / "observed", {"01000001": FLOW, "01000002": [5.0] * 60, "01000003": FLOW})
    same = table(tmp_path / "same", {"01000001": FLOW, "01000002": FLOW})
    twice = table(tmp_path / "twice", {"01000001": [2 * each for each in FLOW], "01000002": FLOW})
    found = run(tmp_path, spec(thresholds=[{"name": "high-1", "value": 14}]), same, twice)
    assert found["runs"] == ["same", "twice"]
    first, second = found["locations"]
    assert first["runs"]["same"]["scores"]["nse"] == 1
    assert first["runs"]["twice"]["scores"]["pbias"] == pytest.approx(100)
    assert first["runs"]["same"]["scores"]["csi@high-1"] == 1
    assert second["runs"]["same"]["reasons"]["nse"] == "the observations never change"
    assert found["aggregated"]["same"]["nse"]["count"] == 1
    log = capsys.readouterr().out
    assert "SCORE 01000001 same n=60 nse=1.000" in log
    assert "HEADRACE_PROGRESS 2/2" in log
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<svg") == 6
    kept = (tmp_path / "out" / "series.csv").read_bytes()
    for each in found["locations"]:
        for name, of in each["runs"].items():
            lines = kept[slice(*of["series"])].decode().splitlines()
            assert len(lines) == of["n"]
            assert {line.rpartition("Z,")[0][:-20] for line in lines} == {f"{each['id']},{name}"}
            seen, made = np.array([line.split(",")[3:] for line in lines], float).T
            pbias = 100 * (made.sum() - seen.sum()) / seen.sum()
            assert of["scores"]["pbias"] == pytest.approx(pbias, abs=1e-4)
    detected = detect_folder(tmp_path / "out", "EVALUATION_RESULT").domain
    assert detected.get(Index.GAUGE_ID) is not None
    assert detected.time is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"locations": [{"id": "a", "observed": "01000001", "simulated": "01000009"}]},
            "run tells nothing of 01000009; did you mean 01000001",
        ),
        ({"least_values": 61}, "60 pairs, fewer than least_values"),
        ({"unit": "mm"}, "can't be compared"),
        ({"simulated_unit": None}, "no unit"),
        ({"warm_up_days": 59.5}, "no location could be scored"),
    ],
)
def test_what_can_not_be_scored_is_said(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    table(tmp_path / "observed", {"01000001": FLOW})
    simulated = table(tmp_path / "run", {"01000001": FLOW})
    with pytest.raises(HeadraceError, match=said):
        run(tmp_path, spec(**more), simulated)


def test_a_gauge_that_can_not_be_aligned_leaves_the_others_their_scores(tmp_path: Path) -> None:
    columns = {"01000001": FLOW, "01000002": FLOW}
    table(tmp_path / "observed", {**columns, "01000004": FLOW})
    months = [f"{year}-{month:02}-01,5" for year in (1978, 1979) for month in range(1, 13)]
    monthly = "\n".join(["time,{id}", *months, ""])
    (tmp_path / "observed" / "monthly.csv").write_text(monthly.format(id="01000003"))
    one = table(tmp_path / "one", {**columns, "01000003": FLOW})
    two = table(tmp_path / "two", {"01000001": FLOW, "01000003": FLOW})
    (two / "monthly.csv").write_text(monthly.format(id="01000002"))
    good, half, bad = (each["runs"] for each in run(tmp_path, spec(), one, two)["locations"])
    said = "the steps of the coarser series differ in length; set step_hours"
    assert good["two"]["scores"]["nse"] == half["one"]["scores"]["nse"] == 1
    assert half["two"]["note"] == f"01000002: {said}"
    assert bad["one"]["note"] == bad["two"]["note"] == f"01000003: {said}"
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 6


def test_a_wrong_word_in_a_spec_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec(metrics=["nsee"])))
    with pytest.raises(HeadraceError, match="nse"):
        read_spec(tmp_path / "spec.json")


def test_a_named_gauge_without_coordinates_takes_those_of_a_run(tmp_path: Path) -> None:
    columns = {"01000001": FLOW}
    folders = [table(tmp_path / name, columns) for name in ("observed", "none", "one", "two")]
    observed, *runs = (open_dataset(each.name, each, None, "m3 s-1") for each in folders)
    observed.places["01000001"] = Place("Sugar Creek")
    runs[1].places["01000001"] = Place("other", -80.8, 35.0)
    runs[2].places["01000001"] = Place("", 1.0, 2.0)
    (tmp_path / "spec.json").write_text(json.dumps(spec(runs=["none", "one", "two"])))
    said = read_spec(tmp_path / "spec.json")
    by_name = {each.name: each for each in runs}
    (found,) = Evaluation(said, observed, by_name, lambda line: None).run().locations
    assert (found.name, found.lon, found.lat) == ("Sugar Creek", -80.8, 35.0)


@pytest.mark.parametrize("name", ["a@b", "a\n", "a/b", "", "<b>", "1a", "a" * 65])
def test_the_name_of_a_threshold_is_checked(tmp_path: Path, name: str) -> None:
    said = spec(thresholds=[{"name": name, "value": 14}])
    (tmp_path / "spec.json").write_text(json.dumps(said))
    with pytest.raises(HeadraceError, match=r"thresholds.*name"):
        read_spec(tmp_path / "spec.json")


def test_the_kind_makes_a_job_that_is_completed_to_itself() -> None:
    said = {"period": ["1979-01-01", "1981-01-01"], "hydrofabric": "drb", "runs": ["a", "b"],
            "locations": [{"id": "x", "areas_km2": {"cat-1": 2.5}}]}  # fmt: skip
    job = load_jobfile({"headrace": 1, "kind": "evaluation", "settings": said})
    assert job.command[:3] == ("python3", "-m", "headrace_evaluation")
    assert [each.name for each in job.requirements] == ["a", "b", "observations"]
    assert json.loads(job.files[0].content)["locations"][0]["areas_km2"] == {"cat-1": 2.5}
    assert load_jobfile(dump(job)) == job


def test_observations_are_asked_for_only_after_the_warm_up() -> None:
    said = {"period": ["1979-01-01", "1981-01-01"], "warm_up_days": 1.5}
    job = load_jobfile({"headrace": 1, "kind": "evaluation", "settings": said})
    assert {each.name: each.domain.to_plain()["TIME"] for each in job.requirements} == {
        "observations": ["1979-01-02T12:00Z", "1981-01-01"],
        "simulation": ["1979-01-01", "1981-01-01"],
    }


def test_observations_that_begin_in_the_warm_up_are_scored(tmp_path: Path) -> None:
    observed = table(tmp_path / "all", {"a": FLOW}) / "flow.csv"
    (tmp_path / "observed").mkdir()
    header, *rows = observed.read_text().splitlines()
    (tmp_path / "observed" / "flow.csv").write_text("\n".join([header, *rows[5:]]) + "\n")
    simulated = table(tmp_path / "simulation", {"a": FLOW})
    found = run(tmp_path, spec(warm_up_days=10), simulated)
    (location,) = found["locations"]
    (scores,) = location["runs"].values()
    assert scores["scores"]["nse"] == 1


def test_downloaded_results_are_compared_over_the_locations_that_all_score() -> None:
    def result(**by_id: float | None) -> dict[str, Any]:
        return {
            "runs": ["simulation"],
            "locations": [
                {"id": id_, "runs": {"simulation": {"scores": {"nse": value}}}}
                for id_, value in by_id.items()
            ],
        }

    found = compared([("one", result(a=0.5, b=0.7, c=0.1)), ("two", result(a=0.1, b=None))])
    assert found["locations"] == 2
    assert [each["median"]["nse"] for each in found["runs"]] == [pytest.approx(0.6), 0.1]
    with pytest.raises(HeadraceError, match="damaged"):
        compared([("one", {"runs": ["x"], "locations": [{}]})])


def test_ngen_and_the_usgs_are_read_at_sugar_creek(tmp_path: Path) -> None:
    said = {
        "period": ["2015-12-01", "2015-12-31"],
        "simulated_variable": "Q_OUT",
        "simulated_unit": "m/h",
        "locations": [{"id": "0214655255", "areas_km2": {"cat-27": 10.0}}],
    }
    (tmp_path / "spec.json").write_text(json.dumps(said))
    observed = tmp_path / "observed"
    observed.mkdir()
    source = sample("usgs-2015-12/2015_observations.json")
    (observed / "usgs.json").write_bytes(source.read_bytes())
    output = sample("ngen-sugar-creek/corrected/expected_output")
    evaluate(read_spec(tmp_path / "spec.json"), observed, tmp_path / "out", [f"ngen={output}"])
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    (place,) = found["locations"]
    assert place["lon"] == pytest.approx(-80.8, abs=0.3)
    assert place["runs"]["ngen"]["n"] == 600  # USGS has gaps
    assert -5 < place["runs"]["ngen"]["scores"]["kge"] < 1
