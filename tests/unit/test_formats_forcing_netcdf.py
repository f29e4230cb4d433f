"""Forcing of ngen as NetCDF: times in nanoseconds, ids of catchments, what no weather has."""

from pathlib import Path
from typing import Any

import pytest
from netCDF4 import Dataset

from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.netcdf_samples import FIRST_S, write_forcing
from tests.support.samples import sample

AORC = {"precip_rate": [0.001, 0], "TMP_2maboveground": [285, 286]}
NWM = {"RAINRATE": [0.001, 0], "T2D": [285, 286]}
TWO_HOURS = ["2015-12-01", "2015-12-01T02:00Z"]


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        (
            "ngen-gauge-01073000/forcing.nc",
            [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)],
        ),
        (
            "ngen-sugar-creek/forcing/cats-27_52_67-2015_12_01-2015_12_30.nc",
            ["cat-27", "cat-52", "cat-67"],
        ),
    ],
)
def test_real_forcing_tells_its_month_and_catchments(path: str, ids: list[str]) -> None:
    found = detect_folder(sample(path))
    assert found.format == "NETCDF_AORC_DEFAULT"
    assert found.domain.to_plain() == {"TIME": ["2015-12-01", "2015-12-31"], "CATCHMENT_ID": ids}
    warned = [note.partition(": ")[2] for note in found.notes]
    if "sugar" in path:
        assert warned == [
            "precip_rate: it is 1,000 times too small against APCP_surface: it looks like m s^-1, "
            "ngen takes mm s^-1",
            "precip_rate: it is one step ahead of APCP_surface: the same rain, shifted",
        ]
    else:
        assert warned == []


@pytest.mark.parametrize(
    ("values", "format_"), [(AORC, "NETCDF_AORC_DEFAULT"), (NWM, "NETCDF_FORCING_CANONICAL")]
)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"units": "s", "first": FIRST_S, "step": 3600},
        {"units": "minutes", "first": FIRST_S / 60, "step": 60},
        {"units": "h", "first": 0, "step": 1, "epoch": "12/01/15 00:00:00"},
        {"units": "ms", "first": 0, "step": 3_600_000, "epoch": "12/01/2015 00:00:00"},
        {"units": "us", "first": FIRST_S * 1e6, "step": 3600e6},
    ],
)
def test_each_unit_of_time_that_ngen_knows_is_read(
    tmp_path: Path, values: dict[str, Any], format_: str, more: dict[str, Any]
) -> None:
    write_forcing(tmp_path / "x.nc", values, **more)
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == (format_, ())
    assert found.domain.to_plain() == {"TIME": TWO_HOURS, "CATCHMENT_ID": ["cat-1", "cat-2"]}


def test_a_time_by_cf_is_read_too(tmp_path: Path) -> None:
    with Dataset(tmp_path / "x.nc", "w") as file:
        file.createDimension("ids", 2)
        file.createDimension("time", 2)
        file.createVariable("ids", "i4", ("ids",))[:] = [7, 8]
        time = file.createVariable("time", "i8", ("time",))
        time.units = "hours since 2015-12-01"
        time[:] = [0, 1]
        file.createVariable("RAINRATE", "f4", ("time", "ids"))[:] = 0
    found = detect_folder(tmp_path)
    assert found.format == "NETCDF_FORCING_CANONICAL"
    assert found.domain.to_plain() == {"TIME": TWO_HOURS, "CATCHMENT_ID": ["7", "8"]}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"units": "days"}, "variable Time: the units 'days' are none that ngen knows"),
        ({"epoch": "yesterday"}, "epoch_start 'yesterday' is not MM/DD/YY HH:MM:SS"),
        ({"epoch": "13/01/15 00:00:00"}, "variable Time: epoch_start"),
        ({"second": 0}, "variable Time, row 1: its times are not those of the first row"),
        ({"first": 1e300}, "a time lies outside the years 0001 to 9999"),
        ({"first": float("nan")}, "a time is missing or not a number"),
        ({"units": "ns", "first": 0, "step": 300_000}, "a time is finer than a millisecond"),
        ({"step": 0}, "is not after the one before it"),
        ({"ids": ["cat-1", "cat-1"]}, "1 ids stand there twice"),
        ({"ids": ["", "cat-1"]}, "can't be a name"),
    ],
)
def test_what_ngen_could_not_read_is_refused_with_its_variable(
    tmp_path: Path, more: dict[str, Any], why: str
) -> None:
    path = write_forcing(tmp_path / "x.nc", AORC, **more)
    with pytest.raises(FormatError) as caught:
        detect_file(path, "NETCDF_AORC_DEFAULT")
    assert why in str(caught.value)
    assert not validate_file(path).is_valid


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ({**AORC, "TMP_2maboveground": [12, 13]}, {}, "variable TMP_2maboveground: air temp"),
        ({**AORC, "PRES_surface": [1e5, float("nan")]}, {}, "2 numbers are missing"),
        (
            AORC,
            {"precip_rate_units": "m/s"},
            "variable precip_rate: its unit is 'm/s'; ngen takes",
        ),
        ({**AORC, "APCP_surface": [3600, 0]}, {}, "1,000 times too small"),
    ],
)
def test_what_no_weather_has_is_pointed_out(
    tmp_path: Path, values: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    found = validate_file(write_forcing(tmp_path / "x.nc", values, **more))
    assert (found.format, found.is_valid) == ("NETCDF_AORC_DEFAULT", True)
    assert any(said in str(each) for each in found.findings), found.findings


def test_a_variable_without_catchments_is_said(tmp_path: Path) -> None:
    path = write_forcing(tmp_path / "x.nc", AORC)
    with Dataset(path, "a") as file:
        file.createVariable("PRES_surface", "f4", ("time",))[:] = 1e5
    with pytest.raises(FormatError, match="variable PRES_surface: it must run over catchment-id"):
        detect_file(path, "NETCDF_AORC_DEFAULT")
