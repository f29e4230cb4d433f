"""Series in files of each form that evaluations and calibrations read, and files that can't be."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_evaluation.core.aligning import EvaluationFailed, Series
from headrace_evaluation.datasets import Dataset, open_dataset
from tests.support.samples import sample

netCDF4 = pytest.importorskip("netCDF4", reason="series in NetCDF need netCDF4: not installed")
pa = pytest.importorskip("pyarrow", reason="series in Parquet need pyarrow: not installed")

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
Flows = Mapping[str, np.ndarray[Any, Any]]


def opened(folder: Path, variable: str | None = None, wanted: str = "m3 s-1") -> Dataset:
    return open_dataset("it", folder, variable, wanted)


def one(data: Dataset, id_: str) -> Series:
    found, reasons = data.read([id_])
    assert not reasons
    return found[id_]


def stamps(hours: int) -> list[str]:
    return [f"{datetime.fromtimestamp(n * 3600, UTC):%Y-%m-%d %H:%M:%S}" for n in range(hours)]


def lines(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*rows, ""]))


def as_table(folder: Path, flows: Flows) -> None:
    header = ",".join(["update_flag", "time", *(f"{id_} [m3 s-1]" for id_ in flows)])
    columns = zip(*flows.values(), strict=True)
    rows = [
        ",".join(["0", time, *map(str, row)])
        for time, row in zip(stamps(len(next(iter(flows.values())))), columns, strict=True)
    ]
    lines(folder / "flow.csv", header, *rows)


def as_nexuses(folder: Path, flows: Flows) -> None:
    for id_, values in flows.items():
        rows = [f"{n}, {t}, {v}" for n, (t, v) in enumerate(zip(stamps(len(values)), values,
                                                                strict=True))]  # fmt: skip
        lines(folder / f"{id_}_output.csv", *rows)


def as_rows_of_t_route(folder: Path, flows: Flows) -> None:
    rows = [
        f"{id_.partition('-')[2]},{id_.partition('-')[0]},{time},"
        f"{-9999.0 if np.isnan(value) else value},0.1,0.2,-9999.0"
        for id_, values in flows.items()
        for time, value in zip(stamps(len(values)), values, strict=True)
    ]
    lines(folder / "troute_output.csv", ",,current_time,flow,velocity,depth,nudge", *rows)


def as_times_of_t_route(folder: Path, flows: Flows) -> None:
    for at, time in enumerate(stamps(len(next(iter(flows.values()))))):
        stamp = time.replace("-", "").replace(" ", "").replace(":", "")[:12]
        rows = [f"{id_},{values[at]}" for id_, values in flows.items()]
        lines(folder / f"{stamp}.CHRTOUT_DOMAIN1.csv", f"feature_id,{stamp}", *rows)


def as_parquet_of_t_route(folder: Path, flows: Flows) -> None:
    from pyarrow import parquet

    rows = [
        {
            "location_id": id_,
            "value": float(value if name == "streamflow" else 7),
            "value_time": datetime.fromtimestamp(n * 3600, UTC).replace(tzinfo=None),
            "variable_name": name,
            "units": unit,
        }
        for name, unit in (("streamflow", "m3/s"), ("velocity", "m/s"), ("depth", "m"))
        for id_, values in flows.items()
        for n, value in enumerate(values)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), folder / "flows.parquet", row_group_size=7)


def as_netcdf_of_t_route(folder: Path, flows: Flows) -> None:
    hours = len(next(iter(flows.values())))
    folder.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(folder / "troute.nc", "w") as file:
        file.TITLE = "OUTPUT FROM T-ROUTE"
        file.createDimension("feature_id", len(flows))
        file.createDimension("time", hours)
        names = [id_.partition("-") for id_ in flows]
        ids = file.createVariable("feature_id", "i8", ("feature_id",))
        ids[:] = [int(number) for _, _, number in names]
        kinds = file.createVariable("type", str, ("feature_id",))
        kinds[:] = np.array([kind for kind, _, _ in names], dtype=object)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "seconds since 1970-01-01 00:00:00"
        time[:] = np.arange(hours) * 3600.0
        for name, unit in (("flow", "m3 s-1"), ("nudge", "m3 s-1"), ("depth", "m")):
            data = file.createVariable(name, "f8", ("feature_id", "time"), fill_value=np.nan)
            data.units = unit
            data[:] = np.stack(list(flows.values())) if name == "flow" else 7.0


@pytest.mark.parametrize(
    "write",
    [
        as_table,
        as_nexuses,
        as_rows_of_t_route,
        as_times_of_t_route,
        as_parquet_of_t_route,
        as_netcdf_of_t_route,
    ],
)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_what_each_form_holds_is_read_to_the_last_bit(
    write: Callable[[Path, Flows], None], data: st.DataObject
) -> None:
    hours = data.draw(st.integers(1, 9))
    flow = st.one_of(st.floats(0, 1e6), st.just(float("nan")))
    ids = [f"nex-{number}" for number in data.draw(st.sets(st.integers(1, 99), min_size=1))]
    flows = {
        id_: np.array(data.draw(st.lists(flow, min_size=hours, max_size=hours))) for id_ in ids
    }
    with TemporaryDirectory() as name:
        write(Path(name), flows)
        found, reasons = opened(Path(name)).read(ids)
    assert not reasons
    for id_ in ids:
        assert found[id_].times.tolist() == [n * HOUR_MS for n in range(hours)]
        np.testing.assert_array_equal(found[id_].values, flows[id_])
        assert found[id_].unit.replace("m3/s", "m3 s-1") == "m3 s-1"


def test_what_t_route_itself_wrote_is_read_alike_in_its_three_forms(tmp_path: Path) -> None:
    series = []
    for name in ("troute_output.csv", "troute_output.nc", "flowveldepth.parquet"):
        (tmp_path / name).mkdir()
        source = sample(f"ngen-cal/troute_output/{name}")
        (tmp_path / name / name).write_bytes(source.read_bytes())
        series.append(one(opened(tmp_path / name), "wb-2420800"))
    rows, grid, parquet = series
    assert rows.times.tolist() == grid.times.tolist()
    np.testing.assert_allclose(grid.values, rows.values, rtol=1e-6)
    assert (rows.step_ms, parquet.step_ms) == (HOUR_MS, HOUR_MS // 12)
    both, at, of = np.intersect1d(rows.times, parquet.times, return_indices=True)
    assert both.size == 24
    np.testing.assert_allclose(parquet.values[of], rows.values[at], rtol=1e-5)


def test_flowveldepth_tells_no_times_and_says_what_to_take(tmp_path: Path) -> None:
    lines(tmp_path / "flowveldepth.csv", ",\"(0, 'q')\",\"(0, 'v')\",\"(0, 'd')\"", "1,2,3,4")
    with pytest.raises(EvaluationFailed, match="steps and no times; let t-route write stream_"):
        opened(tmp_path)


def grid(path: Path, **units: str) -> None:
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


def test_netcdf_by_location_and_time_is_read_with_its_gaps(tmp_path: Path) -> None:
    grid(tmp_path / "obs.nc", discharge="ft3 s-1", stage="ft")
    found = one(opened(tmp_path), "01420500")
    assert (found.times // DAY_MS).tolist() == [3287, 3288, 3289]
    np.testing.assert_array_equal(found.values, [1, 2, np.nan])
    assert one(opened(tmp_path), "01434000").values.tolist() == [4, 5, 6]
    assert one(opened(tmp_path, "stage"), "01434000").unit == "ft"
    with pytest.raises(
        EvaluationFailed, match="which variable is compared\\? It has discharge, s"
    ):
        opened(tmp_path, wanted="K")


def test_ids_of_netcdf_may_be_the_texts_of_a_dimension_of_any_name(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "model.nc", "w") as file:
        file.createDimension("outlet", 2)
        file.createDimension("time", 2)
        for name, texts in (("outlet", ["a", "b"]), ("river", ["Neversink", "Lehigh"])):
            file.createVariable(name, str, ("outlet",))[:] = np.array(texts, dtype=object)
        time = file.createVariable("time", "i4", ("time",))
        time.units = "days since 1970-01-01"
        time[:] = [0, 1]
        file.createVariable("Q", "f8", ("time", "outlet"))[:] = [[1, 2], [3, 4]]
    assert one(opened(tmp_path), "b").values.tolist() == [2, 4]


def test_a_step_of_netcdf_begins_where_its_bounds_do(tmp_path: Path) -> None:
    grid(tmp_path / "obs.nc", discharge="ft3 s-1")
    with netCDF4.Dataset(tmp_path / "obs.nc", "a") as file:
        file.createDimension("edges", 2)
        file["time"].bounds = "time_bounds"
        file.createVariable("time_bounds", "i4", ("time", "edges"))[:] = [[-1, 0], [0, 1], [1, 2]]
    assert (one(opened(tmp_path), "01420500").times // DAY_MS).tolist() == [3286, 3287, 3288]


def test_the_file_of_a_catchment_is_its_column_by_name_or_by_unit(tmp_path: Path) -> None:
    lines(tmp_path / "cat-27.csv", "Time Step,Time,P,Q [l]", "0,1970-01-01 00:00:00,1,7")
    lines(tmp_path / "cat-52_hbv.csv", "time,Q [mm/d],T [K]", "1970-01-01,8,2")
    found = one(opened(tmp_path, "Q"), "cat-27")
    assert (found.values.tolist(), found.unit) == ([7], "l")
    data = opened(tmp_path, wanted="mm/d")
    assert one(data, "cat-52").values.tolist() == [8]
    assert data.read(["cat-27"])[1] == {
        "cat-27": "it: which variable is compared? It has P, Q; say which: variable, in an "
        "evaluation observed_variable or simulated_variable"
    }


def test_a_table_is_the_series_of_its_name_where_the_variable_is_a_column(tmp_path: Path) -> None:
    lines(tmp_path / "01434000.csv", "date,flow [cfs],stage [ft]", "1970-01-01,1,2")
    assert one(opened(tmp_path, "flow"), "01434000").unit == "cfs"
    assert sorted(opened(tmp_path, "other").ids) == ["flow", "stage"]


def test_files_of_one_id_follow_each_other_or_fail_it_alone(tmp_path: Path) -> None:
    lines(tmp_path / "b.csv", "time,x,y,z [ft]", "1970-01-02,2,1,1")
    lines(tmp_path / "a.csv", "time,x,z [m]", "1970-01-01,1,1")
    lines(tmp_path / "c.csv", "time,y", "1970-01-02,1")
    found, reasons = opened(tmp_path).read(["x", "y", "z", "w"])
    assert found["x"].values.tolist() == [1, 2]
    assert reasons == {
        "y": "it: two files tell the same times of y",
        "z": "it: two files tell z in different units",
        "w": "it tells nothing of w",
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("time,x\n1970-01-02,1\n1970-01-01,1\n", "a time is not after the one before it"),
        ("time,x\n1970-01-01,1\nyesterday,1\n", "line 3, column time"),
        ("time,x\n1970-01-01,one\n", "'one' is not a number"),
        ("time,x\n1970-01-01,\udcff\n", "is not valid UTF-8"),
        ("\udc89HDF\r\n\x1a\n and no more", "it can't be opened as NetCDF"),
        ("PAR1 and no more", "it can't be read as Parquet"),
        ("time,x,x\n1970-01-01,1,1\n", "the columns need names"),
        ("time,x [m],x [ft]\n1970-01-01,1,1\n", "the columns need names, each its own"),
        ("Time Step,Time,Q,Q\n", "its name holds no cat-<number>"),
    ],
)
def test_a_file_that_can_not_be_read_costs_what_it_is_called_after(
    tmp_path: Path, content: str, why: str
) -> None:
    lines(tmp_path / "good.csv", "time,a", "1970-01-01,1")
    (tmp_path / "x.csv").write_bytes(content.encode(errors="surrogateescape"))
    data = opened(tmp_path)
    found, reasons = data.read(["a", "x", "y"])
    assert found["a"].values.tolist() == [1]
    assert reasons["x"].startswith("it: x.csv: ")
    assert why in reasons["x"]
    assert reasons["y"].startswith("it tells nothing of y; 1 of its files can't be read: it: x.c")


DAYS = [str(day) for day in np.datetime64("1979-01-01") + np.arange(60)]
FLOW = [10.0 + day % 7 for day in range(60)]


def gauges(folder: Path, *ids: str, unit: str = "m3 s-1") -> None:
    for id_ in ids:
        rows = [f"{day},{flow}" for day, flow in zip(DAYS, FLOW, strict=True)]
        lines(folder / f"{id_}.csv", f"time,{id_} [{unit}]", *rows)


def evaluated(folder: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    spec = {"period": ["1979-01-01", "1979-03-02"], **more}
    (folder / "spec.json").write_text(json.dumps(spec))
    words = ["spec.json", "observed", "out", "simulation=simulated"]
    return subprocess.run(
        [sys.executable, "-m", "headrace_evaluation", *words],
        cwd=folder, text=True, capture_output=True, check=False,
    )  # fmt: skip


def test_a_bad_file_and_a_wrong_unit_are_two_locations_that_fail(tmp_path: Path) -> None:
    ids = [f"0100000{n}" for n in range(1, 6)]
    gauges(tmp_path / "observed", *ids[:4])
    gauges(tmp_path / "simulated", *ids)
    gauges(tmp_path / "simulated", ids[1], unit="degC")
    with (tmp_path / "simulated" / f"{ids[2]}.csv").open("a") as file:
        file.write("1979-03-02,<html>502 Bad Gateway\n")
    (tmp_path / "observed" / f"{ids[4]}.csv").write_bytes(b"\x89HDF\r\n\x1a\n")
    done = evaluated(tmp_path)
    assert done.returncode == 0, done.stderr
    *_, first, second, unit, damaged, observed, summary = done.stdout.splitlines()
    assert first.startswith("can't be read: observations: 01000005.csv: it can't be opened as Net")
    assert second.startswith("can't be read: simulation: 01000003.csv: line 62")
    assert summary == "2 of 5 locations scored"
    assert unit.startswith("not scored: 01000002: 01000002: values in 'degC' can't be compared in")
    wrong = "simulation: 01000003.csv: line 62, column 01000003 [m3 s-1]: '<html>502 Bad Gateway'"
    assert damaged.startswith(f"not scored: 01000003: {wrong} is not a number")
    assert observed.startswith("not scored: 01000005: observations: 01000005.csv: it can't be op")
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert found["counts"] == {"locations": 5, "scored": 2}
    by_id = {each["id"]: each["runs"]["simulation"] for each in found["locations"]}
    assert by_id[ids[0]]["scores"]["nse"] == by_id[ids[3]]["scores"]["nse"] == 1
    assert by_id[ids[2]]["note"].startswith(wrong)
    assert [each.split(": ")[:2] for each in found["unreadable"]] == [
        ["observations", "01000005.csv"], ["simulation", "01000003.csv"],
    ]  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 of 5 locations are scored" in page
    assert "&lt;html&gt;502 Bad Gateway" in page
    assert "<html>502" not in page


def test_named_locations_fail_alone_where_a_file_can_not_be_read(tmp_path: Path) -> None:
    gauges(tmp_path / "observed", "01000001", "01000002")
    gauges(tmp_path / "simulated", "01000001")
    (tmp_path / "simulated" / "rest.csv").write_text("time,01000002\n1979-01-01\n")
    named = [{"id": "01000001"}, {"id": "01000002"}]
    done = evaluated(tmp_path, locations=named)
    assert "1 of 2 locations scored" in done.stdout, done.stderr
    assert "01000002: simulation tells nothing of 01000002; 1 of its files can't be" in done.stdout
    (tmp_path / "simulated" / "rest.csv").unlink()
    refused = evaluated(tmp_path, locations=named)
    assert refused.returncode == 1
    assert "simulation tells nothing of 01000002; did you mean 01000001" in refused.stderr


def test_an_evaluation_in_which_nothing_can_be_scored_fails_with_the_fix(tmp_path: Path) -> None:
    gauges(tmp_path / "observed", "01000001")
    gauges(tmp_path / "simulated", "01000001", unit="degC")
    done = evaluated(tmp_path)
    assert done.returncode == 1
    assert "no location could be scored; of the first: 01000001: values in 'degC'" in done.stderr
    assert "set observed_unit, simulated_unit or unit" in done.stderr
