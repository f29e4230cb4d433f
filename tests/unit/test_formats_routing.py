"""Configs and flows of t-route, ngen-cal and the National Water Model, and composed configs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset

from headrace_formats.detect import detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file, validate_folder
from tests.support.format_samples import (
    CFE,
    NGEN_CAL,
    NWM_NAMELIST,
    REALIZATION,
    T_ROUTE,
    T_ROUTE_ROWS,
    collection,
    features,
)
from tests.support.samples import sample


def found_in(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [f"{each.severity} {each}" for each in validate_file(path).findings]


def plain(path: Path, format_: str) -> dict[str, Any]:
    found = detect_folder(path)
    assert (found.format, found.notes) == (format_, ())
    return found.domain.to_plain()


# t-route


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("ngen-gauge-01073000/routing_config.yaml", "2015-12-31"),
        ("troute-hyfeature/unittest_hyfeature.yaml", "2015-12-01T04:00Z"),
    ],
)
def test_real_configs_of_t_route_tell_their_period(path: str, end: str) -> None:
    assert plain(sample(path), "T_ROUTE_CONFIG") == {"TIME": ["2015-12-01", end]}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dt: 300", "dt: 600", "WARNING line 8, key compute_parameters.forcing_parameters.qts"),
        ("nts: 8640", "nts: 8641", "forcing_parameters.nts: it is no multiple of 12"),
        ("nts: 8640", "nts: -1", "forcing_parameters.nts: it must be a whole number above 0"),
        ("dt: 300", "dt: fast", "ERROR line 9, key compute_parameters.forcing_parameters.dt: it"),
        ("2015-12-01_", "2015-13-01_", "ERROR line 6, key compute_parameters.restart_parameters"),
        ("fabric.gpkg", "", "ERROR line 3, key network_topology_parameters.supernetwork_par"),
        ("qlat_input_folder: ./", "x: y", "forcing_parameters.qlat_input_folder: it is missing"),
        ("binary_nexus_file_folder: ./", "x: y", "it is needed where files are named nex-*"),
        ("compute_parameters:\n", "other:\n", "the key compute_parameters is missing"),
        ("dt: 300", "dt: [", "not valid YAML"),
        ("dt: 300", "dt: &a 300", "anchors"),
        ("dt: 300", "nts: 300", "stands twice"),
    ],
)
def test_what_is_wrong_in_a_config_of_t_route_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    found = found_in(tmp_path / "x", T_ROUTE.replace(old, new))
    assert any(said in each for each in found), found


def test_real_flows_of_t_route_are_the_same_in_csv_and_netcdf() -> None:
    covered = {
        "TIME": ["2023-04-02T01:00Z", "2023-04-03T01:00Z"],
        "ELEMENT_ID": "wb-2420800",
    }
    folder = sample("ngen-cal/troute_output")
    assert plain(folder / "troute_output.csv", "T_ROUTE_CSV") == covered
    assert plain(folder / "troute_output.nc", "T_ROUTE_NETCDF") == covered
    found = detect_folder(folder / "flowveldepth.csv")
    assert found.domain.to_plain() == {"ELEMENT_ID": "2420800"}
    assert found.notes == ("flowveldepth.csv: it tells steps, not times: TIME is not detected",)


def test_files_of_one_time_each_tell_the_step_together(tmp_path: Path) -> None:
    found = detect_folder(sample("troute-hyfeature/chrtout"))
    assert found.format == "T_ROUTE_CSV"
    assert len(found.domain.to_plain()["ELEMENT_ID"]) == 3621
    for path in sample("troute-hyfeature/channel_forcing").glob("*NEXOUT.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found = detect_folder(tmp_path)
    assert found.domain.to_plain()["TIME"] == ["2015-12-01", "2015-12-01T02:00Z"]
    assert "more than any river has" in found.notes[0]
    (tmp_path / "again").write_bytes((tmp_path / "201512010000NEXOUT.csv").read_bytes())
    found = detect_folder(tmp_path)
    assert "TIME" not in found.domain.to_plain()
    assert "is not after the one before it" in found.notes[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (T_ROUTE_ROWS + "8,wb\n", "ERROR line 4: it has 2 columns, not 7"),
        (T_ROUTE_ROWS + "8,wb,noon,1,1,1,1\n", "ERROR line 4, column current_time: 'noon' is"),
        (T_ROUTE_ROWS.replace("0.5", "-0.5"), "WARNING a flow is -0.5 m3/s, below 0"),
        (",\"(0, 'q')\",\"(0, 'd')\"\n7,1,2\n", "ERROR line 1, column 3: it is \"(0, 'd')\", not"),
        (",\"(0, 'q')\"\n7,x\n", "ERROR line 2: a flow is not a number"),
        ("feature_id,201513010000\n7,1\n", "'201513010000' is no time such as 201512010000"),
        ("feature_id,201512010000\n7,1\n7,1\n", "1 ids stand there twice"),
    ],
)
def test_what_is_wrong_in_flows_is_said(tmp_path: Path, text: str, said: str) -> None:
    found = found_in(tmp_path / "x", text)
    assert any(said in each for each in found), found


def test_elements_with_times_of_their_own_keep_what_is_common(tmp_path: Path) -> None:
    more = T_ROUTE_ROWS + "8,wb,2023-04-02 02:00:00,1,1,1,1\n8,wb,2023-04-02 03:00:00,1,1,1,1\n"
    (tmp_path / "x").write_text(more)
    found = detect_folder(tmp_path)
    assert found.domain.to_plain() == {
        "TIME": ["2023-04-02T02:00Z", "2023-04-02T03:00Z"],
        "ELEMENT_ID": ["wb-7", "wb-8"],
    }


def write_flows(path: Path, title: str = "OUTPUT FROM T-ROUTE", unit: str = "m3 s-1") -> None:
    """Two features of t-route, as its newer files have them."""
    with Dataset(path, "w") as file:
        file.TITLE = title
        file.createDimension("feature_id", 2)
        file.createDimension("time", 2)
        file.createVariable("feature_id", "i8", ("feature_id",))[:] = [7, 8]
        file.createVariable("type", str, ("feature_id",))[:] = np.array(["wb", "nex"], object)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "seconds since 2023-04-02"
        time[:] = [3600, 7200]
        flow = file.createVariable("flow", "f4", ("feature_id", "time"))
        flow.units = unit
        flow[:] = 1


def test_flows_in_netcdf_of_several_features(tmp_path: Path) -> None:
    write_flows(tmp_path / "x.nc")
    assert plain(tmp_path, "T_ROUTE_NETCDF") == {
        "TIME": ["2023-04-02T01:00Z", "2023-04-02T03:00Z"],
        "ELEMENT_ID": ["nex-8", "wb-7"],
    }
    write_flows(tmp_path / "x.nc", unit="ft3/s")
    assert detect_folder(tmp_path).notes == (
        "x.nc: variable flow: its unit is 'ft3/s', not m3 s-1",
    )
    write_flows(tmp_path / "x.nc", title="MINE")
    with pytest.raises(FormatError, match="attribute TITLE"):
        detect_folder(tmp_path, "T_ROUTE_NETCDF")


# ngen-cal


def test_real_configs_of_ngen_cal_are_read() -> None:
    assert plain(sample("ngen-cal/example_config.yaml"), "NGEN_CAL_CONFIG") == {}
    assert plain(sample("ngen-cal/calibration_config.json"), "NGEN_CAL_CONFIG") == {
        "CATCHMENT_ID": ["cat-87", "cat-88", "cat-89", "cat-92"]
    }


def test_the_period_that_is_evaluated_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(NGEN_CAL)
    assert plain(tmp_path, "NGEN_CAL_CONFIG") == {
        "TIME": ["2015-12-15T12:00Z", "2015-12-30T23:00Z"]
    }
    (tmp_path / "x").write_text(NGEN_CAL.replace("'", ""))  # YAML's own times
    assert plain(tmp_path, "NGEN_CAL_CONFIG") == {
        "TIME": ["2015-12-15T12:00Z", "2015-12-30T23:00Z"]
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dds", "guess", "ERROR general.strategy.algorithm: 'guess' is none of dds, pso, gwo"),
        ("iterations: 100", "iterations: 0", "ERROR general.iterations: it must be a whole"),
        ("min: 0.0", "min: 1.0", "model.params.CFE[0] (satdk): min, 1, is not below max"),
        ("init: 3.3e-06", "init: 3", "WARNING model.params.CFE[0] (satdk): init, 3, is outside"),
        ("init: 3.3e-06", "init: x", "ERROR model.params.CFE[0] (satdk): init must be a number"),
        ("name: satdk", "label: satdk", "ERROR model.params.CFE[0]: it needs a name of its own"),
        ("{CFE: *cfe}", "{CFE: }", "ERROR model.params.CFE: it must be a list of parameters"),
        ("independent", "free", "ERROR model.strategy: 'free' is none of uniform"),
        ("type: ngen", "type: none", "WARNING model.type: 'none': only ngen runs a model"),
        ("realization: r", "reality: r", "ERROR model.realization: it must name"),
        ("12-30 23", "12-01 23", "evaluation_stop: it is not after evaluation_start"),
        ("12-30 23", "12-32 23", "ERROR model.eval_params.evaluation_stop: "),
        ("model:", "models:", "model must be an object"),
        ("iterations: 100", "iterations: [", "line "),
        ("iterations: 100", "iterations: " + "[" * 40, "nested too deeply"),
        ("iterations: 100", "iterations: !!python/object:os.system 1", "could not determine"),
    ],
)
def test_what_is_wrong_in_a_config_of_ngen_cal_is_said_with_its_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    found = found_in(tmp_path / "x", NGEN_CAL.replace(old, new))
    assert any(said in each for each in found), found


def test_aliases_upon_aliases_take_no_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    bomb = "\n".join(lines) + "\n" + NGEN_CAL.replace("general:", "general:\n  bomb: *a59")
    assert found_in(tmp_path / "x", bomb) == []


# The National Water Model


def test_a_namelist_tells_the_period_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "namelist.hrldas").write_text(NWM_NAMELIST)
    (tmp_path / "hydro.namelist").write_text("&HYDRO_nlist\nsys_cpl = 1\n/\n")
    assert plain(tmp_path, "NWM_CONFIG") == {"TIME": ["2018-06-01", "2018-06-02"]}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("KHOUR", "HOURS", "ERROR key KHOUR: neither KHOUR nor KDAY says"),
        ("KHOUR = 24", "KHOUR = soon", "ERROR line 7: 'soon' is no length of a run"),
        ("START_DAY", "DAY", "ERROR key START_DAY: it is missing"),
        ("= 06", "= 13", "ERROR line 2: "),
        ("/\n", "", "it has no end: a line with / is missing"),
    ],
)
def test_what_is_wrong_in_a_namelist_is_said(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    found = found_in(tmp_path / "x", NWM_NAMELIST.replace(old, new))
    assert any(said in each for each in found), found


def test_the_files_of_the_national_water_model_tell_the_step_together(tmp_path: Path) -> None:
    for hour in range(3):
        with Dataset(tmp_path / f"20180601{hour:02}00.CHRTOUT_DOMAIN1.comp", "w") as file:
            file.TITLE = "OUTPUT FROM NWM v2.1"
            file.createDimension("feature_id", 2)
            file.createDimension("time", 1)
            time = file.createVariable("time", "i4", ("time",))
            time.units = "minutes since 1970-01-01 00:00:00 UTC"
            time[:] = 25_463_520 + hour * 60
            file.createVariable("feature_id", "i8", ("feature_id",))[:] = [101, 179]
            flow = file.createVariable("streamflow", "i4", ("feature_id",))
            flow.units, flow.scale_factor = "m3 s-1", 0.01
            flow[:] = 1
    assert plain(tmp_path, "NWM_OUTPUT") == {
        "TIME": ["2018-06-01", "2018-06-01T03:00Z"],
        "ELEMENT_ID": ["101", "179"],
    }


# Composed configs


def test_the_configs_of_one_run_are_one_dataset(tmp_path: Path) -> None:
    for name in ("realization.json", "pet.ini", *(f"cfe_cat-{n}.ini" for n in (27, 52, 67))):
        real = sample("ngen-sugar-creek/corrected") / name
        (tmp_path / name).write_bytes(real.read_bytes())
    (tmp_path / "route.yaml").write_text(T_ROUTE)
    found = plain(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG")
    assert len(found.pop("GLOBAL_CHECKSUM")) == 40
    assert found == {
        "TIME": ["2015-12-01", "2015-12-31"],
        "CATCHMENT_ID": ["cat-27", "cat-52", "cat-67"],
        "FILE_NAME": sorted(path.name for path in tmp_path.iterdir()),
    }
    assert detect_folder(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG").domain.to_plain()["TIME"]
    assert all(each.is_valid for each in validate_folder(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG"))


def test_without_a_realization_or_with_a_fabric_it_is_no_composed_config(tmp_path: Path) -> None:
    (tmp_path / "cat-1.ini").write_text(CFE)
    (tmp_path / "route.yaml").write_text(T_ROUTE)
    assert detect_folder(tmp_path).format == "GENERIC"
    with pytest.raises(FormatError, match="needs a file of the format NGEN_REALIZATION_CONFIG"):
        detect_folder(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG")
    (tmp_path / "realization.json").write_text(json.dumps(REALIZATION))
    assert detect_folder(tmp_path).format == "NGEN_JOB_COMPOSITE_CONFIG"
    (tmp_path / "fabric.geojson").write_bytes(collection(features()))
    assert detect_folder(tmp_path).format == "GENERIC"
    with pytest.raises(FormatError, match=r"fabric\.geojson is NGEN_GEOJSON_HYDROFABRIC"):
        detect_folder(tmp_path, "NGEN_JOB_COMPOSITE_CONFIG")
