"""Forcing that is derived holds exactly the numbers of what it is derived from."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netCDF4 import Dataset

from headrace_derivations.__main__ import read_plan, run_plan
from headrace_derivations.base import DerivationFailed
from headrace_formats.detect import detect_files, walk
from headrace_kinds.derivation import Plan, Step, plan_job
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Requirement, Shape

CSV, AORC, NWM = "AORC_CSV", "NETCDF_AORC_DEFAULT", "NETCDF_FORCING_CANONICAL"
DAY = 86_400
FIRST = 1_448_928_000  # 2015-12-01T00:00Z
NAMES = ("precip_rate", "TMP_2maboveground", "PRES_surface")
NWM_OF = {"precip_rate": "RAINRATE", "TMP_2maboveground": "T2D", "PRES_surface": "PSFC"}

Told = dict[str, dict[int, tuple[float, ...]]]  # by catchment and second: a number a name


def clock(second: int) -> str:
    return str(np.datetime64(second, "s")).replace("T", " ")


def iso(second: int) -> str:
    return f"{np.datetime64(second, 's')}Z"


def write_csv(folder: Path, told: Told, names: Sequence[str] = NAMES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for catchment, rows in told.items():
        lines = [",".join(("time", *names))]
        lines += [",".join((clock(at), *map(repr, row))) for at, row in sorted(rows.items())]
        (folder / f"{catchment}.csv").write_text("\n".join(lines) + "\n")


def read_csv(folder: Path) -> Told:
    told: Told = {}
    for path in folder.glob("*.csv"):
        header, *rows = list(csv.reader(path.read_text().splitlines()))
        places = [header.index(name) for name in NAMES]
        told[path.stem] = {
            int(np.datetime64(row[0], "s").astype(int)): tuple(float(row[at]) for at in places)
            for row in rows
        }
    return told


def read_netcdf(folder: Path, names: Sequence[str] = NAMES) -> Told:
    (path,) = folder.iterdir()
    told: Told = {}
    with Dataset(path) as dataset:
        for place, catchment in enumerate(dataset["ids"][:]):
            stamps = dataset["Time"][place].astype(int).tolist()
            columns = [dataset[name][place].tolist() for name in names]
            told[str(catchment)] = dict(zip(stamps, zip(*columns, strict=True), strict=True))
    return told


def derive(
    sources: Path, output: Path, format_: str, domain: dict[str, Any], shape: Shape = Shape.ONE
) -> Domain:
    """Run the plan as a worker does; gives what the readers say of the output."""
    wanted = Requirement("it", Category.FORCING, format_, Domain.from_plain(domain), shape)
    step = Step(
        "forcing",
        (Requirement("forcing", Category.FORCING, CSV, wanted.domain),),
        {"format": format_, "domain": domain, "exact": shape is Shape.EXACT},
    )
    met = Fulfilment("forcing", (DatasetId("x"),), None, "")
    spec = plan_job(Plan(wanted, step, (met,)), 50)
    output.mkdir(parents=True, exist_ok=True)
    run_plan(read_plan(spec.files[0].content), output, [sources], output.parent)
    files, notes = walk(output)
    found = detect_files(files, None, notes)
    assert found.format == format_
    assert found.domain.contains(wanted.domain)
    return found.domain


def make(catchments: Sequence[str], hours: range) -> Told:
    return {
        each: {
            FIRST + hour * 3600: (hour * 1e-5, 270 + hour / 7 + place, 1e5 + hour * 0.1 + 0.2)
            for hour in hours
        }
        for place, each in enumerate(catchments)
    }


CATCHMENTS = ("cat-2", "cat-10", "cat-33")


@settings(max_examples=15, deadline=None)
@given(
    chosen=st.sets(st.sampled_from(CATCHMENTS), min_size=1),
    begin=st.integers(0, 40),
    steps=st.integers(2, 8),
    cut=st.integers(2, 46),
    overlap=st.integers(0, 5),
)
def test_any_parts_cut_joined_and_converted_hold_the_same_numbers(
    chosen: set[str], begin: int, steps: int, cut: int, overlap: int
) -> None:
    """Two datasets that overlap, one as CSV files, one as NetCDF, are joined and cut."""
    end = min(48, begin + steps)
    whole = make(CATCHMENTS, range(48))
    domain = {
        "TIME": [iso(FIRST + begin * 3600), iso(FIRST + end * 3600)],
        "CATCHMENT_ID": sorted(chosen),
    }
    wanted = {
        each: {
            at: row
            for at, row in whole[each].items()
            if FIRST + begin * 3600 <= at < FIRST + end * 3600
        }
        for each in chosen
    }
    with TemporaryDirectory() as name:
        root = Path(name)
        parts = root / "parts"
        write_csv(parts / "a", make(CATCHMENTS, range(cut)))
        later = max(0, cut - overlap)
        write_csv(root / "b", make(CATCHMENTS, range(later, 48)))
        hours = [iso(FIRST + later * 3600), iso(FIRST + 48 * 3600)]
        derive(root / "b", parts / "b", AORC, {"TIME": hours})
        exact = {
            format_: derive(parts, root / format_, format_, domain, Shape.EXACT)
            for format_ in (CSV, AORC, NWM)
        }
        assert set(exact.values()) == {Domain.from_plain(domain)}
        assert read_csv(root / CSV) == wanted
        assert read_netcdf(root / AORC) == wanted
        assert read_netcdf(root / NWM, [NWM_OF[name] for name in NAMES]) == wanted


def test_the_same_is_made_to_the_byte(tmp_path: Path) -> None:
    write_csv(tmp_path / "in", make(CATCHMENTS, range(30)))
    domain = {"TIME": [iso(FIRST + 3600), iso(FIRST + 7200 * 5)], "CATCHMENT_ID": ["cat-10"]}
    for format_ in (CSV, AORC, NWM):
        one, two = tmp_path / f"{format_}-1", tmp_path / f"{format_}-2"
        derive(tmp_path / "in", one, format_, domain)
        derive(tmp_path / "in", two, format_, domain)
        files = [path.name for path in one.iterdir()]
        assert files
        assert [(one / each).read_bytes() for each in files] == [
            (two / each).read_bytes() for each in files
        ]


def test_an_hour_that_is_missing_is_named(tmp_path: Path) -> None:
    told = make(("cat-2",), range(24))
    del told["cat-2"][FIRST + 7 * 3600]
    write_csv(tmp_path / "in", told)
    with pytest.raises(DerivationFailed) as failed:
        derive(tmp_path / "in", tmp_path / "out", AORC, {"TIME": [iso(FIRST), iso(FIRST + DAY)]})
    assert "cat-2" in failed.value.message
    assert "2015-12-01T07" in failed.value.message


def test_parts_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "in" / "a", make(("cat-2",), range(24)))
    other = make(("cat-2",), range(20, 30))
    at = FIRST + 21 * 3600
    other["cat-2"][at] = (1.0, *other["cat-2"][at][1:])
    write_csv(tmp_path / "in" / "b", other)
    with pytest.raises(DerivationFailed, match=r"two parts tell different precip_rate at .*T21"):
        derive(tmp_path / "in", tmp_path / "out", CSV, {"TIME": [iso(FIRST), iso(FIRST + DAY)]})


def test_catchments_with_other_times_fit_into_csv_and_not_into_one_netcdf(tmp_path: Path) -> None:
    told = make(("cat-2",), range(24)) | make(("cat-3",), range(12))
    write_csv(tmp_path / "in", told)
    domain = {"CATCHMENT_ID": ["cat-2", "cat-3"]}
    derive(tmp_path / "in", tmp_path / "csv", CSV, domain)
    assert read_csv(tmp_path / "csv") == told
    with pytest.raises(DerivationFailed, match="cat-3 has other times than cat-2"):
        derive(tmp_path / "in", tmp_path / "netcdf", AORC, domain)


def test_half_an_hour_of_hourly_forcing_is_covered_but_not_exactly(tmp_path: Path) -> None:
    write_csv(tmp_path / "in", make(("cat-2",), range(24)))
    domain = {"TIME": [iso(FIRST + 1800), iso(FIRST + 9000)], "CATCHMENT_ID": ["cat-2"]}
    derive(tmp_path / "in", tmp_path / "out", CSV, domain)
    assert len(read_csv(tmp_path / "out")["cat-2"]) == 3
    with pytest.raises(DerivationFailed, match="does not begin and end where steps"):
        derive(tmp_path / "in", tmp_path / "exact", CSV, domain, Shape.EXACT)


@pytest.mark.parametrize(
    ("column", "target", "numbers", "wanted"),
    [
        ("precip_rate (m s-1)", "RAINRATE", [1e-6, 2e-6], [1e-3, 2e-3]),
        ("precip_rate (mm/h)", "RAINRATE", [3.6, 7.2], [1e-3, 2e-3]),
        ("precip_rate (kg m^-2 s^-1)", "RAINRATE", [1e-3, 2e-3], [1e-3, 2e-3]),
        ("APCP_surface (m)", "RAINRATE", [3.6e-3, 7.2e-3], [1e-3, 2e-3]),
        ("T2D (degC)", "T2D", [0.0, -10.5], [273.15, 262.65]),
        ("PRES_surface (hPa)", "PSFC", [1013.25, 990.0], [101325.0, 99000.0]),
        ("SPFH_2maboveground (g/kg)", "Q2D", [5.0, 6.0], [0.005, 0.006]),
        ("UGRD_10maboveground (km h-1)", "U2D", [36.0, -7.2], [10.0, -2.0]),
        ("DSWRF_surface (kW m-2)", "SWDOWN", [0.5, 1.0], [500.0, 1000.0]),
    ],
)
def test_units_are_converted(
    tmp_path: Path, column: str, target: str, numbers: list[float], wanted: list[float]
) -> None:
    _rain(tmp_path / "in", column, numbers)
    derive(tmp_path / "in", tmp_path / "out", NWM, {"CATCHMENT_ID": ["cat-2"]})
    found = read_netcdf(tmp_path / "out", [target])["cat-2"].values()
    assert [number for (number,) in found] == pytest.approx(wanted)


def _rain(folder: Path, column: str, numbers: list[float]) -> None:
    folder.mkdir()
    lines = [f"time,{column},DLWRF_surface"]
    lines += [f"{clock(FIRST + 3600 * at)},{each!r},280.0" for at, each in enumerate(numbers)]
    (folder / "cat-2.csv").write_text("\n".join(lines) + "\n")


def _depths(folder: Path, hours: Sequence[int], *, rates: Sequence[float] = ()) -> None:
    """3.6 mm fell in each of these hours."""
    folder.mkdir()
    lines = ["time,APCP_surface,DLWRF_surface" + (",precip_rate" if rates else "")]
    for place, hour in enumerate(hours):
        rate = f",{rates[place]!r}" if rates else ""
        lines.append(f"{clock(FIRST + 3600 * hour)},3.6,280.0{rate}")
    (folder / "cat-2.csv").write_text("\n".join(lines) + "\n")


def _rates(folder: Path) -> dict[int, float]:
    """The rates by their hours."""
    told = read_netcdf(folder, ["RAINRATE"])["cat-2"]
    return {(at - FIRST) // 3600: rate for at, (rate,) in told.items()}


def test_the_rain_of_a_step_becomes_a_rate_where_there_is_none(tmp_path: Path) -> None:
    """Before a gap too, and where only parts of the time are asked."""
    hours = [*range(5), *range(29, 40)]
    _depths(tmp_path / "in", hours)
    derive(tmp_path / "in", tmp_path / "all", NWM, {"CATCHMENT_ID": ["cat-2"]})
    assert _rates(tmp_path / "all") == pytest.approx(dict.fromkeys(hours, 1e-3))
    parts = [[iso(FIRST + 3600 * at) for at in pair] for pair in ((0, 2), (30, 33))]
    derive(tmp_path / "in", tmp_path / "parts", NWM, {"TIME": parts}, Shape.EXACT)
    assert _rates(tmp_path / "parts") == pytest.approx(dict.fromkeys((0, 1, 30, 31, 32), 1e-3))


def test_steps_of_other_lengths_have_rates_of_their_own(tmp_path: Path) -> None:
    _depths(tmp_path / "in", [0, 2, 3, 5, 7])
    derive(tmp_path / "in", tmp_path / "out", NWM, {"CATCHMENT_ID": ["cat-2"]})
    wanted = {0: 5e-4, 2: 1e-3, 3: 5e-4, 5: 5e-4, 7: 5e-4}
    assert _rates(tmp_path / "out") == pytest.approx(wanted)


def test_rain_that_is_told_twice_and_otherwise_is_not_halved(tmp_path: Path) -> None:
    _depths(tmp_path / "wrong", range(4), rates=[1e-6] * 4)
    with pytest.raises(DerivationFailed, match=r"0\.0144 mm of rain in all and .* 14\.4 mm"):
        derive(tmp_path / "wrong", tmp_path / "none", NWM, {"CATCHMENT_ID": ["cat-2"]})
    _depths(tmp_path / "right", range(4), rates=[1e-3] * 4)
    derive(tmp_path / "right", tmp_path / "out", NWM, {"CATCHMENT_ID": ["cat-2"]})
    assert _rates(tmp_path / "out") == pytest.approx(dict.fromkeys(range(4), 1e-3))


def test_one_step_alone_does_not_tell_its_length(tmp_path: Path) -> None:
    write_csv(tmp_path / "in", make(("cat-2",), range(24)))
    for hour in (0, 23):
        domain = {"TIME": [iso(FIRST + 3600 * hour), iso(FIRST + 3600 * (hour + 1))]}
        with pytest.raises(DerivationFailed, match="is a single step"):
            derive(tmp_path / "in", tmp_path / f"no{hour}", CSV, domain, Shape.EXACT)
        derive(tmp_path / "in", tmp_path / f"out{hour}", CSV, domain)
        assert len(read_csv(tmp_path / f"out{hour}")["cat-2"]) == 2


def _netcdf(folder: Path, ids: Sequence[str], hours: int, *, time_first: bool = False) -> Told:
    """A file as others write it; gives what it tells of `precip_rate`."""
    folder.mkdir()
    rows = [[1e-6 * (place * 1_000 + hour) for hour in range(hours)] for place in range(len(ids))]
    stamps = [FIRST + 3600 * hour for hour in range(hours)]
    with Dataset(folder / "f.nc", "w") as file:
        file.createDimension("catchment-id", len(ids))
        file.createDimension("time", hours)
        named = file.createVariable("ids", str, ("catchment-id",))
        for place, each in enumerate(ids):
            named[place] = each
        time = file.createVariable("Time", "f8", ("catchment-id", "time"))
        time.units = "s"
        time[:] = [stamps] * len(ids)
        over = ("time", "catchment-id") if time_first else ("catchment-id", "time")
        values = np.array(rows)
        file.createVariable("precip_rate", "f8", over)[:] = values.T if time_first else values
    return {
        each: {at: (rate,) for at, rate in zip(stamps, row, strict=True)}
        for each, row in zip(ids, rows, strict=True)
    }


@pytest.mark.parametrize("time_first", [False, True])
def test_rows_are_found_wherever_they_lie(tmp_path: Path, time_first: bool) -> None:
    """Close together, far apart, in either order of dimensions, not in the order of numbers."""
    ids = [f"cat-{number}" for number in (7, 90, 3, *range(100, 130), 1)]
    told = _netcdf(tmp_path / "in", ids, 30, time_first=time_first)
    for name, chosen in (
        ("close", ["cat-7", "cat-3"]),
        ("far", ["cat-90", "cat-1"]),
        ("all", ids),
    ):
        derive(tmp_path / "in", tmp_path / name, AORC, {"CATCHMENT_ID": chosen})
        found = read_netcdf(tmp_path / name, ["precip_rate"])
        assert found == {each: told[each] for each in chosen}


def test_a_file_of_more_times_than_are_read_at_once_is_derived_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_formats.netcdf._MOST_VALUES", 1_000)
    monkeypatch.setattr("headrace_formats.forcing_netcdf._MOST_VALUES", 1_000)
    ids = [f"cat-{number}" for number in range(1, 101)]
    told = _netcdf(tmp_path / "in", ids, 24)
    derive(tmp_path / "in", tmp_path / "out", AORC, {"CATCHMENT_ID": ids})
    assert read_netcdf(tmp_path / "out", ["precip_rate"]) == told
    with Dataset(tmp_path / "in" / "f.nc", "a") as file:
        file["Time"][77, 3] += 60
    with pytest.raises(DerivationFailed, match="row 77"):
        derive(tmp_path / "in", tmp_path / "bad", AORC, {"CATCHMENT_ID": ids})


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "cat-1/../x", "wb-1"])  # noqa: S108
def test_an_id_that_is_no_file_name_is_not_made_one(tmp_path: Path, name: str) -> None:
    _netcdf(tmp_path / "in", ["cat-5", name], 4)
    out = tmp_path / "a" / "b" / "out"
    with pytest.raises(DerivationFailed, match="can't stand in a file name"):
        derive(tmp_path / "in", out, CSV, {})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "in" / "f.nc"]
    derive(tmp_path / "in", tmp_path / "netcdf", AORC, {"CATCHMENT_ID": [name]})


def test_ids_that_stand_twice_are_refused(tmp_path: Path) -> None:
    _netcdf(tmp_path / "in", ["cat-5", "cat-6", "cat-5"], 4)
    with pytest.raises(DerivationFailed, match="twice"):
        derive(tmp_path / "in", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-5"]})


def test_a_name_with_a_comma_stays_one_column(tmp_path: Path) -> None:
    _netcdf(tmp_path / "in", ["cat-5"], 4)
    with Dataset(tmp_path / "in" / "f.nc", "a") as file:
        file.createVariable("a,b", "f8", ("catchment-id", "time"))[:] = 7.0
        file.createVariable("TMP_2maboveground", "f8", ("catchment-id", "time"))[:] = 280.0
    derive(tmp_path / "in", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-5"]})
    header, first, *_ = csv.reader((tmp_path / "out" / "cat-5.csv").read_text().splitlines())
    assert dict(zip(header, first, strict=True))["a,b"] == "7.0"


def test_a_unit_that_nobody_can_convert_is_refused(tmp_path: Path) -> None:
    _rain(tmp_path / "in", "precip_rate (furlong d-1)", [1.0, 2.0])
    with pytest.raises(DerivationFailed, match=r"cat-2\.csv.*furlong.*can't be converted"):
        derive(tmp_path / "in", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-2"]})


@pytest.mark.parametrize("text", ["", "time,flow\n", "time,precip_rate\n2015-12-01,1\n", "\0\1"])
def test_a_file_that_is_no_forcing_is_named(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "in", make(("cat-2",), range(24)))
    (tmp_path / "in" / "cat-9.csv").write_text(text)
    with pytest.raises(DerivationFailed, match="cat-9"):
        derive(tmp_path / "in", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-2", "cat-9"]})


def test_a_truncated_netcdf_file_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "in", make(("cat-2",), range(24)))
    derive(tmp_path / "in", tmp_path / "whole", AORC, {"CATCHMENT_ID": ["cat-2"]})
    (tmp_path / "cut").mkdir()
    data = (tmp_path / "whole" / "forcing.nc").read_bytes()
    (tmp_path / "cut" / "forcing.nc").write_bytes(data[: len(data) // 2])
    with pytest.raises(DerivationFailed, match=r"forcing\.nc"):
        derive(tmp_path / "cut", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-2"]})


def test_a_link_in_the_data_is_not_followed(tmp_path: Path) -> None:
    write_csv(tmp_path / "in", make(("cat-2",), range(24)))
    shutil.move(tmp_path / "in" / "cat-2.csv", tmp_path / "cat-2.csv")
    (tmp_path / "in" / "cat-2.csv").symlink_to(tmp_path / "cat-2.csv")
    with pytest.raises(DerivationFailed, match="no cat-2"):
        derive(tmp_path / "in", tmp_path / "out", CSV, {"CATCHMENT_ID": ["cat-2"]})
