"""BMI_FORCING_NETCDF: what is told of it, and what a model would take without a word."""

from pathlib import Path
from typing import Any

import pytest

from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file, validate_folder
from tests.support.bmi_forcing import UNITS, write_bmi_forcing

GOOD = {"pr": [0.0, 5.0, 2.0], "tas": [-3.0, 1.0, 4.0], "evspsblpot": [0.0, 0.5, 1.0]}


def test_it_is_recognized_with_its_catchment_and_time(tmp_path: Path) -> None:
    write_bmi_forcing(tmp_path / "cat-27.nc", GOOD)
    found = detect_folder(tmp_path)
    assert found.format == "BMI_FORCING_NETCDF"
    assert found.domain.to_plain() == {
        "TIME": ["1979-01-01", "1979-01-04"],
        "CATCHMENT_ID": "cat-27",
    }
    assert validate_file(tmp_path / "cat-27.nc").is_valid


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": {**UNITS, "tas": "K"}}, "its units are 'K', not 'degC'"),
        ({"units": {**UNITS, "pr": "kg m-2 s-1"}}, "its units are 'kg m-2 s-1', not 'mm d-1'"),
        ({"pr": [0.0, float("nan"), 2.0]}, "1 numbers are missing, the first of step 1"),
        ({"days": [0, 1, 3]}, "steps are missing"),
        ({"id_": "cat-5"}, "it is cat-5, and the file's name says cat-27"),
    ],
)
def test_what_a_model_would_take_without_a_word_is_an_error(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "cat-27.nc"
    options = {name: change[name] for name in ("units", "days", "id_") if name in change}
    columns = GOOD | {name: change[name] for name in GOOD if name in change}
    write_bmi_forcing(path, columns, **options)
    (found,) = validate_folder(tmp_path, "BMI_FORCING_NETCDF")
    assert not found.is_valid
    assert said in str(found)


def test_weather_that_earth_does_not_have_is_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "cat-27.nc"
    write_bmi_forcing(path, GOOD | {"tas": [270.0, 280.0, 290.0]})
    found = validate_file(path)
    assert found.is_valid
    assert "mean air temperature at 2 m from 270 to 290 degC" in str(found)


def test_a_file_without_evaporation_is_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "cat-27.nc"
    write_bmi_forcing(path, {name: GOOD[name] for name in ("pr", "tas")})
    with pytest.raises(FormatError, match="lacks the variables evspsblpot"):
        detect_file(path, "BMI_FORCING_NETCDF")
