"""Flows of t-route in Parquet, and what ngen-cal keeps of a calibration."""

import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_formats import parquet
from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file, validate_folder
from tests.support.format_samples import OBJECTIVE
from tests.support.parquet_samples import HOUR_US, UNITS, flows
from tests.support.samples import sample


def written(path: Path, columns: Any, **more: Any) -> Path:
    pq.write_table(pa.table(columns), path, **more)
    return path


def found_in(path: Path) -> list[str]:
    return [f"{each.severity} {each}" for each in validate_file(path).findings]


def test_real_flows_in_parquet_tell_their_elements_and_times() -> None:
    found = detect_folder(sample("ngen-cal/troute_output/flowveldepth.parquet"))
    assert (found.format, found.notes) == ("T_ROUTE_PARQUET", ())
    assert found.domain.to_plain() == {
        "TIME": ["2023-04-02T00:05Z", "2023-04-03T00:05Z"],
        "ELEMENT_ID": "wb-2420800",
    }


@given(
    ids=st.sets(st.integers(1, 99), min_size=1, max_size=5),
    first=st.integers(0, 99),
    count=st.integers(2, 6),
    rows=st.integers(1, 7),
    shuffle=st.booleans(),
)
def test_flows_are_found_whatever_their_row_groups(
    tmp_path_factory: Any, ids: set[int], first: int, count: int, rows: int, shuffle: bool
) -> None:
    names = [f"wb-{id_}" for id_ in ids]
    if shuffle:
        random.Random(first).shuffle(names)  # noqa: S311
    columns = flows(names, list(range(first, first + count)))
    path = tmp_path_factory.mktemp("x") / "f.parquet"
    found = detect_file(written(path, columns, row_group_size=rows))
    assert found.format == "T_ROUTE_PARQUET"
    assert {name for name, _ in found.found.variables} == set(UNITS)
    for _, domain in found.found.variables:
        assert domain.time is not None
        assert domain.time.intervals == (
            (first * HOUR_US // 1000, (first + count) * HOUR_US // 1000),
        )


def changed(**more: Any) -> dict[str, Any]:
    return flows(["wb-1", "wb-2"], [0, 1], ("streamflow",)) | more


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (changed(value=[-1.0, 0, 0, 0]), "WARNING variable streamflow: a flow is below 0"),
        (changed(value=[9e5, 0, 0, 0]), "WARNING variable streamflow: a flow is above 500,000"),
        (changed(value=[None, 0.1, 0, 0]), "WARNING variable streamflow: a flow is no finite"),
        (changed(value=["a"] * 4), "column value: it must hold numbers, not string"),
        (changed(units=["ft3/s"] * 4), "streamflow: its unit is 'ft3/s', not m3/s"),
        (changed(location_id=[None, "a", "b", "c"]), "column location_id: 1 are missing"),
        (changed(location_id=[1, 2, 3, 4]), "column location_id: it must hold texts, not int64"),
        (changed(location_id=["wb-1"] * 4), "1970-01-01 of wb-1 is not after the one before"),
        (
            changed(location_id=["wb-1", "wb-2", "wb-1", "wb-3"]),
            "variable streamflow: not each of 3 elements has each of 2 times",
        ),
        (changed(value_time=[1, 2, 3, 4]), "column value_time: it must hold times, not int64"),
        (
            changed(value_time=pa.array([1, 1, 2, 2], pa.timestamp("us"))),
            "value_time: times are kept in whole milliseconds",
        ),
        (
            changed(value_time=pa.array([0, 0, 1 << 60, 1 << 60], pa.timestamp("ms"))),
            "lies outside the years 0001 to 9999",
        ),
        ({"location_id": ["a"]}, "there is no column variable_name"),
    ],
)
def test_what_is_wrong_in_flows_is_said(tmp_path: Path, columns: Any, said: str) -> None:
    found = detect_or_say(written(tmp_path / "x.parquet", columns))
    assert any(said in each for each in found), found


def detect_or_say(path: Path) -> list[str]:
    try:
        warned = detect_file(path, "T_ROUTE_PARQUET").warnings
    except FormatError as error:
        return [f"ERROR {error.message}"]
    return [f"WARNING {each}" for each in warned]


@given(data=st.data())
def test_a_file_that_is_cut_says_so(tmp_path_factory: Any, data: st.DataObject) -> None:
    path = written(tmp_path_factory.mktemp("x") / "f.parquet", changed())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(4, len(whole) - 1))])
    with pytest.raises(FormatError, match=r"f\.parquet.*can't be read as .*Parquet"):
        detect_file(path, "T_ROUTE_PARQUET")
    assert detect_file(path).format == "GENERIC"


def test_without_pyarrow_a_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "f.parquet", changed())
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    found = detect_file(path)
    assert found.format == "GENERIC"
    assert "needs the Python package pyarrow" in found.problems[0]
    with pytest.raises(FormatError) as caught:
        detect_file(path, "T_ROUTE_PARQUET")
    assert "headrace[parquet]" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("MOST_ROWS", "claims to hold 4 rows"),
        ("_MOST_COLUMNS", "claims to hold 5 columns"),
        ("_MOST_GROUPS", "claims to hold 4 row groups"),
        ("_MOST_GROUP_BYTES", "row group 0 claims to take"),
    ],
)
def test_sizes_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    path = written(tmp_path / "f.parquet", changed(), row_group_size=1)
    monkeypatch.setattr(parquet, limit, 3)
    assert said in detect_or_say(path)[0]


# ngen-cal

PARAMETERS: dict[str, Any] = {
    "param": ["satdk", "slope"],
    "model": ["CFE", "CFE"],
    "min": [0.0, 0.0],
    "max": [1.0, 1.0],
    "0": [0.5, 0.5],
    "1": [0.25, 0.5],
}


def test_the_folder_of_a_worker_is_one_dataset(tmp_path: Path) -> None:
    (tmp_path / "ngen_objective.txt").write_text(OBJECTIVE)
    (tmp_path / "ngen_best_params.txt").write_text("2\n1\n0.75\n")
    written(tmp_path / "cat-27_parameter_df_state.parquet", PARAMETERS)
    (tmp_path / "ngen.log").write_text("time, what\n12, begins\nok\n")
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == ("NGEN_CAL_OUTPUT", ())
    (tmp_path / "ngen_best_params.txt").write_text("2\n1\n0.5\n")
    [note] = detect_folder(tmp_path).notes
    assert "not that of its iteration 1 in the objective log (0.75)" in note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0, 1.0\n2, 1.0\n", "WARNING line 2: iteration 2 comes after 0"),
        ("5, 1.0\n6, 1.0\n", "WARNING line 1: not from 0"),
        ("0, nan\n", "WARNING line 1: the score is no finite number"),
        ("0, 1.0\n1 0.5\n", "ERROR line 2: it is not `iteration, score`"),
        ("0, 1.1.1\n", "line 1: '1.1.1' is not a number"),
        ("3\n4\n0.5\n", "ERROR line 2: the best iteration, 4, is after the last, 3"),
    ],
)
def test_what_is_wrong_in_a_calibration_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    found = found_in(path)
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"1": [2.0, 0.5]}, "WARNING column 1, parameter satdk: 2 is outside 0 to 1"),
        ({"1": [None, 0.5]}, "WARNING column 1, parameter satdk: a number is missing"),
        ({"max": ["a", "b"]}, "column max: it must hold numbers, not string"),
    ],
)
def test_what_is_wrong_in_parameters_is_said(tmp_path: Path, more: Any, said: str) -> None:
    written(tmp_path / "x.parquet", PARAMETERS | more)
    [validated] = validate_folder(tmp_path, "NGEN_CAL_OUTPUT")
    found = [f"{each.severity} {each}" for each in validated.findings]
    assert any(said in each for each in found), found
