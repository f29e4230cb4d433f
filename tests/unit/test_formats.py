"""Each format reads exactly what small files like the real ones hold."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset

from headrace_formats import detect, registry
from headrace_formats.base import FileDomain, Format
from headrace_formats.detect import detect_file, detect_files, detect_folder
from headrace_formats.errors import FormatError
from headrace_model import plugins
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from tests.support.format_samples import waterml

DAYS = ["1979-01-01", "1979-01-04"]
LOCK = "# made by hand\nnumpy==2.1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


def write_forcing(path: Path, variable: str = "prcp", first: int = 0, ids: Any = (7, 8)) -> None:
    """PRMS forcing of three days; times are float32, as pywatershed has them."""
    with Dataset(path, "w") as file:
        file.createDimension("time", 3)
        file.createDimension("nhm_id", len(ids))
        time = file.createVariable("time", "f4", ("time",), fill_value=np.nan)
        time.units, time.calendar = "days since 1979-01-01", "standard"
        time[:] = first + np.arange(3)
        hru = file.createVariable("nhm_id", "i4", ("nhm_id",))
        hru.cf_role = "timeseries_id"
        hru[:] = ids
        file.createVariable(variable, "f4", ("time", "nhm_id"))[:] = 1


def write_parameters(path: Path, variable: str = "hru_area", gauges: bool = False) -> None:
    with Dataset(path, "w") as file:
        file.createDimension("nhru", 2)
        file.createDimension("nsegment", 1)
        file.createVariable("nhm_id", "i8", ("nhru",))[:] = [7, 8]
        file.createVariable(variable, "f8", ("nhru",))[:] = 1
        file.createVariable("seg_length", "f8", ("nsegment",))[:] = 1
        if gauges:
            file.createDimension("npoigages", 2)
            file.createVariable("poi_gage_id", str, ("npoigages",))[:] = np.array(
                ["01469500", "01470756"], object
            )


def write_observation(path: Path) -> None:
    with Dataset(path, "w") as file:
        for name, length in (("poi_id", 2), ("time", 3), ("poiid_nchars", 10)):
            file.createDimension(name, length)
        poi = file.createVariable("poi_id", "S1", ("poi_id", "poiid_nchars"))
        poi.cf_role, poi._Encoding = "timeseries_id", "ascii"
        poi[:] = np.array(["01411456  ", "01411500"], "S10")
        time = file.createVariable("time", "f4", ("time",))
        time.units = "days since 1940-01-01"
        time[:] = [14245, 14246, 14247]
        file.createVariable("discharge", "f4", ("poi_id", "time"))[:] = 1


def write_series(
    path: Path,
    times: Any = (0, 1, 2),
    kind: str = "f8",
    id_name: str = "gauge_id",
    **settings: Any,
) -> None:
    """A CF timeSeries as run_prms.py writes it; `settings`: units, calendar, bounds, step."""
    with Dataset(path, "w") as file:
        for name, length in (("time", len(times)), ("station", 2), ("bounds", 2)):
            file.createDimension(name, length)
        time = file.createVariable("time", kind, ("time",))
        time.units = settings.get("units", "days since 1979-01-01 00:00:00")
        if "calendar" in settings:
            time.calendar = settings["calendar"]
        time[:] = times
        if "bounds" in settings:
            time.bounds = "time_bounds"
            file.createVariable("time_bounds", "f8", ("time", "bounds"))[:] = settings["bounds"]
        if "step" in settings:
            file.time_coverage_resolution = settings["step"]
        ids = file.createVariable(id_name, str, ("station",))
        ids.cf_role = "timeseries_id"
        ids[:] = np.array(["a", "b"], object)
        file.createVariable("streamflow", "f4", ("time", "station"))[:] = 1


def domain_of(path: Path, format: str | None = None) -> dict[str, Any]:
    return detect_folder(path, format).domain.to_plain()


def test_forcing_of_prms_has_time_and_catchments(tmp_path: Path) -> None:
    for name in ("prcp", "tmax"):
        write_forcing(tmp_path / f"{name}.nc", name)
    found = detect_folder(tmp_path)
    assert found.format == "PRMS_NETCDF"
    assert found.domain.to_plain() == {"TIME": DAYS, "CATCHMENT_ID": ["7", "8"]}
    assert found.notes == ()


def test_different_variables_are_intersected(tmp_path: Path) -> None:
    write_forcing(tmp_path / "prcp.nc", "prcp")
    write_forcing(tmp_path / "tmax.nc", "tmax", first=1, ids=(8, 9))
    assert domain_of(tmp_path) == {"TIME": ["1979-01-02", "1979-01-04"], "CATCHMENT_ID": "8"}


def test_pieces_of_one_variable_unite(tmp_path: Path) -> None:
    write_forcing(tmp_path / "a.nc")
    write_forcing(tmp_path / "b.nc", first=3)
    assert domain_of(tmp_path)["TIME"] == ["1979-01-01", "1979-01-07"]


def test_parameters_of_prms_have_catchments_and_gauges(tmp_path: Path) -> None:
    write_parameters(tmp_path / "dis.nc", gauges=True)
    write_parameters(tmp_path / "canopy.nc", "covden")
    found = detect_folder(tmp_path)
    assert found.format == "PRMS_NETCDF"
    assert found.domain.to_plain() == {
        "CATCHMENT_ID": ["7", "8"],
        "GAUGE_ID": ["01469500", "01470756"],
    }


def test_observation_has_time_and_gauges_without_padding(tmp_path: Path) -> None:
    write_observation(tmp_path / "obs.nc")
    found = detect_folder(tmp_path)
    assert found.format == "OBSERVATION_NETCDF"
    assert found.domain.to_plain() == {"TIME": DAYS, "GAUGE_ID": ["01411456", "01411500"]}


@pytest.mark.parametrize(("name", "index"), [("gauge_id", "GAUGE_ID"), ("divide", "CATCHMENT_ID")])
def test_a_time_series_has_gauges_or_catchments(tmp_path: Path, name: str, index: str) -> None:
    write_series(tmp_path / "flow.nc", id_name=name)
    found = detect_folder(tmp_path)
    assert found.format == "TIMESERIES_NETCDF"
    assert found.domain.to_plain() == {"TIME": DAYS, index: ["a", "b"]}


def test_bounds_count_before_stamps(tmp_path: Path) -> None:
    write_series(tmp_path / "flow.nc", (1, 2), bounds=[[0, 1], [1, 2]])
    assert domain_of(tmp_path)["TIME"] == ["1979-01-01", "1979-01-03"]


def test_a_single_stamp_needs_a_declared_step(tmp_path: Path) -> None:
    write_series(tmp_path / "flow.nc", (0,))
    found = detect_folder(tmp_path)
    assert found.domain.to_plain() == {"GAUGE_ID": ["a", "b"]}
    assert "single stamp" in found.notes[0]
    write_series(tmp_path / "flow.nc", (0,), step="PT6H")
    assert domain_of(tmp_path)["TIME"] == ["1979-01-01", "1979-01-01T06:00Z"]


@pytest.mark.parametrize(
    ("times", "kind", "settings", "end"),
    [
        (np.arange(5) / 24, "f8", {}, "1979-01-01T05:00Z"),
        (14000 + np.arange(48) / 24, "f4", {"units": "days since 1940-1-1"}, "1978-05-03"),
        ([0, 31, 59], "i4", {}, "1979-04-01"),
        ([0, 60, 120], "i8", {"units": "minutes since 1979-01-01T00:00:00Z"}, "1979-01-01T03:00Z"),
        ([1, 2], "u2", {"units": "hours since 1978-12-31 23:00 +00:00"}, "1979-01-01T02:00Z"),
    ],
)
def test_cf_times_come_out_exact(
    tmp_path: Path, times: Any, kind: str, settings: Any, end: str
) -> None:
    write_series(tmp_path / "flow.nc", times, kind, **settings)
    assert domain_of(tmp_path)["TIME"][1] == end


@pytest.mark.parametrize(
    ("times", "kind", "settings", "why"),
    [
        ([0, 1], "f8", {"calendar": "noleap"}, "noleap"),
        ([0, 1], "f8", {"units": "months since 1979-01-01"}, "months since"),
        ([0, 1], "f8", {"units": "days since 0001-01-01"}, "Julian"),
        ([0, 1], "f8", {"units": "days since 1979-02-30"}, "1979-02-30"),
        ([1, 1], "f8", {}, "is not after"),
        ([0, np.nan], "f8", {}, "missing"),
        ([0, 1e30], "f8", {}, "0001 to 9999"),
        (14000 + np.array([0.1, 0.23, 0.7]), "f4", {}, "float32"),
        # A grid of seconds would give these bits too: finer than the bits tell.
        (14000 + np.arange(3) * 0.013, "f4", {}, "float32"),
        ([0, 1], "f8", {"bounds": [[0, 1], [2, 2]]}, "cell 2"),
    ],
)
def test_times_that_are_not_certain_are_refused_with_the_reason(
    tmp_path: Path, times: Any, kind: str, settings: Any, why: str
) -> None:
    write_series(tmp_path / "flow.nc", times, kind, **settings)
    with pytest.raises(FormatError, match=r"flow\.nc can't be read as .*variable time") as caught:
        detect_folder(tmp_path, "TIMESERIES_NETCDF")
    assert why in str(caught.value)
    assert detect_folder(tmp_path).format == "GENERIC"


def test_a_csv_of_usgs_columns_has_gauges(tmp_path: Path) -> None:
    (tmp_path / "flow.csv").write_text(
        "time_utc,0214655255,0214657975\n2015-12-01 01:00:00,1.2,\n2015-12-01 02:00:00,NA,3\n"
    )
    found = detect_folder(tmp_path)
    assert found.format == "TIMESERIES_CSV"
    assert found.domain.to_plain() == {
        "TIME": ["2015-12-01T01:00Z", "2015-12-01T03:00Z"],
        "GAUGE_ID": ["0214655255", "0214657975"],
    }


def test_a_csv_of_quantities_has_time_only(tmp_path: Path) -> None:
    (tmp_path / "cat-1.csv").write_bytes(b"\xef\xbb\xbftime,rain\r\n2015-01-01,1\r\n2015-01-02,2")
    assert domain_of(tmp_path) == {"TIME": ["2015-01-01", "2015-01-03"]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time,a\n2015-01-01,x\n", "line 2, column a: 'x' is not a number"),
        ("time,a\n2015-01-01,1\nyesterday,2\n", "line 3, column time"),
        ("time,a\n2015-01-01\n", "line 2: it has 1 columns, not 2"),
        ("time,a,a\n2015-01-01,1,2\n", "line 1: the columns need names"),
        ("time,a\n2015-01-02,1\n2015-01-01,1\n", "is not after"),
        ('time,a\n2015-01-01,"1\n', "line 2"),
        ("place,a\n", "names no time column"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(FormatError) as caught:
        detect_folder(tmp_path, "TIMESERIES_CSV")
    assert why in str(caught.value)


def test_the_real_usgs_series_is_read() -> None:
    samples = os.environ.get("HEADRACE_SAMPLES")
    if not samples:
        pytest.skip("HEADRACE_SAMPLES names no folder with the real sample files")
    found = detect_folder(Path(samples) / "usgs-2015-12" / "usgs_hourly_cms.csv")
    assert found.format == "TIMESERIES_CSV"
    assert found.domain.to_plain()["GAUGE_ID"] == ["0214655255", "0214657975"]


def test_a_lock_is_recognised_although_its_name_is_that_of_documentation(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(LOCK)
    (tmp_path / "README.md").write_text("hello")
    found = detect_folder(tmp_path)
    assert (found.format, found.domain) == ("PIP_LOCK", Domain())


@pytest.mark.parametrize("line", ["--index-url https://x", "-r other.txt", "numpy", "numpy==1"])
def test_a_lock_holds_nothing_but_pins_with_hashes(tmp_path: Path, line: str) -> None:
    (tmp_path / "lock.txt").write_text(f"{LOCK}{line}\n")
    with pytest.raises(FormatError, match="line 4"):
        detect_folder(tmp_path, "PIP_LOCK")


def test_no_files_are_empty(tmp_path: Path) -> None:
    assert detect_folder(tmp_path).format == "EMPTY"
    assert detect_folder(tmp_path, "GENERIC").format == "GENERIC"
    with pytest.raises(FormatError, match="the dataset is empty"):
        detect_folder(tmp_path, "PRMS_NETCDF")
    (tmp_path / "a").touch()
    with pytest.raises(FormatError, match="holds no file"):
        detect_folder(tmp_path, "EMPTY")


def test_mixed_formats_are_generic_and_named(tmp_path: Path) -> None:
    write_forcing(tmp_path / "prcp.nc")
    write_observation(tmp_path / "obs.nc")
    found = detect_folder(tmp_path)
    assert (found.format, found.domain) == ("GENERIC", Domain())
    assert "obs.nc is OBSERVATION_NETCDF, prcp.nc is PRMS_NETCDF" in found.notes[0]


def test_a_foreign_file_makes_it_generic_but_documentation_does_not(tmp_path: Path) -> None:
    write_forcing(tmp_path / "prcp.nc")
    (tmp_path / "README").write_text("x")
    assert detect_folder(tmp_path).format == "PRMS_NETCDF"
    assert detect_folder(tmp_path, "PRMS_NETCDF").format == "PRMS_NETCDF"
    (tmp_path / "blob.bin").write_bytes(b"\0")
    assert detect_folder(tmp_path).format == "GENERIC"
    with pytest.raises(FormatError, match=r"blob\.bin"):
        detect_folder(tmp_path, "PRMS_NETCDF")


def test_a_damaged_file_of_data_is_no_documentation_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_bytes(waterml())
    (tmp_path / "cut.json").write_bytes(waterml()[:-20])
    found = detect_folder(tmp_path)
    assert (found.format, found.domain) == ("GENERIC", Domain())
    assert any(
        note.startswith("cut.json can't be read as USGS_WATERML_JSON") for note in found.notes
    )
    with pytest.raises(FormatError, match=r"cut\.json"):
        detect_folder(tmp_path, "USGS_WATERML_JSON")


def test_a_damaged_part_of_a_composite_is_named(tmp_path: Path) -> None:
    (tmp_path / "realization.json").write_text('{"global": {"formulations": [')
    with pytest.raises(FormatError, match=r"realization\.json can't be read as NGEN_REALIZATION"):
        detect_folder(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG")


def test_prose_that_begins_like_a_table_is_documentation_all_the_same(tmp_path: Path) -> None:
    write_forcing(tmp_path / "prcp.nc")
    (tmp_path / "README.md").write_text("Times are UTC, dates are ISO.\nThe rest is rain.\n")
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == ("PRMS_NETCDF", ())


def test_notes_with_a_comma_and_the_word_time_leave_data_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "flow.csv").write_text("time,a\n2015-01-01,1\n2015-01-02,2\n")
    (tmp_path / "notes.txt").write_text("In time, all is told.\nOn 2 days, in 2015.\nNo more.\n")
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == ("TIMESERIES_CSV", ())
    (tmp_path / "cut.txt").write_text("time,a\n2015-01-01,1\n2015-01-02\n")
    assert "line 3: it has 1 columns, not 2" in " ".join(detect_folder(tmp_path).notes)


class _Name(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared: list[int] = [0]  # noqa: RUF012 - of all of them together

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.compared[0] += 1
        return str.__eq__(self, other)


def test_many_files_are_told_from_documentation_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(LOCK)
    (tmp_path / "other").write_text("hello")
    _Name.compared[0] = 0
    files = [(_Name(f"{n}/lock"), tmp_path / "good") for n in range(200)]
    files += [(_Name(f"{n}/README"), tmp_path / "other") for n in range(200)]
    found = detect_files(files, None)
    assert (found.format, len(found.files)) == ("PIP_LOCK", 400)
    assert _Name.compared[0] <= len(files)


def test_links_are_not_followed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_forcing(tmp_path / "prcp.nc")
    (data / "link.nc").symlink_to(tmp_path / "prcp.nc")
    (data / "folder").symlink_to(tmp_path)
    found = detect_folder(data)
    assert found.format == "EMPTY"
    assert len(found.notes) == 2


def test_a_file_name_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\n.csv")).write_text("time,a\n2015-01-01,x\n")
    [note] = detect_folder(tmp_path).notes
    assert note.startswith("??.csv can't be read as TIMESERIES_CSV")


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="did you mean PRMS_NETCDF"):
        detect_folder(tmp_path, "PRMS_NETCDFF")


class _Point:
    name, value = "mine", "package:FORMAT"

    def __init__(self, plugin: object) -> None:
        self.load = lambda: plugin


def test_a_third_party_adds_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"MINE")
    mine = Format(
        "MINE",
        "mine",
        (Category.CONFIG,),
        (),
        lambda head: head == b"MINE",
        lambda _path, _report: FileDomain(),
    )
    monkeypatch.setattr(plugins, "entry_points", lambda group: [_Point(mine)])
    registry.all_formats.cache_clear()
    try:
        assert detect_folder(tmp_path).format == "MINE"
        assert [each.name for each in detect.describe_all()][-2:] == ["MINE", "GENERIC"]
        monkeypatch.setattr(plugins, "entry_points", lambda group: [_Point(3)])
        registry.all_formats.cache_clear()
        with pytest.raises(FormatError, match="package:FORMAT"):
            detect_file(tmp_path / "x")
    finally:
        monkeypatch.undo()
        registry.all_formats.cache_clear()


def test_a_missing_netcdf4_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_forcing(tmp_path / "prcp.nc")
    monkeypatch.setitem(__import__("sys").modules, "netCDF4", None)
    with pytest.raises(FormatError, match=r"pip install 'headrace\[netcdf\]'"):
        detect_folder(tmp_path, "PRMS_NETCDF")
