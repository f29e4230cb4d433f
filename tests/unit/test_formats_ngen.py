"""ngen's configs and outputs: partitions, realizations, init configs, CSV output."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset, stringtochar

from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.format_samples import (
    CATCHMENT_CSV,
    CFE,
    NEXUS_CSV,
    PARTITIONS,
    REALIZATION,
    module,
)
from tests.support.samples import sample

GAUGE = [f"cat-{n}" for n in (11223, 11224, 11371, 11410, 11509)]
DECEMBER = ["2015-12-01", "2015-12-31"]


def found_in(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [f"{each.severity} {each}" for each in validate_file(path).findings]


# Partition configs


@pytest.mark.parametrize(
    ("path", "catchments", "length"),
    [
        ("ngen-gauge-01073000/partition_2.json", GAUGE, "2"),
        ("ngen-partitions/sugar_creek_partition_2.json", ["cat-27", "cat-52", "cat-67"], "2"),
        ("ngen-partitions/simple_partition2.json", [f"cat-{n}" for n in range(8)], "2"),
    ],
)
def test_real_partitions_tell_catchments_and_how_many_they_are(
    path: str, catchments: list[str], length: str
) -> None:
    found = detect_folder(sample(path))
    assert (found.format, found.notes) == ("NGEN_PARTITION_CONFIG", ())
    assert found.domain.to_plain() == {"CATCHMENT_ID": catchments, "LENGTH": length}


def test_the_toy_of_eight_partitions_does_not_fit_together_and_says_where() -> None:
    found = detect_folder(sample("ngen-partitions/simple_partition8.json"))
    assert found.domain.to_plain()["LENGTH"] == "8"
    assert [note.partition(": ")[2] for note in found.notes] == [
        "partitions[2].remote-connections[2]: partition 3 has no connection back through that "
        "nexus",
        "partitions[5].remote-connections[1].cat-id: 'cat-5' is not in partition 7",
    ]


def partitions(**changes: Any) -> str:
    found = deepcopy(PARTITIONS)
    found["partitions"][1] |= {key.replace("_", "-"): value for key, value in changes.items()}
    return json.dumps(found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": 0}, "ERROR partitions[1]: its id, 0, is that of partitions[0] too"),
        ({"id": 2}, "ERROR partitions: their ids must be 0 to 1: ranks of MPI"),
        ({"id": -1}, "ERROR partitions[1]: its id must be a number from 0 on"),
        ({"id": True}, "ERROR partitions[1]: its id must be a number from 0 on"),
        ({"cat_ids": [2]}, "ERROR partitions[1].cat-ids[0]: an id must be text, such as cat-1"),
        ({"cat_ids": ["cat-1"]}, "ERROR partitions: the catchment cat-1 is in 2 partitions"),
        ({"cat_ids": []}, "WARNING partitions[1]: it has no catchment"),
        ({"cat_ids": None}, "partitions[1].cat-ids must be a list"),
        ({"remote_connections": []}, "has no connection back through that nexus"),
        ({"remote_connections": [{"mpi-rank": 7}]}, "mpi-rank: there is no such other partition"),
        ({"remote_connections": [{"mpi-rank": 0}]}, "cat-direction: it must be"),
        ({"nex_ids": ["nex-9"]}, "nex-id: 'nex-3' is not in this partition's nex-ids"),
    ],
)
def test_partitions_that_ngen_could_not_run_are_said(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert any(said in each for each in found_in(tmp_path / "x", partitions(**changes)))


# Realization configs


@pytest.mark.parametrize(
    "path",
    [
        "ngen-gauge-01073000/example_bmi_multi_realization_config_w_routing.json",
        "ngen-gauge-01073000/realization_netcdf_output.json",
        "ngen-gauge-01073000/realization_no_routing.json",
        "ngen-sugar-creek/example_bmi_multi_realization_config_w_netcdf.json",
        "ngen-sugar-creek/example_bmi_multi_realization_config_w_noah_pet_cfe.json",
        "ngen-sugar-creek/example_realization_config.json",
        "ngen-sugar-creek/corrected/realization.json",
    ],
)
def test_real_realizations_are_for_all_catchments_of_a_month(path: str) -> None:
    found = detect_folder(sample(path))
    assert (found.format, found.notes) == ("NGEN_REALIZATION_CONFIG", ())
    assert found.domain.to_plain() == {"TIME": DECEMBER, "CATCHMENT_ID": "ALL"}


def test_real_realizations_that_today_s_ngen_would_not_run_are_pointed_out() -> None:
    found = detect_folder(sample("ngen-cal/calibration_demo/realization_config.json"))
    assert found.domain.to_plain()["CATCHMENT_ID"] == "ALL"
    assert "today's ngen has no formulation 'tshirt_c'" in found.notes[0]
    found = detect_folder(sample("ngen-cal/troute_output/example_realization_config.json"))
    assert found.domain.to_plain() == {"TIME": ["2023-04-02", "2023-04-03T01:00Z"]}
    assert "nothing is run" in found.notes[0]


def test_without_formulations_for_all_it_is_for_the_catchments_it_names(tmp_path: Path) -> None:
    found = deepcopy(REALIZATION)
    found["catchments"] = {
        "cat-7": {"formulations": found["global"].pop("formulations"), "forcing": {"path": "x"}}
    }
    (tmp_path / "x").write_text(json.dumps(found))
    assert detect_folder(tmp_path).domain.to_plain() == {"TIME": DECEMBER, "CATCHMENT_ID": "cat-7"}


def realization(formulation: Any = None, forcing: Any = None, **time: Any) -> str:
    found = deepcopy(REALIZATION)
    if formulation is not None:
        found["global"]["formulations"] = [formulation]
    found["global"]["forcing"] |= forcing or {}
    found["time"] |= time
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (realization(formulation={}), "ERROR global.formulations[0].name: a formulation needs"),
        (realization(formulation=7), "global.formulations[0] must be an object"),
        (realization(formulation={"name": "x"}), "formulations[0].params: a formulation needs"),
        (realization(module("bmi_c")), "params.library_file: bmi_c needs a library to load"),
        (realization(module("bmi_python")), "params.python_type: bmi_python needs the class"),
        (realization(module("bmi_multi")), "params.modules: bmi_multi needs modules"),
        (
            realization(module("bmi_multi", modules=[{"name": "bmi_c", "params": {}}])),
            "ERROR global.formulations[0].params.modules[0].params.init_config: it is missing",
        ),
        (realization(module("lstm")), "WARNING global.formulations[0].name: today's ngen has no"),
        (
            realization(forcing={"provider": "Rain"}),
            "WARNING global.forcing.provider: ngen has no",
        ),
        (realization(forcing={"path": None}), "ERROR global.forcing.path: it is missing"),
        (realization(forcing={"file_pattern": "*"}), "every catchment finds one file"),
        (realization(start_time="2016-01-01 00:00:00"), "end_time: it is not after start_time"),
        (realization(start_time="now"), "time.start_time: 'now' is no time such as"),
        (realization(start_time="2015-13-01 00:00:00"), "ERROR time.start_time: "),
        (realization(output_interval="1h"), "output_interval: it must be a number of seconds"),
        (realization(output_interval=7200), "WARNING time.end_time: no step of 7200 s ends there"),
    ],
)
def test_what_is_wrong_in_a_realization_is_said_with_its_key(
    tmp_path: Path, text: str, said: str
) -> None:
    found = found_in(tmp_path / "x", text)
    assert any(said in each for each in found), found


def test_modules_within_modules_have_an_end(tmp_path: Path) -> None:
    inner = module("bmi_c", library_file="x")
    for _ in range(12):
        inner = module("bmi_multi", modules=[inner])
    assert "modules within one another" in found_in(tmp_path / "x", realization(inner))[-1]


# BMI init configs


@pytest.mark.parametrize("folder", ["CFE", "PET", "NOAH"])
def test_real_init_configs_tell_catchments_and_a_checksum(folder: str) -> None:
    found = detect_folder(sample(f"ngen-gauge-01073000/{folder}"))
    assert (found.format, found.notes) == ("BMI_CONFIG", ())
    plain = found.domain.to_plain()
    assert plain.pop("CATCHMENT_ID") == GAUGE
    assert [*plain] == ["GLOBAL_CHECKSUM"]


def test_the_placeholders_of_sugar_creek_are_pointed_out() -> None:
    found = detect_folder(sample("ngen-sugar-creek/bmi"))
    assert found.format == "BMI_CONFIG"
    assert found.domain.to_plain()["CATCHMENT_ID"] == ["cat-27", "cat-52", "cat-67"]
    assert found.notes == (
        "3 files, first c/cfe/cat-27_bmi_config.ini: line 12, key max_gw_storage: 16 m is outside "
        "0 to 10: most that the groundwater holds",
    )


def test_the_checksum_is_of_content_and_not_of_names(tmp_path: Path) -> None:
    def checksum(**files: str) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return detect_folder(folder).domain.to_plain()["GLOBAL_CHECKSUM"]

    more = CFE.replace("0.33", "0.34")
    assert checksum(a=CFE, b=more) == checksum(c=more, d=CFE)
    assert checksum(a=CFE, b=more) != checksum(a=CFE)
    assert checksum(a=CFE) != checksum(a=more)


def test_catchments_are_those_that_every_model_has_a_file_for(tmp_path: Path) -> None:
    pet = "pet_method=3\nforcing_file=BMI\nlatitude_degrees=35\nlongitude_degrees=-80\n"
    for name, text in (("cat-1.ini", CFE), ("cat-2.ini", CFE)):
        (tmp_path / name).write_text(text)
    (tmp_path / "pet_cat-2.ini").write_text(pet + "site_elevation_m=300\n")
    assert detect_folder(tmp_path).domain.to_plain()["CATCHMENT_ID"] == "cat-2"


NOAH = """&timing
  dt = 3600.0 ! seconds
  startdate = "201512010000"
  enddate = "201512310000"
/
&parameters
  parameter_dir = "x/"
/
&location
  lat = 43.1
  lon = -70.9
/
&model_options
  precip_phase_option = 1
/
&structure
 isltyp = 3
 vegtyp = 15
/
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CFE.replace("Cgw=", "Cg="), "ERROR key Cgw: it is missing; CFE needs it"),
        (CFE.replace("=0.33", "=0.33\nalpha_fc=1"), "ERROR line 15: the key alpha_fc stands in"),
        (CFE + "what\n", "ERROR line 20: 'what' is not key=value"),
        (CFE.replace("=2.0[m]", "=deep"), "ERROR line 3, key soil_params.depth: 'deep' is not"),
        (CFE.replace("2.2e-07", "2.2"), "WARNING line 5, key soil_params.satdk: 2.2 m s-1 is"),
        (CFE.replace("0.066", "0.45").replace("=0.6[", "=0.4["), "it is not below smcmax"),
        (CFE.replace("0.6,0.4", "0.6,0.6"), "they come to 1.2, not 1: water is made or lost"),
        (CFE.replace("0.6,0.4", "0.6;0.4"), "they must be numbers with commas between"),
        (NOAH.replace('"201512310000"', '"2015"'), "ERROR line 4: '2015' is no time such as"),
        (NOAH.replace("201512310000", "201511310000"), "line 4: enddate is not after startdate"),
        (NOAH.replace("lat = 43.1", "lat = 143.1"), "WARNING line 10, key location.lat: 143.1"),
        (NOAH[:-2], "ERROR group &structure: it has no end: a line with / is missing"),
    ],
)
def test_what_is_wrong_in_an_init_config_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    for good in (CFE, NOAH):
        assert found_in(tmp_path / "x", good) == []
    found = found_in(tmp_path / "x", text)
    assert any(said in each for each in found), found


# CSV output


def test_the_real_output_tells_time_catchments_and_nexuses() -> None:
    found = detect_folder(sample("ngen-sugar-creek/corrected/expected_output"))
    assert (found.format, found.notes) == ("NGEN_CSV_OUTPUT", ())
    assert found.domain.to_plain() == {
        "TIME": DECEMBER,
        "CATCHMENT_ID": ["cat-27", "cat-52", "cat-67"],
        "ELEMENT_ID": ["nex-26", "nex-34", "nex-68"],
    }


def test_the_test_flows_of_t_route_are_more_than_any_river_has() -> None:
    found = detect_file(sample("troute-hyfeature/channel_forcing/nex-10236_output.csv"))
    assert found.format == "NGEN_CSV_OUTPUT"
    assert "more than any river has" in str(found.warnings[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NEXUS_CSV.replace("1.5e-2", "-1"), "WARNING column flow: a flow is -1 m3/s, below 0"),
        (NEXUS_CSV.replace("1.5e-2", "nan"), "are no finite numbers; the first: line 2"),
        (CATCHMENT_CSV.replace("\n1,", "\n2,"), "line 3: steps are not numbered 0, 1, 2"),
        (NEXUS_CSV + "2, 2015-12-01 02:00:00\n", "ERROR line 3: it has 2 columns, not 3"),
        (NEXUS_CSV, "its name holds no nex-<number>: ELEMENT_ID is not detected"),
        (CATCHMENT_CSV, "its name holds no cat-<number>: CATCHMENT_ID is not detected"),
        (CATCHMENT_CSV.replace("Q_OUT", "Time"), "the columns need names, each its own"),
    ],
)
def test_what_is_wrong_in_an_output_is_said(tmp_path: Path, text: str, said: str) -> None:
    found = found_in(tmp_path / "x", text)
    assert any(said in each for each in found), found


def test_an_output_of_no_variable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("Time Step,Time\n0,2015-12-01 00:00:00\n")
    with pytest.raises(FormatError, match="names no output variable"):
        detect_file(tmp_path / "x", "NGEN_CSV_OUTPUT")


def test_all_catchments_in_one_file_are_told_by_its_first_column(tmp_path: Path) -> None:
    rows = [f"cat-{n},{h},2015-12-01 0{h}:00:00,0.5" for h in range(2) for n in (1, 2)]
    text = "\n".join(("catchment_id,Time Step,Time,Q_OUT", *rows)) + "\n"
    (tmp_path / "cat_output.csv").write_text(text)
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == ("NGEN_CSV_OUTPUT", ())
    assert found.domain.to_plain() == {
        "TIME": ["2015-12-01", "2015-12-01T02:00Z"],
        "CATCHMENT_ID": ["cat-1", "cat-2"],
    }
    (tmp_path / "cat_output.csv").write_text(text + "cat-2,2,2015-12-01 02:00:00,0.5\n")
    assert detect_folder(tmp_path).domain.to_plain()["TIME"] == ["2015-12-01", "2015-12-01T02:00Z"]
    found_errors = found_in(tmp_path / "x", text + "cat-2,2,noon,0.5\n,2,2015-12-01,1\n")
    assert "ERROR line 6, column Time: 'noon' is not a time" in found_errors[0]


@pytest.mark.parametrize("numbers", [False, True])
def test_the_flows_of_all_nexuses_in_netcdf(tmp_path: Path, numbers: bool) -> None:
    with Dataset(tmp_path / "x.nc", "w") as file:
        for name, length in (("feature_id", 2), ("time", 2), ("feature_id_str_len", 32)):
            file.createDimension(name, length)
        if numbers:
            file.createVariable("feature_id", "u4", ("feature_id",))[:] = [26, 34]
        else:
            ids = file.createVariable("feature_id", "S1", ("feature_id", "feature_id_str_len"))
            ids[:] = stringtochar(np.array(["nex-26", "nex-34"], "S32"))
        time = file.createVariable("time", "i8", ("time",))
        time.units, time.calendar = "minutes since 1970-01-01 00:00:00", "gregorian"
        time[:] = [24_148_800, 24_148_860]
        flow = file.createVariable("runoff_rate", "f8", ("feature_id", "time"))
        flow.units = "m3 s^-1"
        flow[:] = 1
    found = detect_folder(tmp_path)
    assert (found.format, found.notes) == ("NGEN_NETCDF_OUTPUT", ())
    assert found.domain.to_plain() == {
        "TIME": ["2015-12-01", "2015-12-01T02:00Z"],
        "ELEMENT_ID": ["nex-26", "nex-34"],
    }
    with Dataset(tmp_path / "x.nc", "a") as file:
        file.variables["runoff_rate"].units = "mm"
        file.renameVariable("feature_id", "id")
    with pytest.raises(FormatError, match="the variable feature_id is missing"):
        detect_folder(tmp_path, "NGEN_NETCDF_OUTPUT")
