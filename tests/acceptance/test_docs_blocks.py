"""What the pages tell a reader to type works: blocks marked `bash test`, page by page.

Those marked `bash test index` need a package index that pip reaches.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```bash test(?: index)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS_INDEX = re.compile(r"^```bash test index$", re.MULTILINE)
_TESTED = {page: found for page in PAGES if (found := _BLOCK.findall(page.read_text()))}
_BLOCK_WITHIN_S = 600.0  # an environment is resolved and built in one of them
# Lines that the blocks of each page must have printed: that they ended well is not enough.
_SAID = {
    "README.md": {"hi"},
    "cli.md": {"hello you", "exit code 137"},
    "data.md": {"more v1 is deleted for good"},
    "first-hour.md": {"hello", "step 3", "exit code 7", "1.6", "exit code 3", "still here"},
    "hydrology.md": {
        "catchments  3 of 4",
        "partition_2.json fits: 4 catchments in 2 partitions",
        "balance     the largest has 1.111 of the mean of area (naive: 1.111)",
        "1",
        "the share is found",
        "better in both years",
        "4 catchments ran",
        "the share of the buckets is found",
    },
    "operate.md": {"refused, exit code 5", "Headrace takes new work."},
    "people.md": {"it has 6 bytes", "usgs_token is deleted"},
    "your-own-model.md": {
        "2024-05-01T00:00Z,8.000",
        "2024-05-01T00:00Z 12.800 mm",
        "exit code 1",
    },
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with an empty folder, a Headrace of their own, and the command on the PATH."""

    folder: Path
    home: Path

    def types(self, script: str) -> "subprocess.CompletedProcess[str]":
        programs = Path(sys.executable).parent
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                **os.environ,
                "HEADRACE_HOME": str(self.home),
                "XDG_CONFIG_HOME": str(self.folder / "config"),
                "PATH": f"{programs}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=_BLOCK_WITHIN_S,
            check=False,
        )


@pytest.fixture
def reader(state_dir: Path) -> Iterator[Reader]:
    folder = state_dir / "reader"
    folder.mkdir()
    found = Reader(folder, state_dir / "home")
    yield found
    if (found.home / "config.json").exists():
        done = found.types("headrace local reset --yes")
        assert done.returncode == 0, done.stderr


def _reaches_an_index(folder: Path) -> bool:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "six==1.16.0"]
    return subprocess.run([*command, "-d", str(folder / "index")], check=False).returncode == 0


@pytest.mark.parametrize(
    "page", list(_TESTED), ids=[str(page.relative_to(PROJECT)) for page in _TESTED]
)
def test_what_a_page_tells_to_type_works(page: Path, reader: Reader) -> None:
    if _NEEDS_INDEX.search(page.read_text()) and not _reaches_an_index(reader.folder):
        pytest.skip("pip reaches no package index from here")
    said = ""
    for block in _TESTED[page]:
        done = reader.types(block)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        said += done.stdout
    assert _SAID[page.name] - set(said.splitlines()) == set()
