"""The worker of BMI models: its files, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.bmi_forcing import write_bmi_forcing
from tests.support.bmi_place import PARTS, Place
from tests.support.deriving import contents


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_files_have_ngen_s_layout_byte_for_byte(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config |= {"catchments": ["cat-3"], "variables": {"Q_OUT": "Q", "NIL": "NONE"}}
    assert place.alone(monkeypatch, "out") == {
        "cat-3.csv": b"Time Step,Time,Q_OUT,NIL\n"
        b"0,1979-01-01 00:00:00,1.5,0\n"
        b"1,1979-01-02 00:00:00,0.75,0\n"
        b"2,1979-01-03 00:00:00,0.541666667,0\n"
        b"3,1979-01-04 00:00:00,4.27083333,0\n"
    }
    assert not list(place.folder.glob("bmi-*"))


def test_a_run_of_a_part_of_the_forcing_gets_that_part(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config |= {"catchments": ["cat-3"], "begin": "1979-01-04 00:00:00"}
    assert place.alone(monkeypatch, "out")["cat-3.csv"].endswith(
        b"Q_OUT\n0,1979-01-04 00:00:00,4\n"
    )


def test_inputs_are_given_before_each_step(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config |= {"model": "tiny:Fed", "inputs": {"rain": "pr"}, "catchments": ["cat-2"]}
    assert b"0,1979-01-01 00:00:00,2\n" in place.alone(monkeypatch, "out")["cat-2.csv"]


def test_a_half_written_file_of_a_run_that_was_killed_is_written_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = place.alone(monkeypatch, "whole")
    (place.folder / "out").mkdir()
    (place.folder / "out/cat-2.csv").write_bytes(whole["cat-2.csv"][:40])
    assert place.alone(monkeypatch, "out") == whole


@pytest.mark.parametrize(
    ("model", "function", "why"),
    [
        ("Raises", "update", "it raised ZeroDivisionError: the bucket has a hole"),
        ("Nan", "get_value", "Q is nan"),
    ],
)
def test_a_model_that_fails_is_told_with_catchment_time_and_function(
    place: Place, monkeypatch: pytest.MonkeyPatch, model: str, function: str, why: str
) -> None:
    place.config |= {"model": f"tiny:{model}", "catchments": ["cat-3"]}
    with pytest.raises(SystemExit) as ended:
        place.alone(monkeypatch, "out")
    said = str(ended.value)
    assert said.startswith("catchment cat-3 at 1979-01-0")
    assert f"{function} of tiny:{model}: {why}. Look at " in said
    assert "run this catchment alone" in said
    assert "cat-3.csv" not in contents(place.folder / "out")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"variables": {"Q_OUT": "FLOW"}},
            "catchment cat-1 at 1979-01-01 00:00:00 (step 0): get_value of tiny:Bucket: "
            "it raised KeyError: 'FLOW' for FLOW. Look at",
        ),
        ({"model": "tiny:Bukcet"}, "tiny has no class Bukcet; its classes: Bucket, "),
        ({"model": "nowhere:Bucket"}, "there is no module nowhere here; name its package"),
        ({"model": "tiny:Dataset"}, "is no BMI model: it lacks initialize, update"),
        ({"model": "tiny:Late"}, "get_start_time of tiny:Late: it starts +86400 s beside"),
        ({"catchments": ["cat-7"]}, "cat-7 has no forcing: no file there has that id"),
        ({"end": "1979-01-06 00:00:00"}, "cat-1.nc, has no 1979-01-05 00:00:00, which is a step"),
        ({"config": "{{where}}"}, "names {{where}}, which is unknown; known are id, number"),
        ({"stepp": 1}, "unknown stepp"),
    ],
)
def test_what_can_not_be_run_is_refused_with_what_to_do(
    place: Place, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], said: str
) -> None:
    place.config |= change
    with pytest.raises(SystemExit) as ended:
        place.alone(monkeypatch, "out")
    assert said in str(ended.value)


def test_partitions_for_other_ranks_are_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"partitions": [{"id": n, "cat-ids": ids} for n, ids in enumerate(PARTS[4])]}
    (place.folder / "parts.json").write_text(json.dumps(config))
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="make one with 2 partitions, or ask for 4 CPUs"):
        place.alone(monkeypatch, "out", "--partitions", "parts.json")


RAIN = [3.0, 0.0, 1.0 / 3, 8.0]


def in_pieces(place: Place, *pieces: tuple[int, int], **how: Any) -> None:
    """Lay the forcing of cat-3 in several files, as a union of datasets does."""
    (place.folder / "forcing/cat-3.nc").unlink()
    for number, (begin, end) in enumerate(pieces):
        days = list(range(begin, end))
        write_bmi_forcing(
            place.folder / f"forcing/{number}/cat-3.nc", {"pr": RAIN[begin:end]}, days=days, **how
        )


@pytest.mark.parametrize(
    "pieces", [((0, 2), (2, 4)), ((2, 4), (0, 2)), ((0, 3), (1, 4)), ((3, 4), (0, 1), (1, 3))]
)
def test_pieces_of_time_are_as_one_file(
    place: Place, monkeypatch: pytest.MonkeyPatch, pieces: tuple[tuple[int, int], ...]
) -> None:
    whole = place.alone(monkeypatch, "whole")
    in_pieces(place, *pieces)
    assert place.alone(monkeypatch, "pieces") == whole
    place.config |= {"begin": "1979-01-02 00:00:00"}
    part = place.alone(monkeypatch, "part")["cat-3.csv"]
    assert part.count(b"\n") == 4
    assert not list(place.folder.glob("bmi-*"))


def test_pieces_of_csv_are_as_one_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.config |= {"model": "tiny:Fed", "inputs": {"rain": "pr"}, "catchments": ["cat-3"]}
    place.config["config"] = json.dumps({"forcing": str(place.folder / "forcing/cat-1.nc")})
    whole = place.alone(monkeypatch, "whole")
    (place.folder / "forcing/cat-3.nc").unlink()
    for name, days in (("a", (2, 3)), ("b", (0, 1, 2))):
        rows = [f"1979-01-0{day + 1} 00:00:00,{RAIN[day]!r}" for day in days]
        text = "\n".join(["time,pr", *rows, ""])
        (place.folder / f"forcing/cat-3_{name}.csv").write_text(text)
    assert place.alone(monkeypatch, "pieces") == whole


def test_pieces_that_tell_two_things_are_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config |= {"catchments": ["cat-3"]}
    in_pieces(place, (0, 3))
    other = place.folder / "forcing/other/cat-3.nc"
    write_bmi_forcing(other, {"pr": [7.0, 8.0]}, days=[2, 3])
    with pytest.raises(SystemExit, match="tells two things of 1979-01-03T00:00:00; name the data"):
        place.alone(monkeypatch, "out")
    write_bmi_forcing(other, {"pr": [1.0, 8.0]}, days=[2, 3], units={"pr": "inch d-1"})
    with pytest.raises(SystemExit, match="has pr in another form, unit or scale"):
        place.alone(monkeypatch, "out")


def test_parameters_are_put_in_with_all_their_digits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config |= {
        "config": '{"forcing": "{{forcing}}", "told": [{{K0}}, "{{unit}}", {{steps}}]}',
        "parameters": {"K0": 0.1 + 0.2, "unit": "mm", "steps": 9},
        "model": "tiny:Says",
        "catchments": ["cat-3"],
        "variables": {"K0": "Q"},
    }
    says = """
class Says(Bucket):
    def update(self):
        assert self.told["told"] == [0.1 + 0.2, "mm", 4], self.told
"""
    with (place.folder / "tiny.py").open("a") as file:
        file.write(says)
    place.alone(monkeypatch, "out")


@pytest.mark.parametrize(
    ("end", "steps"),
    [("1979-01-03", 2), ("1979-01-02T06:00:00Z", 2), ("1990-01-01", 4), ("1970-01-01", 1)],
)
def test_a_calibration_runs_no_further_than_it_scores(
    place: Place, monkeypatch: pytest.MonkeyPatch, end: str, steps: int
) -> None:
    place.config |= {"catchments": ["cat-3"]}
    monkeypatch.setenv("HEADRACE_END", end)
    lines = place.alone(monkeypatch, "out")["cat-3.csv"].splitlines()
    assert len(lines) == 1 + steps
