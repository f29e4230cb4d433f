"""What a job misses is made from what is there, in a real `headrace local`."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Headrace, until
from tests.support.samples import sample

CATCHMENTS = ("cat-27", "cat-52", "cat-67")
DECEMBER = ["2015-12-01", "2015-12-31"]


@pytest.fixture(scope="module")
def sugar(headrace: Headrace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forcing of Sugar Creek by its shapes: `csv`, `netcdf`, one folder a catchment."""
    forcing = sample("ngen-sugar-creek/forcing")
    root = tmp_path_factory.mktemp("sugar")
    for place in ("csv", "netcdf", *CATCHMENTS):
        (root / place).mkdir()
    for file in forcing.glob("*.csv"):
        shutil.copy(file, root / "csv")
        shutil.copy(file, root / file.name.split("_")[0])
    for file in forcing.glob("*.nc"):
        shutil.copy(file, root / "netcdf")
    return root


@pytest.fixture
def there(headrace: Headrace) -> Iterator[None]:
    """No dataset is left for the next test."""
    yield
    headrace.delete_datasets()


def put(headrace: Headrace, name: str, folder: Path) -> str:
    made = headrace.said(
        "dataset", "create", name, "--category", "FORCING", "--upload", str(folder)
    )
    return str(made["id"])


def wants(**said: Any) -> dict[str, Any]:
    domain = {"TIME": DECEMBER, "CATCHMENT_ID": list(CATCHMENTS)} | said.pop("domain", {})
    return {"category": "FORCING", "format": "AORC_CSV", "domain": domain, **said}


def run(headrace: Headrace, wanted: dict[str, Any]) -> tuple[Any, list[str]]:
    """Run a job that lists its input; gives the job and what it saw."""
    job = headrace.submit("sh", "-c", "cd {forcing} && find . -type f", inputs={"forcing": wanted})
    view = headrace.until(job, "COMPLETED")
    return view, sorted(headrace.log(job).splitlines())


def match(headrace: Headrace, wanted: dict[str, Any], folder: Path) -> Any:
    """What `headrace dataset match FILE` says of it, without a job."""
    file = folder / "job.json"
    job = {"headrace": 1, "kind": "command", "command": ["true"], "inputs": {"forcing": wanted}}
    file.write_text(json.dumps(job))
    return headrace.said("dataset", "match", str(file))["forcing"]


@pytest.mark.usefixtures("there")
class TestSugarCreek:
    """One requirement, met in four ways and refused in a fifth."""

    def test_by_one_dataset(self, headrace: Headrace, sugar: Path, tmp_path: Path) -> None:
        one = put(headrace, "sugar", sugar / "csv")
        found = match(headrace, wants(), tmp_path)
        assert (found["result"], [each["id"] for each in found["datasets"]]) == (
            "fulfilled",
            [one],
        )
        job, files = run(headrace, wants())
        assert len(files) == 3
        assert not job["children"]

    def test_by_a_union_of_three(self, headrace: Headrace, sugar: Path, tmp_path: Path) -> None:
        ids = {put(headrace, each, sugar / each) for each in CATCHMENTS}
        found = match(headrace, wants(), tmp_path)
        assert found["over"] == "CATCHMENT_ID"
        assert {each["id"] for each in found["datasets"]} == ids
        _, files = run(headrace, wants())
        assert [each.split("/")[1] for each in files] == list(CATCHMENTS)

    def test_by_netcdf_that_is_converted(
        self, headrace: Headrace, sugar: Path, tmp_path: Path
    ) -> None:
        source = put(headrace, "sugar-netcdf", sugar / "netcdf")
        found = match(headrace, wants(), tmp_path)
        assert (found["result"], found["datasets"][0]["id"]) == ("derivable", source)
        job, files = run(headrace, wants())
        assert files == [f"./{each}.csv" for each in CATCHMENTS]
        (child,) = job["children"]
        made = headrace.until(child, "COMPLETED")
        assert made["kind"] == "derivation"
        output = made["outputs"]["derived"]
        known = headrace.get(f"/datasets/{output}")
        assert [each["id"] for each in known["derived_from"]] == [source]
        assert known["expires"]
        # The same is never made twice.
        again, same = run(headrace, wants())
        assert same == files
        assert not again["children"]

    def test_by_a_subset_of_a_larger_one(
        self, headrace: Headrace, sugar: Path, tmp_path: Path
    ) -> None:
        larger = put(headrace, "sugar", sugar / "csv")
        part = {"TIME": ["2015-12-05", "2015-12-06"], "CATCHMENT_ID": ["cat-52"]}
        whole = match(headrace, wants(domain=part), tmp_path)
        assert (whole["result"], whole["datasets"][0]["id"]) == ("fulfilled", larger)
        exact = wants(domain=part, shape="EXACT")
        assert match(headrace, exact, tmp_path)["result"] == "derivable"
        job = headrace.submit("sh", "-c", "wc -l {forcing}/*", inputs={"forcing": exact})
        headrace.until(job, "COMPLETED")
        assert headrace.log(job).split()[0] == "25"  # a header and the hours of a day

    def test_by_three_made_one(self, headrace: Headrace, sugar: Path) -> None:
        for each in CATCHMENTS:
            put(headrace, each, sugar / each)
        job, files = run(headrace, wants(shape="ONE"))
        assert files == [f"./{each}.csv" for each in CATCHMENTS]
        assert len(job["children"]) == 1

    @pytest.mark.parametrize("format_", ["AORC_CSV", "NETCDF_AORC_DEFAULT"])
    def test_or_not_for_an_hour_that_is_cut_out(
        self, headrace: Headrace, sugar: Path, tmp_path: Path, format_: str
    ) -> None:
        folder = tmp_path / "cut"
        shutil.copytree(sugar / "csv", folder)
        (file,) = folder.glob("cat-52*")
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("2015-12-09 07:00")))
        name = "cut"
        put(headrace, name, folder)
        wanted = wants(format=format_)
        found = match(headrace, wanted, tmp_path)
        assert found["result"] == "missing"
        gap = "TIME 2015-12-09T07:00Z to 2015-12-09T08:00Z"
        assert gap in found["why"]
        job = headrace.submit("true", inputs={"forcing": wanted})

        def over() -> Any:
            view = headrace.job(job)
            return view if view["status"].startswith("CLOSED") else None

        view = until(over, "the job to be refused")
        assert view["status"] == "CLOSED:DATA_UNPROVIDEABLE"
        assert gap in view["detail"]


@pytest.mark.usefixtures("there")
def test_jobs_that_fill_the_node_and_need_what_is_to_be_made_all_end(
    headrace: Headrace, sugar: Path
) -> None:
    """A parent holds nothing while its child runs: on one full node none waits for ever."""
    put(headrace, "sugar-netcdf", sugar / "netcdf")
    all_of_it = {"cpus": "2", "memory": "1GiB"}
    full = [headrace.submit("sleep", "1", resources=all_of_it) for _ in range(2)]
    parents = [
        headrace.submit(
            "sh", "-c", "ls {forcing} | wc -l",
            inputs={"forcing": wants(domain={"CATCHMENT_ID": [each]}, shape="EXACT")},
            resources=all_of_it,
        )
        for each in CATCHMENTS
        for _ in range(2)
    ]  # fmt: skip
    full += [headrace.submit("true", resources=all_of_it) for _ in range(2)]
    for job in (*full, *parents):
        headrace.until(job, "COMPLETED")
    children = {child for job in parents for child in headrace.job(job)["children"]}
    assert len(children) == 3, "what two jobs miss is made once"
    assert {headrace.log(job).strip() for job in parents} == {"1"}


@pytest.mark.usefixtures("there")
def test_what_can_not_be_made_after_all_ends_the_job_with_the_reason(
    headrace: Headrace, sugar: Path, tmp_path: Path
) -> None:
    """Two parts that contradict each other: only reading them tells."""
    for name, number in (("one", "1.5"), ("two", "2.5")):
        folder = tmp_path / name
        folder.mkdir()
        hours = range(6) if name == "one" else range(5, 12)
        rows = [f"2016-01-01 {hour:02}:00:00,{number},280" for hour in hours]
        text = "\n".join(["time,APCP_surface,TMP_2maboveground", *rows]) + "\n"
        (folder / "cat-7.csv").write_text(text)
        put(headrace, name, folder)
    domain = {"TIME": ["2016-01-01T00:00Z", "2016-01-01T12:00Z"], "CATCHMENT_ID": ["cat-7"]}
    wanted = {"category": "FORCING", "format": "AORC_CSV", "domain": domain, "shape": "ONE"}
    job = headrace.submit("true", inputs={"forcing": wanted})
    view = headrace.until(job, "DATA_FAILURE")
    assert "two parts tell different APCP_surface at 2016-01-01T05:00Z: " in view["detail"]
