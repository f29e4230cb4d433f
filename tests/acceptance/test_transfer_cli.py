"""The command line's transfers: patterns, exclusions, dry runs, standard input and output."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace_client.cli import exits
from tests.acceptance.conftest import Headrace

_CLI = "from headrace_client.cli import main; main()"
_LARGE = bytes(range(256)) * 6_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"a.nc": b"one", "raw/b.nc": b"two", "raw/x.tmp": b"no"}.items():
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "data"


def piped(headrace: Headrace, *words: str, given: bytes = b"") -> Any:
    """Run the command with bytes on standard input and output."""
    return subprocess.run(
        [sys.executable, "-c", _CLI, *words],
        input=given,
        capture_output=True,
        env=headrace.environ,
        timeout=60,
        check=False,
    )


def names(headrace: Headrace, dataset: str) -> list[str]:
    return [each["path"] for each in headrace.said("dataset", "items", dataset)]


def test_a_dry_run_tells_what_an_upload_and_a_download_would_move(
    headrace: Headrace, folder: Path, tmp_path: Path
) -> None:
    assert headrace.cli("dataset", "create", "dry", "--category", "CONFIG").returncode == 0
    upload = ("dataset", "upload", "dry", str(folder), "--exclude", "*.tmp")
    would = headrace.said(*upload, "--dry-run")
    assert would == {
        "moving_bytes": 6,
        "items": [
            {"path": "a.nc", "size_bytes": 3, "action": "new"},
            {"path": "raw/b.nc", "size_bytes": 3, "action": "new"},
        ],
    }
    assert names(headrace, "dry") == []
    assert headrace.said(*upload) == would
    again = headrace.cli(*upload)
    assert again.stdout == "0 file(s), 0 B sent; 2 were there already\n"
    download = ("dataset", "download", "dry", str(tmp_path / "got"), "**/b.*")
    shown = headrace.cli(*download, "--dry-run")
    assert shown.stdout.split() == ["PATH", "SIZE", "ACTION", "raw/b.nc", "3", "B", "new"]
    assert shown.stderr == "1 file(s), 3 B would be fetched; 0 are there already\n"
    assert not (tmp_path / "got").exists()
    assert headrace.cli(*download).returncode == 0
    assert [each.name for each in (tmp_path / "got").iterdir()] == ["raw"]


def test_one_item_comes_from_standard_input_and_goes_to_standard_output(
    headrace: Headrace,
) -> None:
    assert headrace.cli("dataset", "create", "pipe", "--category", "CONFIG").returncode == 0
    for content in (_LARGE, b""):
        done = piped(headrace, "dataset", "upload", "pipe", "in/data.bin=-", given=content)
        assert done.returncode == 0, done.stderr
        got = piped(headrace, "dataset", "download", "pipe", "-", "in/data.bin")
        assert (got.returncode, got.stdout) == (0, content)
    assert piped(headrace, "dataset", "upload", "pipe", "-").returncode == exits.USAGE
    missing = piped(headrace, "dataset", "download", "pipe", "-", "nothing")
    assert (missing.returncode, missing.stdout) == (exits.NOT_FOUND, b"")
    assert piped(headrace, "dataset", "upload", "pipe", "b=-", given=b"2").returncode == 0
    two = piped(headrace, "dataset", "download", "pipe", "-")
    assert (two.returncode, two.stdout) == (exits.REFUSED, b"")


def test_create_takes_patterns_exclusions_and_standard_input(
    headrace: Headrace, folder: Path
) -> None:
    create = ("dataset", "create", "globbed", "--category", "CONFIG", "--upload")
    view = headrace.said(*create, f"{folder}/**/*", "--exclude", "*.tmp")
    assert (view["state"], names(headrace, "globbed")) == ("SEALED", ["a.nc", "raw/b.nc"])
    done = piped(headrace, *create, "one.csv=-", "--new-version", given=b"1\n")
    assert done.returncode == 0, done.stderr
    assert names(headrace, "globbed") == ["one.csv"]


def test_python_moves_the_same_files(headrace: Headrace, folder: Path, tmp_path: Path) -> None:
    with hr.Client(headrace.url, headrace.token) as client:
        made = client.call(lambda c: c.datasets.create({"name": "py", "category": "CONFIG"}))
        dataset = client.dataset(made["id"])
        assert dataset.plan_upload(folder, exclude=["*.tmp"]).moving_bytes == 6
        assert len(dataset.upload(folder, exclude=["*.tmp"]).moving) == 2
        assert len(dataset.upload(folder / "*.nc", folder / "raw" / "x.tmp").moving) == 1
        assert len(dataset.plan_download(tmp_path / "got", "raw").moving) == 1
        got = dataset.download(tmp_path / "got", exclude=["raw"])
        assert sorted(each.name for each in got.iterdir()) == ["a.nc", "x.tmp"]
        assert b"".join(dataset.read("raw/b.nc")) == b"two"
        assert json.loads(json.dumps(dataset.plan_upload(folder).to_plain()))["items"]
