"""The worker of BMI models as processes: its shares among ranks, its exit code, and HBV."""

import json
from pathlib import Path

import pytest

from tests.support.bmi_forcing import write_bmi_forcing
from tests.support.bmi_place import ALL, PARTS, Place
from tests.support.deriving import contents


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_ranks_write_the_files_that_one_process_writes(place: Place) -> None:
    serial = place.run("serial")
    assert list(serial) == sorted(f"{each}.csv" for each in ALL)
    for size in (2, 4):
        assert place.run(f"robin-{size}", size) == serial
    for size, parts in PARTS.items():
        config = {"partitions": [{"id": n, "cat-ids": ids} for n, ids in enumerate(parts)]}
        (place.folder / f"{size}.json").write_text(json.dumps(config))
        assert place.run(f"parts-{size}", size, "--partitions", f"{size}.json") == serial


def test_a_rank_writes_its_own_partition_only(place: Place) -> None:
    config = {"partitions": [{"id": n, "cat-ids": ids} for n, ids in enumerate(PARTS[2])]}
    (place.folder / "parts.json").write_text(json.dumps(config))
    rank = place.start("one", 1, 2, "--partitions", "parts.json")
    assert rank.wait(60) == 0
    rank.communicate()
    assert list(contents(place.folder / "one")) == ["cat-1.csv", "cat-2.csv", "cat-3.csv"]


def test_a_run_that_fails_ends_with_code_1_and_says_why(place: Place) -> None:
    place.config |= {"model": "tiny:Raises"}
    process = place.start("out")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    last = said.strip().splitlines()[-1]
    assert last.startswith(
        "catchment cat-1 at 1979-01-03 00:00:00 (step 2): update of tiny:Raises"
    )


def test_hbv_runs_a_month_and_its_water_is_there(tmp_path: Path) -> None:
    place = Place(tmp_path, ())
    for number, rain in ((1, 0.0), (2, 5.0), (3, 10.0)):
        columns = {"pr": [rain] * 31, "tas": [10.0] * 31, "evspsblpot": [1.0] * 31}
        write_bmi_forcing(tmp_path / f"forcing/cat-{number}.nc", columns)
    hbv = {
        **dict.fromkeys(
            ("precipitation_file", "potential_evaporation_file", "mean_temperature_file"),
            "{{forcing}}",
        ),
        "parameters": "2,0.9,250,2,1,2,0.1,0.01,3",
        "initial_storage": "0,100,0,10,0",
    }
    place.config |= {
        "model": "HBV:HBV",
        "end": "1979-02-01 00:00:00",
        "config_name": "hbv.json",
        "config": json.dumps(hbv),
    }
    made = place.run("out")
    totals = []
    for number in (1, 2, 3):
        lines = made[f"cat-{number}.csv"].decode().splitlines()
        assert len(lines) == 32
        assert lines[31].startswith("30,1979-01-31 00:00:00,")
        totals.append(sum(float(line.split(",")[2]) for line in lines[1:]))
    assert 0 < totals[0] < totals[1] < totals[2] < 31 * 10 + 110
    assert place.run("ranks", 2) == made
