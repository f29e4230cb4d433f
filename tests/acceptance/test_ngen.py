"""Runs of ngen through a real `headrace local`: Sugar Creek, uploaded and run by the command line.

The program is the stand-in of tests/support, unless NGEN_EXECUTABLE names a real one for the test
that says so.
"""

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace_formats.detect import detect_folder
from tests.acceptance.conftest import Done, Headrace
from tests.support.example_kind import JOB, with_example
from tests.support.ngen_runs import STAND_IN, SUGAR_CREEK, copied, put_week, run_example
from tests.support.samples import sample

DAY = ["2015-12-05", "2015-12-06"]
BY_DOMAIN = """
headrace: 1
kind: ngen
name: sugar-creek
settings:
  time: [2015-12-05, 2015-12-06]
  catchments: [cat-27, cat-52, cat-67]
  library_root: /ngen
resources: {cpus: 100m, memory: 128MiB}
"""
ALL = ["cat-27.csv", "cat-52.csv", "cat-67.csv"]
NEXUSES = ["nex-26_output.csv", "nex-34_output.csv", "nex-68_output.csv"]


@pytest.fixture(scope="module")
def headrace(run_root: Path) -> Iterator[Headrace]:
    """One that is told of the stand-in as its ngen."""
    folder = run_root / "ngen"
    folder.mkdir()
    program = folder / "ngen"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    (folder / "site").mkdir()
    told = {
        "NGEN_EXECUTABLE": str(program),
        "NGEN_LIBRARY_ROOT": "/ngen",
        "PYTHONPATH": str(with_example(folder / "site")),
    }
    found = Told(folder / "home", told)
    try:
        found.up()
        yield found
    finally:
        found.local("reset", "--yes")


class Told(Headrace):
    """A Headrace that is started with more variables."""

    def __init__(self, root: Path, more: dict[str, str]) -> None:
        super().__init__(root)
        self._more = more

    @property
    def environ(self) -> dict[str, str]:
        """What a shell of this user would have."""
        kept = {key: each for key, each in os.environ.items() if not key.startswith("NGEN_")}
        return {**kept, "HEADRACE_HOME": str(self.home.root), **self._more}


@pytest.fixture
def place(headrace: Headrace, tmp_path: Path) -> Iterator[Path]:
    """A folder with Sugar Creek's data; no dataset is left for the next test."""
    copied(
        tmp_path / "fabric",
        *(f"{SUGAR_CREEK}/{each}_data.geojson" for each in ("catchment", "nexus")),
    )
    put_week(sample(f"{SUGAR_CREEK}/corrected/forcing"), tmp_path / "forcing")
    copied(tmp_path / "realization", f"{SUGAR_CREEK}/corrected/realization.json")
    names = ("pet.ini", "cfe_cat-27.ini", "cfe_cat-52.ini", "cfe_cat-67.ini")
    copied(tmp_path / "init", *(f"{SUGAR_CREEK}/corrected/{each}" for each in names))
    yield tmp_path
    headrace.delete_datasets()


def upload(headrace: Headrace, place: Path) -> None:
    """Upload all four folders, by the command line."""
    for name, category in (
        ("fabric", "HYDROFABRIC"),
        ("forcing", "FORCING"),
        ("realization", "CONFIG"),
        ("init", "CONFIG"),
    ):
        index = "HYDROFABRIC_DATA_ID" if name == "fabric" else "DATA_ID"
        done = headrace.cli(
            *("dataset", "create", f"sugar-{name}", "--category", category),
            *("--upload", str(place / name)),
            *("--domain", json.dumps({index: f"sugar-{name}"})),
        )
        assert done.returncode == 0, done.stderr


def run_file(headrace: Headrace, place: Path, text: str = BY_DOMAIN, *more: str) -> Done:
    """Run a job file to its end."""
    path = place / "job.yaml"
    path.write_text(text)
    return headrace.cli("exec", "from_file", str(path), "--follow", *more)


def outputs(headrace: Headrace, job: str, folder: Path) -> dict[str, Any]:
    """Download what a job made; gives the domain that the dataset has."""
    view = headrace.job(job)
    done = headrace.cli("jobs", "outputs", job, "--download", str(folder))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = headrace.get(f"/datasets/{view['outputs']['model']}")
    return found


def last_job(headrace: Headrace) -> str:
    """The newest job that is no child."""
    jobs = headrace.get("/jobs")["jobs"]
    return str(next(each["id"] for each in jobs if each["kind"] == "ngen"))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.csv"))


def test_a_job_file_by_domain_runs_and_its_output_is_described(
    headrace: Headrace, place: Path
) -> None:
    upload(headrace, place)
    done = run_file(headrace, place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running timestep 0" in done.stdout
    job = last_job(headrace)
    view = headrace.job(job)
    found = outputs(headrace, job, place / "got")
    assert names_in(place / "got") == [*ALL, *NEXUSES]
    assert found["format"] == "NGEN_CSV_OUTPUT"
    assert found["domain"]["TIME"] == DAY
    assert found["domain"]["CATCHMENT_ID"] == ["cat-27", "cat-52", "cat-67"]
    assert view["kind"] == "ngen"
    child = next(
        each
        for each in view["children"]
        if "are checked: forcing, init configs" in headrace.log(each)
    )
    assert "ngen-run" in headrace.log(child)
    assert run_file(headrace, place).returncode == 0
    assert not headrace.job(last_job(headrace))["children"], "what was checked is not made again"


def test_a_kind_of_a_third_party_reads_what_ngen_wrote(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    assert run_file(headrace, place).returncode == 0
    done = headrace.cli(
        *("exec", "from_file", str(JOB), "--follow", "--set", "settings.threshold_m3_s=0"),
        *("--set", "settings.time=[2015-12-05, 2015-12-06]"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = headrace.get("/jobs")["jobs"]
    job = next(each["id"] for each in jobs if each["kind"] == "exceedance")
    assert headrace.cli("jobs", "outputs", job, "--download", str(place / "hours")).returncode == 0
    (table,) = (place / "hours").rglob("hours.csv")
    assert [line.split(",")[0] for line in table.read_text().splitlines()[1:]] == [
        *("nex-26", "nex-34", "nex-68")
    ]


def test_exec_ngen_as_users_of_dmod_know_it(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    uid = str(headrace.get("/datasets/sugar-fabric")["domain"]["HYDROFABRIC_ID"])
    for name in ("fabric", "composite"):
        shutil.rmtree(place / name, ignore_errors=True)
    copied(
        place / "fabric",
        *(f"{SUGAR_CREEK}/{each}_data.geojson" for each in ("catchment", "nexus")),
    )
    done = headrace.cli(
        *("dataset", "create", "named-fabric", "--category", "HYDROFABRIC"),
        *("--upload", str(place / "fabric"), "--domain", '{"HYDROFABRIC_DATA_ID": "sugar"}'),
    )
    assert done.returncode == 0, done.stderr
    compose(place)
    done = headrace.cli(
        *("dataset", "create", "composite", "--category", "CONFIG"),
        *("--upload", str(place / "composite"), "--domain", '{"DATA_ID": "composite"}'),
    )
    assert done.returncode == 0, done.stderr
    done = headrace.cli(
        *("exec", "ngen", "2015-12-05 00:00:00 to 2015-12-06 00:00:00", "sugar", uid),
        *("composite", "1", "128MiB", "--catchment_ids", "cat-27,cat-52"),
        *("--forcings-data-id", "sugar-forcing", "--allocation-paradigm", "single-node", "-f"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs(headrace, last_job(headrace), place / "got")
    assert names_in(place / "got") == [*ALL[:2], *NEXUSES[:2]]


def test_of_two_fabrics_with_the_same_catchments_the_one_that_is_checked_runs(
    headrace: Headrace, place: Path
) -> None:
    upload(headrace, place)
    named = headrace.get("/datasets/sugar-fabric")
    for path in (place / "fabric").iterdir():
        path.write_text(path.read_text().replace('"areasqkm": ', '"areasqkm": 1'))
    done = headrace.cli(
        *("dataset", "create", "elsewhere", "--category", "HYDROFABRIC"),
        *("--upload", str(place / "fabric")),
    )
    assert done.returncode == 0, done.stderr
    other = headrace.get("/datasets/elsewhere")
    uid, other_uid = (each["domain"]["HYDROFABRIC_ID"] for each in (named, other))
    assert uid != other_uid
    assert named["domain"]["CATCHMENT_ID"] == other["domain"]["CATCHMENT_ID"]
    some = BY_DOMAIN.replace(", cat-67]", "]")
    for text, of in ((some, other), (BY_DOMAIN, other), (some, named), (BY_DOMAIN, named)):
        if of is named:  # without its id the newest is taken
            text = text.replace("settings:\n", f"settings:\n  hydrofabric_uid: {uid}\n")
        done = run_file(headrace, place, text)
        assert done.returncode == 0, done.stdout + done.stderr
        assert fabrics_of(headrace, last_job(headrace)) == {
            "config": {of["id"]},
            "fabric": {of["id"]},
        }


def fabrics_of(headrace: Headrace, job: str) -> dict[str, set[str]]:
    """The uploaded fabrics that a run's config was checked against, and that it ran."""
    made = headrace.get(f"/datasets/{headrace.job(job)['outputs']['model']}")
    read = [headrace.get(f"/datasets/{each['id']}") for each in made["derived_from"]]
    found: dict[str, set[str]] = {"config": set(), "fabric": set()}
    for each in read:
        sources = [headrace.get(f"/datasets/{of['id']}") for of in each["derived_from"]]
        fabrics = {of["id"] for of in sources or [each] if of["category"] == "HYDROFABRIC"}
        found["config" if each["category"] == "CONFIG" else "fabric"] |= fabrics
    return found


def compose(place: Path) -> None:
    """A composite config as a user may put it together himself."""
    shutil.copytree(place / "init", place / "composite")
    shutil.copy(place / "realization" / "realization.json", place / "composite")


def test_a_plan_says_what_is_missing_and_what_will_be_made(
    headrace: Headrace, place: Path
) -> None:
    path = place / "job.yaml"
    path.write_text(BY_DOMAIN)
    done = headrace.cli("exec", "plan", str(path))
    assert done.returncode == 10, done.stdout + done.stderr
    upload(headrace, place)
    done = headrace.cli("exec", "plan", str(path), "-o", "json")
    assert done.returncode == 8, done.stderr  # it waits for the check and for the composite config
    plan = json.loads(done.stdout)
    assert plan["spec"]["settings"]["executable"].endswith("/ngen")
    (config,) = (each for each in plan["data"] if each["input"] == "config")
    assert "ngen-run" in config["why"]


NGEN_CAL = """
general:
  strategy: {type: estimation, algorithm: dds}
  iterations: 3
  random_seed: 7
model:
  type: ngen
  realization: ./elsewhere/realization.json
  params:
    bmi_c_cfe: [{name: maxsmc, min: 0.2, max: 1.0, init: 0.439}]
  eval_params: {objective: kling_gupta, evaluation_start: 2015-12-02, evaluation_stop: 2015-12-04}
"""


def test_a_config_of_ngen_cal_calibrates_the_ngen_that_is_configured(
    headrace: Headrace, place: Path
) -> None:
    upload(headrace, place)
    hours = [(day, hour) for day in range(1, 8) for hour in range(24)]
    rows = [f"2015-12-{day:02} {hour:02}:00:00,{1 + hour / 24:g}" for day, hour in hours]
    (place / "seen.csv").write_text("\n".join(["time,02146562 [m3 s-1]", *rows, ""]))
    done = headrace.cli(
        *("dataset", "create", "seen", "--category", "OBSERVATION"),
        *("--upload", str(place / "seen.csv"), "--domain", '{"GAUGE_ID": "02146562"}'),
    )
    assert done.returncode == 0, done.stderr
    (place / "cal.yaml").write_text(NGEN_CAL)
    run = BY_DOMAIN.replace("[2015-12-05, 2015-12-06]", "[2015-12-01, 2015-12-04]")
    (place / "ngen.yaml").write_text(run)
    done = headrace.cli(
        *("exec", "ngen_cal", str(place / "cal.yaml"), str(place / "ngen.yaml")),
        *("--location", "02146562=nex-26", "--follow"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model.realization" in done.stderr, "it is told that this key counts nothing"
    job = next(each["id"] for each in headrace.get("/jobs")["jobs"] if each["kind"] == "ngen-cal")
    folder = place / "calibrated"
    assert headrace.cli("jobs", "outputs", job, "--download", str(folder)).returncode == 0
    (best,) = folder.rglob("best.json")
    assert 0.2 <= json.loads(best.read_text())["best"]["parameters"]["maxsmc"] <= 1
    (table,) = folder.rglob("iterations.csv")
    assert len(table.read_text().splitlines()) == 1 + 3


BY_IDS = BY_DOMAIN.replace(
    "settings:\n",
    """settings:
  hydrofabric_data_id: sugar-fabric
  forcing_data_id: sugar-forcing
  config_sources: [sugar-init, sugar-realization]
""",
)
WAYS = {"by ids": BY_IDS, "by domain": BY_DOMAIN}


def refused(headrace: Headrace, place: Path) -> dict[str, str]:
    """What the user is told of a run that holds nothing, whichever way the data is asked for."""
    upload(headrace, place)
    return {way: _refused(headrace, place, text) for way, text in WAYS.items()}


def _refused(headrace: Headrace, place: Path, text: str) -> str:
    done = run_file(headrace, place, text)
    assert done.returncode != 0
    view = headrace.job(last_job(headrace))
    assert view["status"] in ("CLOSED:DATA_FAILURE", "CLOSED:DATA_UNPROVIDEABLE"), view
    assert not view.get("allocation")
    events = [str(each.get("event")) for each in headrace.history(view["id"])]
    assert not {"ALLOCATED", "PLACED", "STARTED"} & set(events), events
    told = headrace.cli("jobs", "why", view["id"])
    assert told.returncode == 0, told.stderr
    return " ".join(told.stdout.split())


def test_an_empty_map_of_names_is_refused_through_the_door(
    headrace: Headrace, place: Path
) -> None:
    path = place / "realization" / "realization.json"
    config = json.loads(path.read_text())
    modules = config["global"]["formulations"][0]["params"]["modules"]
    modules[2]["params"]["variables_names_map"] = {}
    path.write_text(json.dumps(config))
    for way, said in refused(headrace, place).items():
        assert "variables_names_map is empty" in said, way
        assert "sloth_ice_fraction_schaake" in said, way


def test_a_loop_in_the_fabric_is_refused_through_the_door(headrace: Headrace, place: Path) -> None:
    path = place / "fabric" / "nexus_data.geojson"
    path.write_text(path.read_text().replace('"cat-26"', '"cat-27"'))
    for way, said in refused(headrace, place).items():
        assert "the hydrofabric has a loop: cat-27 → nex-26 → cat-27" in said, way


def test_wrong_units_are_refused_through_the_door(headrace: Headrace, place: Path) -> None:
    shutil.rmtree(place / "forcing")
    put_week(sample(f"{SUGAR_CREEK}/forcing"), place / "forcing")
    for way, said in refused(headrace, place).items():
        assert "it looks like m s^-1" in said, way
        assert "multiply it by 1,000" in said, way


def test_a_missing_hour_is_refused_through_the_door(headrace: Headrace, place: Path) -> None:
    path = next((place / "forcing").glob("cat-52*"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:101], *lines[102:]]))
    said = refused(headrace, place)
    assert "cat-52" in said["by ids"]
    assert "2015-12-05T04:00Z" in said["by ids"]
    assert "fill the missing rows in" in said["by ids"]
    hour = "2015-12-05T04:00Z to 2015-12-05T05:00Z"
    assert said["by domain"].count(f"AORC_CSV covers it: missing TIME {hour}; nearest:") == 1
    fix = "upload what has that time too, or ask for a time without it"
    assert fix in said["by domain"]
    done = headrace.cli("exec", "plan", str(place / "job.yaml"))
    plan = " ".join(done.stdout.split())
    assert "derived by ngen-run (config: {format: NGEN_JOB_COMPOSITE_CONFIG}" in plan
    assert "its forcing is missing (no FORCING dataset of format AORC_CSV" in plan
    assert fix in plan
    assert "config/format" not in plan


def test_a_catchment_without_forcing_is_refused_through_the_door(
    headrace: Headrace, place: Path
) -> None:
    next((place / "forcing").glob("cat-52*")).unlink()
    said = refused(headrace, place)
    assert "cat-52" in said["by ids"]
    assert "leave the catchment out of the run" in said["by ids"]
    assert "AORC_CSV covers it: missing CATCHMENT_ID cat-52; nearest:" in said["by domain"]
    assert "upload what has these too, or leave them out" in said["by domain"]


def test_an_archive_holds_the_output(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    text = BY_DOMAIN.replace("settings:\n", "settings:\n  archive: true\n")
    done = run_file(headrace, place, text)
    assert done.returncode == 0, done.stdout + done.stderr
    found = outputs(headrace, last_job(headrace), place / "got")
    assert found["format"] == "ARCHIVED_NGEN_CSV_OUTPUT"
    assert found["domain"]["TIME"] == DAY
    assert found["domain"]["CATCHMENT_ID"] == ["cat-27", "cat-52", "cat-67"]
    assert found["item_count"] == 1
    (path,) = (place / "got").rglob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = sorted(Path(each.name).name for each in archive.getmembers() if each.isfile())
    assert held == [*ALL, *NEXUSES]


def test_the_example_of_sugar_creek_runs(headrace: Headrace, place: Path) -> None:
    done = run_example(headrace.environ, "sugar-creek", "ngen-sugar-creek", place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Finished 720 timesteps." in done.stdout
    assert names_in(place / "sugar-creek-results") == [*ALL, *NEXUSES]


def test_the_example_of_the_gauge_runs_with_routing(headrace: Headrace, place: Path) -> None:
    done = run_example(headrace.environ, "gauge-01073000", "ngen-gauge-01073000", place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stand-in: nothing is routed" in done.stdout
    found = names_in(place / "gauge-01073000-results")
    assert [name for name in found if name.startswith("cat-")] == [
        f"cat-{n}.csv" for n in (11223, 11224, 11371, 11410, 11509)
    ]


@pytest.mark.skipif(not shutil.which("mpirun"), reason="mpirun is not on this machine")
def test_two_ranks_write_what_one_writes(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    assert run_file(headrace, place).returncode == 0
    outputs(headrace, last_job(headrace), place / "one")
    done = headrace.cli(
        *("dataset", "create", "two", "--category", "CONFIG", "--domain", '{"DATA_ID": "two"}'),
        *("--upload", str(sample("ngen-partitions/sugar_creek_partition_2.json"))),
    )
    assert done.returncode == 0, done.stderr
    text = BY_DOMAIN.replace("100m", "2").replace(
        "settings:\n", "settings:\n  partition_config_data_id: two\n"
    )
    done = run_file(headrace, place, text)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs(headrace, last_job(headrace), place / "two")
    assert names_in(place / "two") == [*ALL, *NEXUSES]
    for name in (*ALL, *NEXUSES):
        one, two = (next((place / each).rglob(name)).read_bytes() for each in ("one", "two"))
        assert one == two


@pytest.mark.skipif(not shutil.which("mpirun"), reason="mpirun is not on this machine")
def test_two_ranks_run_partitions_that_are_made_for_them(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    done = run_file(headrace, place, BY_DOMAIN.replace("100m", "2"))
    assert done.returncode == 0, done.stdout + done.stderr
    outputs(headrace, last_job(headrace), place / "made")
    assert names_in(place / "made") == [*ALL, *NEXUSES]


@pytest.mark.skipif(
    not os.environ.get("NGEN_EXECUTABLE"), reason="NGEN_EXECUTABLE names no real ngen"
)
def test_a_real_ngen_runs_sugar_creek(headrace: Headrace, place: Path) -> None:
    upload(headrace, place)
    program = Path(os.environ["NGEN_EXECUTABLE"])
    root = os.environ.get("NGEN_LIBRARY_ROOT", str(program.parent.parent))
    text = BY_DOMAIN.replace("/ngen", root).replace(
        "settings:\n", f"settings:\n  executable: {program}\n"
    )
    done = run_file(headrace, place, text)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs(headrace, last_job(headrace), place / "got")
    found = detect_folder(place / "got")
    assert found.domain.to_plain()["TIME"] == DAY
    assert names_in(place / "got") == [*ALL, *NEXUSES]
