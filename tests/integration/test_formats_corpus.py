"""NetCDF of the corpus is read in the child, which may crash and is ended in time."""

from pathlib import Path

import pytest

from headrace_formats.errors import FormatError
from headrace_formats.limits import Limits
from headrace_formats.netcdf import is_netcdf
from headrace_formats.registry import BUILT_IN
from headrace_formats.runner import detect_folder

CORPUS = sorted((Path(__file__).parent.parent / "corpus" / "formats").glob("*.nc"))
LIMITS = Limits(memory_bytes=1 << 30, cpu_s=20)
FORMATS = [each.name for each in BUILT_IN if each.sniff is is_netcdf]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
async def test_it_is_refused_with_its_name_as_any_format(path: Path) -> None:
    assert (await detect_folder(path, limits=LIMITS)).format == "GENERIC"
    for name in FORMATS:
        with pytest.raises(FormatError, match=path.name):
            await detect_folder(path, name, LIMITS)
