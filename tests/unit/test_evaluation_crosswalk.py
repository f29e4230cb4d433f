"""Runoff of all catchments upstream of a location, as a hydrofabric tells them, is its flow."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_evaluation.__main__ import evaluate, read_spec
from headrace_evaluation.core.aligning import EvaluationFailed, Flow, Series, factor
from headrace_evaluation.crosswalk import Crosswalk
from headrace_evaluation.datasets import open_dataset
from headrace_evaluation.gathering import Units, simulated
from headrace_kinds.evaluation import Location
from headrace_model.errors import HeadraceError, InvalidSpec
from headrace_wire.jobfile import dump, load_jobfile
from tests.support.format_samples import catchment, collection, nexus
from tests.support.samples import sample

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("unit", "step_ms", "number"),
    [
        ("mm/d", HOUR_MS, 1.0),
        ("mm", DAY_MS, 1.0),
        ("mm", HOUR_MS, 24.0),
        ("m", HOUR_MS, 24_000.0),
        ("kg m-2", DAY_MS, 1.0),
    ],
)
def test_a_depth_over_an_area_is_a_flow(unit: str, step_ms: int, number: float) -> None:
    assert factor(unit, "m3 s-1", 86.4, step_ms) == pytest.approx(number, rel=1e-12)


def test_a_flow_is_missing_where_a_depth_is() -> None:
    flow, times = Flow("m3 s-1"), np.arange(2) * DAY_MS
    flow.add("cat-1", Series(times, np.array([1.0, 2.0]), "mm/d"), 86.4)
    flow.add("cat-2", Series(times, np.array([2.0, np.nan]), "mm"), 43.2)
    assert flow.series.values[0] == pytest.approx(2.0)
    assert np.isnan(flow.series.values[1])
    with pytest.raises(EvaluationFailed, match="cat-3 has other times"):
        flow.add("cat-3", Series(times + 1, np.ones(2), "mm"), 1)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_flow_at_each_nexus_is_what_a_walk_down_the_river_brings(data: st.DataObject) -> None:
    """Catchment n flows to nexus `to[n]`, which flows to the catchment of its own number."""
    count = data.draw(st.integers(1, 90))
    to = {n: data.draw(st.integers(n + 1, count + 1)) for n in range(1, count + 1)}
    areas = {n: data.draw(st.floats(0.1, 50)) for n in to}
    depths = {n: data.draw(st.floats(0, 10)) for n in to}
    wanted = dict.fromkeys(to.values(), 0.0)
    for n in to:
        at = n
        while at in to:
            at = to[at]
            wanted[at] += depths[n] * areas[n] * 1000 / 86_400
    features = [catchment(n, below, areasqkm=areas[n]) for n, below in to.items()]
    features += [nexus(n, n if n in to else 0) for n in wanted]
    with TemporaryDirectory() as name:
        fabric, run = Path(name, "fabric"), Path(name, "run")
        fabric.mkdir()
        run.mkdir()
        (fabric / "fabric.geojson").write_bytes(collection(features))
        columns = ",".join(f"cat-{n} [mm]" for n in to)
        row = ",".join(str(depths[n]) for n in to)
        (run / "runoff.csv").write_text(f"time,{columns}\n1979-01-01,{row}\n1979-01-02,{row}\n")
        found, reasons = Crosswalk(fabric).areas_km2([f"nex-{n}" for n in wanted])
        assert not reasons
        places = [Location(f"nex-{n}", areas_km2=found[f"nex-{n}"]) for n in wanted]
        series, reasons = simulated(
            open_dataset("it", run, None, "mm"), places, Units("m3 s-1", None)
        )
    assert not reasons
    for n, flow in wanted.items():
        assert series[f"nex-{n}"].values.tolist() == pytest.approx([flow, flow], rel=1e-9)


def test_the_fabrics_of_ngen_tell_the_basins_of_their_gauges() -> None:
    for place, gauge, count, area_km2 in (
        ("ngen-sugar-creek", "0214655255", 1, 18.922),
        ("ngen-gauge-01073000", "01073000", 5, 31.656),
        ("troute-hyfeature", "01069700", 3, 26.845),
    ):
        folder = sample(place)
        (path,) = list(folder.glob("*.gpkg")) or [folder]
        crosswalk = Crosswalk(path)
        assert gauge in crosswalk.gauges
        found, reasons = crosswalk.areas_km2([f"gages-{gauge}", "gages-99999999", "cat-0"])
        areas = found[f"gages-{gauge}"]
        assert (len(areas), round(sum(areas.values()), 3)) == (count, area_km2)
        assert "the hydrofabric has no gauge 99999999; known are" in reasons["gages-99999999"]
        assert "the hydrofabric has no cat-0; " in reasons["cat-0"]


def run(folder: Path, said: dict[str, Any], simulation: Path, fabric: Path) -> Any:
    (folder / "spec.json").write_text(json.dumps(said))
    words = [f"simulation={simulation}", f"hydrofabric={fabric}"]
    evaluate(read_spec(folder / "spec.json"), folder / "observed", folder / "out", words)
    return json.loads((folder / "out" / "scores.json").read_text())


def test_depths_that_ngen_wrote_come_to_the_flow_that_ngen_wrote(tmp_path: Path) -> None:
    output = sample("ngen-sugar-creek/corrected/expected_output")
    (tmp_path / "observed").mkdir()
    (tmp_path / "run").mkdir()
    for nexus_, name in ((26, "cat-27"), (34, "cat-52"), (68, "cat-67")):
        flow = (output / f"nex-{nexus_}_output.csv").read_bytes()
        (tmp_path / "observed" / f"nex-{nexus_}_output.csv").write_bytes(flow)
        (tmp_path / "run" / f"{name}.csv").write_bytes((output / f"{name}.csv").read_bytes())
    said = {
        "period": ["2015-12-01", "2015-12-31"], "metrics": ["nse", "pbias"],
        "simulated_variable": "Q_OUT", "simulated_unit": "m",
        "locations": [{"id": f"nex-{n}", "upstream": f"nex-{n}"} for n in (26, 34, 68)],
    }  # fmt: skip
    found = run(tmp_path, said, tmp_path / "run", sample("ngen-sugar-creek"))
    for each in found["locations"]:
        assert each["catchments"]["count"] == 1
        assert each["runs"]["simulation"]["n"] == 720
        assert each["runs"]["simulation"]["scores"]["nse"] == pytest.approx(1, abs=1e-6)
        assert each["runs"]["simulation"]["scores"]["pbias"] == pytest.approx(0, abs=1e-3)


@pytest.fixture
def basin(tmp_path: Path) -> Path:
    """cat-1 and cat-2 into nex-3, that into cat-3; cat-9, without an area, into nex-10."""
    fabric = tmp_path / "fabric"
    fabric.mkdir()
    features = [catchment(1, 3), catchment(2, 3), catchment(3, 4), nexus(3, 3), nexus(4, 0)]
    features += [catchment(9, 10, areasqkm=None), nexus(10, 0)]
    (fabric / "fabric.geojson").write_bytes(collection(features))
    sites = {"cat-1": "01000001", "cat-3": "01000003", "cat-9": "01000009"}
    crosswalk = {id_: {"site_no": site} for id_, site in sites.items()}
    (fabric / "crosswalk.json").write_text(json.dumps(crosswalk))
    days = np.datetime64("1979-01-01") + np.arange(40)
    for name, header in (
        ("observed", "01000001 [m3 s-1],01000003 [m3 s-1],01000009 [m3 s-1],01000007 [m3 s-1]"),
        ("run", "cat-1 [mm/d],cat-2 [mm/d],cat-3 [mm/d]"),
    ):
        (tmp_path / name).mkdir()
        width = header.count(",") + 1
        rows = [",".join([str(day), *[str(1 + n % 5)] * width]) for n, day in enumerate(days)]
        (tmp_path / name / "table.csv").write_text("\n".join([f"time,{header}", *rows]) + "\n")
    return tmp_path


def test_all_gauges_of_a_fabric_are_scored_without_a_list(basin: Path) -> None:
    said = {"period": ["1979-01-01", "1979-02-10"], "upstream": True}
    found = run(basin, said, basin / "run", basin / "fabric")
    by_id = {each["id"]: each for each in found["locations"]}
    assert sorted(by_id) == ["01000001", "01000003", "01000009"]
    counts = {id_: each["catchments"]["count"] for id_, each in by_id.items() if id_[-1] != "9"}
    assert counts == {"01000001": 1, "01000003": 3}
    beside = [by_id[id_]["runs"]["simulation"]["scores"]["pbias"] + 100 for id_ in counts]
    assert beside[1] / beside[0] == pytest.approx(3)
    note = by_id["01000009"]["runs"]["simulation"]["note"]
    assert note == "the hydrofabric tells no area of cat-9, up of gages-01000009"


def test_a_catchment_that_the_run_lacks_costs_the_locations_below_it(basin: Path) -> None:
    path = basin / "run" / "table.csv"
    path.write_text(path.read_text().replace("cat-2 ", "cat-4 "))
    said = {"period": ["1979-01-01", "1979-02-10"], "upstream": True}
    found = run(basin, said, basin / "run", basin / "fabric")
    scored = {each["id"]: each["runs"]["simulation"] for each in found["locations"]}
    assert scored["01000001"]["scores"]
    assert scored["01000003"]["note"] == "01000003: simulation tells nothing of cat-2"


def test_what_fits_no_fabric_is_refused_with_the_fix(basin: Path) -> None:
    period = ["1979-01-01", "1979-02-10"]
    (basin / "fabric" / "crosswalk.json").unlink()
    with pytest.raises(HeadraceError, match="gauges of the hydrofabric have no id in common"):
        run(basin, {"period": period, "upstream": True}, basin / "run", basin / "fabric")
    with pytest.raises(HeadraceError, match="there is no hydrofabric in"):
        run(basin, {"period": period, "upstream": True}, basin / "run", basin / "run")
    loop = [catchment(1, 2), nexus(2, 2), catchment(2, 1), nexus(1, 1)]
    (basin / "fabric" / "fabric.geojson").write_bytes(collection(loop))
    said = {"period": period, "locations": [{"id": "01000001", "upstream": "cat-1"}]}
    with pytest.raises(HeadraceError, match="loop"):
        run(basin, said, basin / "run", basin / "fabric")


def job(**settings: Any) -> dict[str, Any]:
    return {"headrace": 1, "kind": "evaluation",
            "settings": {"period": ["1979-01-01", "1981-01-01"], **settings}}  # fmt: skip


def test_the_kind_asks_for_the_fabric_where_runoff_is_summed() -> None:
    spec = load_jobfile(job(upstream=True, hydrofabric="drb"))
    asked = {each.name: each for each in spec.requirements}
    assert sorted(asked) == ["hydrofabric", "observations", "simulation"]
    assert asked["hydrofabric"].domain.to_plain() == {"HYDROFABRIC_DATA_ID": "drb"}
    assert spec.command[-1] == "hydrofabric={hydrofabric}"
    assert load_jobfile(dump(spec)) == spec
    own = {"hydrofabric": {"category": "HYDROFABRIC", "domain": {"DATA_ID": "mine"}}}
    spec = load_jobfile(job(locations=[{"id": "a", "upstream": "nex-3"}]) | {"inputs": own})
    (mine,) = (each for each in spec.requirements if each.name == "hydrofabric")
    assert mine.domain.to_plain() == {"DATA_ID": "mine"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"upstream": True}, "settings.hydrofabric: say by which the runoff is summed"),
        ({"locations": [{"id": "a", "upstream": "river-1"}]}, "'river-1' is no element: write"),
        (
            {"locations": [{"id": "a", "upstream": "cat-1", "simulated": "cat-1"}]},
            "say simulated or upstream, not both",
        ),
        ({"runs": ["hydrofabric"]}, "name inputs with simulations, not hydrofabric"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: Any, why: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        load_jobfile(job(**settings))
    assert why in str(raised.value)
