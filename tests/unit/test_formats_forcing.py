"""Forcing of ngen as CSV: headers, units, catchments, and what is physically wrong."""

from pathlib import Path
from typing import Any

import pytest

from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.samples import sample

AORC = "TMP_2maboveground,SPFH_2maboveground,PRES_surface,APCP_surface,precip_rate"
NWM = "T2D,Q2D,PSFC,SWDOWN,RAINRATE"
MONTH = ["2015-12-01", "2015-12-31"]


def write(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def hours(*numbers: str) -> list[str]:
    return [f"2015-12-01 {hour:02}:00:00,{row}" for hour, row in enumerate(numbers)]


def plain(path: Path) -> dict[str, Any]:
    found = detect_folder(path)
    assert found.format == "AORC_CSV"
    return found.domain.to_plain()


@pytest.mark.parametrize(
    ("folder", "ids"),
    [
        ("ngen-sugar-creek/corrected/forcing", ["cat-27", "cat-52", "cat-67"]),
        ("ngen-gauge-01073000/forcing", [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)]),
    ],
)
def test_real_forcing_has_time_and_catchments_and_nothing_to_point_out(
    folder: str, ids: list[str]
) -> None:
    found = detect_folder(sample(folder))
    assert (found.format, found.notes) == ("AORC_CSV", ())
    assert found.domain.to_plain() == {"TIME": MONTH, "CATCHMENT_ID": ids}


def test_sugar_creek_s_rain_is_a_thousand_times_too_small_and_an_hour_ahead() -> None:
    for path in sample("ngen-sugar-creek/forcing").glob("*.csv"):
        found = detect_file(path)
        assert found.format == "AORC_CSV"
        assert [str(each) for each in found.warnings] == [
            "precip_rate: it is 1,000 times too small against APCP_surface: it looks like m s^-1, "
            "ngen takes mm s^-1",
            "precip_rate: it is one step ahead of APCP_surface: the same rain, shifted",
        ]
        assert "multiply it by 1,000" in str(found.warnings[0].hint)


@pytest.mark.parametrize(
    "header",
    [
        f",{AORC}",
        f"time,{AORC}",
        "time,precip_rate,TMP_2maboveground,SPFH_2maboveground,PRES_surface,DSWRF_surface",
        f"Time,{NWM}",
    ],
)
@pytest.mark.parametrize("units", [False, True])
def test_each_header_is_read_with_and_without_units(
    tmp_path: Path, header: str, units: bool
) -> None:
    names = header.split(",")
    if units:
        given = {"TMP": "K", "T2D": "K", "SPFH": "kg/kg", "Q2D": "kg kg-1", "PRES": "Pa"}
        given |= {"PSFC": "Pa", "APCP": "kg m^-2", "prec": "mm/s", "RAIN": "mm s^-1"}
        given |= {"SWDO": "W/m^2", "DSWR": "W m-2"}
        found = (
            (name, next((u for k, u in given.items() if name.startswith(k)), "")) for name in names
        )
        names = [f"{name} ({unit})" if unit else name for name, unit in found]
    good = {"TMP": 285, "T2D": 285, "SPFH": 0.01, "Q2D": 0.01, "PRES": 1e5, "PSFC": 1e5}
    row = ",".join(
        str(next((value for key, value in good.items() if name.startswith(key)), 0))
        for name in names[1:]
    )
    write(tmp_path / "cat-7_x.csv", ",".join(names), *hours(row, row))
    found_folder = detect_folder(tmp_path)
    assert (found_folder.format, found_folder.notes) == ("AORC_CSV", ())
    assert found_folder.domain.to_plain() == {
        "TIME": ["2015-12-01", "2015-12-01T02:00Z"],
        "CATCHMENT_ID": "cat-7",
    }


def test_headers_of_both_sorts_are_the_same_forcing(tmp_path: Path) -> None:
    write(tmp_path / "cat-1.csv", "time,precip_rate,TMP_2maboveground", *hours("0,280", "0,280"))
    write(tmp_path / "cat-2.csv", "Time,T2D (K),RAINRATE", *hours("280,0", "280,0"))
    assert plain(tmp_path)["CATCHMENT_ID"] == ["cat-1", "cat-2"]


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (
            "time,precip_rate,T2D",
            ["0,20", "0,22"],
            "column T2D: air temperature at 2 m from 20 to 22",
        ),
        ("time,precip_rate,T2D (degC)", ["0,280"] * 2, "its unit is 'degC'; ngen takes"),
        ("time,precip_rate,PSFC", ["0,1013"] * 2, "possible is 30,000 to 110,000"),
        ("time,precip_rate,T2D", ["0,280", "0,"], "1 numbers are missing, the first in line 3"),
        ("time,precip_rate,APCP_surface", ["3.6,3.6", "0,0"], "3,600 times too large"),
        ("time,precip_rate,APCP_surface", ["0.002,3.6", "0,0"], "2 times too large"),
        ("time,precip_rate,APCP_surface", ["0,3.6", "0,0"], "it is 0 throughout, while"),
        ("time,precip_rate,APCP_surface", ["0,3.6", "0.001,0", "0,0"], "one step behind"),
        ("time,precip_rate,RAINRATE", ["0,0", "0,0"], "is there twice: ngen mixes the two"),
        ("time,precip_rate,T2D", ["1e-6,280"] * 23 + ["2e-6,280"], "is it in m s^-1?"),
    ],
)
def test_what_no_weather_has_is_pointed_out(
    tmp_path: Path, header: str, rows: list[str], said: str
) -> None:
    found = validate_file(write(tmp_path / "cat-7.csv", header, *hours(*rows)))
    assert found.format == "AORC_CSV"
    assert found.is_valid
    assert any(said in f"{each} {each.hint}" for each in found.findings), found.findings


def test_faint_rain_is_pointed_out_only_where_it_rained_often(tmp_path: Path) -> None:
    path = write(tmp_path / "cat-7.csv", "time,precip_rate,T2D", *hours(*["1e-6,280"] * 23))
    assert validate_file(path).findings == ()


def test_a_name_without_a_catchment_hides_that_index(tmp_path: Path) -> None:
    write(tmp_path / "cat-1.csv", "time,precip_rate,T2D", *hours("0,280", "0,280"))
    write(tmp_path / "mine.csv", "time,precip_rate,T2D", *hours("0,280", "0,280"))
    found = detect_folder(tmp_path)
    assert list(found.domain.to_plain()) == ["TIME"]
    assert found.notes == (
        "mine.csv: its name holds no cat-<number>: CATCHMENT_ID is not detected",
    )


def test_all_that_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    rows = hours("0,280", "wet,280", "0", "0,cold")
    path = write(tmp_path / "cat-1.csv", "time,precip_rate,T2D", *rows, "yesterday,0,280")
    assert [f"{each.severity} {each}" for each in validate_file(path).findings[:4]] == [
        "ERROR line 3, column precip_rate: 'wet' is not a number",
        "ERROR line 4: it has 2 columns, not 3",
        "ERROR line 5, column T2D: 'cold' is not a number",
        "ERROR line 6, column time: 'yesterday' is not a time: an ISO 8601 date or time in UTC "
        "is expected",
    ]
    with pytest.raises(FormatError, match="line 3, column precip_rate"):
        detect_file(path, "AORC_CSV")
    assert detect_file(path).format == "GENERIC"
