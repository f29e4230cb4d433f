"""What once did harm, and what looks as if it might, through every format.

Each file of tests/corpus/formats is small and made by us; its name says what is wrong with it.
`python -m tests.fuzz` looks for more.
"""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_formats.base import Format
from headrace_formats.netcdf import is_netcdf
from tests.support.format_reading import READERS, detected, read_as

CORPUS = sorted((Path(__file__).parent.parent / "corpus" / "formats").iterdir())
# Those of NetCDF may crash their library: tests/integration/test_formats_corpus.py.
HERE = [each for each in READERS if each.sniff is not is_netcdf]
MORE_BYTES = 2 << 30  # of address space, beside what the tests' process has already


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """So much that a file that claims to be huge is a MemoryError, and no swapping machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    has_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has_bytes + MORE_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
@pytest.mark.parametrize("of", HERE, ids=lambda of: of.name)
def test_every_format_reads_or_refuses_it(of: Format, path: Path) -> None:
    read_as(of, path.read_bytes())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_it_is_detected_and_validated_as_the_same(path: Path) -> None:
    detected(path.read_bytes(), path.name)
