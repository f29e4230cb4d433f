"""Damaged files are read, or refused with a sentence that names them, and nothing else happens."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_formats.detect import detect_file
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import is_netcdf
from headrace_formats.parquet import is_parquet
from headrace_formats.registry import BUILT_IN
from headrace_formats.validate import validate_file, validate_folder
from tests.support.format_samples import SAMPLES

# What readers take as it comes: EMPTY has no file; NetCDF and Parquet are damaged in a child that
# may crash (tests/integration/test_formats_runner.py, test_formats_parquet.py).
ELSEWHERE = {"EMPTY"} | {
    each.name for each in BUILT_IN if each.sniff in (is_netcdf, is_parquet) or each.parts
}


def test_every_format_has_a_sample_to_damage() -> None:
    assert {each.name for each in BUILT_IN} - ELSEWHERE == set(SAMPLES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_sample_is_what_it_should_be(name: str, tmp_path: Path) -> None:
    file, good = SAMPLES[name]
    (tmp_path / file).write_bytes(good)
    found = detect_file(tmp_path / file)
    assert found.format == name
    assert [each.findings for each in validate_folder(tmp_path, name)] == [()]


@pytest.mark.parametrize("name", sorted(SAMPLES))
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    file, good = SAMPLES[name]
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        new = data.draw(st.binary(max_size=4))
        damaged[at : at + data.draw(st.integers(0, 4))] = new
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        path.write_bytes(damaged[:cut])
        try:
            said = detect_file(path, name).path
        except FormatError as error:
            said = error.message
        assert said.startswith(file)
        found = detect_file(path)
        validated = validate_file(path)
        if found.format == "GENERIC":
            assert validated.format == "GENERIC" or not validated.is_valid
        else:
            assert validated.format == found.format
            assert validated.is_valid
