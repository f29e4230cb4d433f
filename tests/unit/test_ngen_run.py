"""The config of a run of ngen: what is written, and every way in which a run is refused."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from headrace_derivations.base import DerivationFailed
from headrace_derivations.ngen_run import DERIVATION
from headrace_derivations.ngen_run_forcing import file_pattern
from headrace_formats.detect import detect_folder
from headrace_kinds.ngen_run import COMPOSITE_CONFIG, NgenRun, Part
from headrace_model.domain import Domain
from headrace_model.requirement import Derived
from tests.support.deriving import contents, steps
from tests.support.ngen_runs import (
    GAUGE_CATCHMENTS,
    GEOJSON,
    GEOPACKAGE,
    SUGAR_CREEK,
    WEEK,
    Inputs,
    gauge,
    put_week,
    run_stand_in,
    sugar_creek,
    workplace,
)
from tests.support.samples import sample

DAY = ["2015-12-05", "2015-12-06"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sugar Creek, made once."""
    folder = tmp_path_factory.mktemp("sugar")
    sugar_creek(folder)
    return folder


@pytest.fixture
def sugar(pristine: Path, tmp_path: Path) -> Inputs:
    """A copy of it that a test may damage."""
    shutil.copytree(pristine, tmp_path / "sugar")
    return Inputs(tmp_path / "sugar")


def refusal(inputs: Inputs, **asked: Any) -> tuple[str, str]:
    """What is said of a run that is refused, and the fix."""
    with pytest.raises(DerivationFailed) as raised:
        inputs.derive(**asked)
    assert not (inputs.run / "realization.json").exists()
    return raised.value.message, raised.value.hint or ""


# ---- what is written


def test_the_config_has_the_paths_of_the_working_folder(sugar: Inputs) -> None:
    made = sugar.derive(DAY)
    modules = made["global"]["formulations"][0]["params"]["modules"]
    assert [each["params"]["init_config"] for each in modules] == [
        "/dev/null",
        "./config/init-configs/pet.ini",
        "./config/init-configs/cfe_{{id}}.ini",
    ]
    assert [each["params"]["library_file"] for each in modules] == [
        "/ngen/extern/sloth/cmake_build/libslothmodel.so",
        "/ngen/extern/evapotranspiration/evapotranspiration/cmake_build/libpetbmi",
        "/ngen/extern/cfe/cmake_build/libcfebmi",
    ]
    assert made["global"]["forcing"] == {
        "file_pattern": ".*{{id}}_.*csv",
        "path": "./forcing/",
        "provider": "CsvPerFeature",
    }
    assert made["time"] == {
        "start_time": "2015-12-05 00:00:00",
        "end_time": "2015-12-05 23:00:00",
        "output_interval": 3600,
    }
    assert made["output_root"] == "../output/"
    told = detect_folder(sugar.run, "NGEN_RUN_CONFIG")
    assert told.domain.to_plain()["TIME"] == DAY
    assert sugar.said[-1].startswith("3 catchments are checked: forcing, init configs")


def test_the_stand_in_runs_what_is_written(sugar: Inputs) -> None:
    sugar.derive(DAY)
    work = workplace(sugar, sugar.run)
    done = run_stand_in(work)
    assert done.returncode == 0, done.stderr
    assert "Finished 24 timesteps." in done.stdout
    found = detect_folder(work.parent / "output", "NGEN_CSV_OUTPUT")
    told = found.domain.to_plain()
    assert told["TIME"] == DAY
    assert len(list((work.parent / "output").iterdir())) == 6


def test_two_ranks_write_the_same_files_as_one(sugar: Inputs) -> None:
    sugar.derive(WEEK)
    partitions = sample("ngen-partitions/sugar_creek_partition_2.json")
    alone = workplace(sugar, sugar.run, partitions=partitions)
    assert run_stand_in(alone).returncode == 0
    expected = contents(alone.parent / "output")
    shutil.rmtree(alone.parent)
    work = workplace(sugar, sugar.run, partitions=partitions)
    for rank in range(2):
        done = run_stand_in(work, ranks=2, rank=rank)
        assert done.returncode == 0, done.stderr
    assert contents(work.parent / "output") == expected
    assert len(expected) == 6


def test_a_geopackage_with_netcdf_forcing_and_noah(tmp_path: Path) -> None:
    basin = gauge(tmp_path, netcdf=True)
    made = basin.derive(DAY, fabric=GEOPACKAGE, forcing="NETCDF_AORC_DEFAULT", netcdf=True)
    assert made["global"]["forcing"] == {"provider": "NetCDF", "path": "./forcing.nc"}
    assert made["output"] == {
        "root": "../output/",
        "catchment": {"enable": False},
        "nexus": {"format": "netcdf", "grouping": "per_formulation"},
    }
    assert "output_root" not in made
    noah = (basin.run / "init-configs/NOAH/cat-11223.input").read_text()
    assert 'parameter_dir      = "./config/init-configs/NOAH/parameters/"' in noah
    work = workplace(basin, basin.run)
    assert (work / "config/init-configs/NOAH/parameters/GENPARM.TBL").is_file()
    done = run_stand_in(work)
    assert done.returncode == 0, done.stderr
    found = detect_folder(work.parent / "output", "NGEN_NETCDF_OUTPUT")
    assert found.domain.to_plain()["TIME"] == DAY


def test_t_route_gets_its_paths_and_the_time_of_the_run(tmp_path: Path) -> None:
    basin = gauge(tmp_path, routed=True)
    made = basin.derive(DAY, fabric=GEOPACKAGE, routing=True, output="model")
    assert made["routing"] == {
        "t_route_config_file_with_path": "./config/t-route/routing_config.yaml"
    }
    assert made["output_root"] == "../output/model/"
    written = (basin.run / "t-route/routing_config.yaml").read_text().splitlines()
    before = sample("ngen-gauge-01073000/routing_config.yaml").read_text().splitlines()
    changed = [new.strip() for old, new in zip(before, written, strict=True) if old != new]
    assert changed == [
        "geo_file_path: ./fabric.gpkg",
        "level_pool_waterbody_parameter_file_path: ./fabric.gpkg",
        'start_datetime: "2015-12-05_00:00:00"',
        "qlat_input_folder           : ../output/model/",
        "binary_nexus_file_folder    : ../output/model/ # this is required if "
        'qlat_file_pattern_filter="nex-*"',
        "nts                         : 288 #288 for 1day",
        "chanobs_output_directory: ../output/routing/",
        "lakeout_output: ../output/routing/",
    ]
    assert any("nts is 288, no more 8640" in each for each in basin.said)


def test_t_route_is_left_out_where_it_is_not_wanted(tmp_path: Path) -> None:
    basin = gauge(tmp_path, routed=True)
    assert "routing" not in basin.derive(DAY, fabric=GEOPACKAGE)
    assert "t-route is left out: settings.routing is false" in basin.said


def test_formulations_of_single_catchments_get_their_own_files(sugar: Inputs) -> None:
    formulation = sugar.formulation()
    own = json.loads(json.dumps(formulation))
    sugar.change(catchments={"cat-52": {"formulations": [own]}, "cat-1": {}})
    made = sugar.derive(DAY)
    (id_,) = made["catchments"]
    assert id_ == "cat-52"
    assert made["catchments"][id_]["forcing"]["path"].startswith("./forcing/cat-52_2015-12-01")
    cfe = made["catchments"][id_]["formulations"][0]["params"]["modules"][2]
    assert cfe["params"]["init_config"] == "./config/init-configs/cfe_cat-52.ini"
    assert run_stand_in(workplace(sugar, sugar.run)).returncode == 0


def test_the_same_run_is_the_same_bytes(sugar: Inputs, tmp_path: Path) -> None:
    sugar.derive(DAY)
    first = contents(sugar.run)
    shutil.rmtree(sugar.run)
    sugar.derive(DAY)
    assert contents(sugar.run) == first


# ---- forcing


def test_a_catchment_without_forcing(sugar: Inputs) -> None:
    next(sugar.forcing.glob("cat-52*")).unlink()
    said, fix = refusal(sugar)
    assert said == ("there is no forcing for cat-52: the forcing has 2 catchments, the run 3")
    assert "leave the catchment out of the run" in fix
    assert sugar.derive(DAY, ["cat-27", "cat-67"])


def rows_of(inputs: Inputs, id_: str, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of a catchment's forcing."""
    path = next(inputs.forcing.glob(f"{id_}_*"))
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def test_an_hour_is_missing(sugar: Inputs) -> None:
    rows_of(sugar, "cat-52", lambda rows: [*rows[:101], *rows[102:]])
    said, fix = refusal(sugar)
    assert "cat-52: the forcing (cat-52_" in said
    assert "lacks 2015-12-05T04:00Z to 2015-12-05T05:00Z, 1 of the run's steps" in said
    assert "fill the missing rows in" in fix
    assert sugar.derive(["2015-12-06", "2015-12-07"])


def test_a_time_beyond_the_forcing(sugar: Inputs) -> None:
    said, fix = refusal(sugar, time=["2015-12-07", "2015-12-09"])
    assert "lacks 2015-12-08 to 2015-12-09, 24 of the run's steps" in said
    assert "it has 2015-12-01 to 2015-12-08" in said
    assert "run a time that it covers" in fix


def test_a_blank_number(sugar: Inputs) -> None:
    def blank(rows: list[str]) -> list[str]:
        cells = rows[101].split(",")
        cells[6] = ""
        return [*rows[:101], ",".join(cells), *rows[102:]]

    rows_of(sugar, "cat-27", blank)
    said, fix = refusal(sugar)
    assert "cat-27: the forcing" in said
    assert "no number for TMP_2maboveground at 2015-12-05T04:00Z" in said
    assert "ngen reads no blank" in fix


def test_the_rain_of_sugar_creek_as_it_was_shipped(sugar: Inputs) -> None:
    shutil.rmtree(sugar.forcing)
    put_week(sample(f"{SUGAR_CREEK}/forcing"), sugar.forcing)
    said, fix = refusal(sugar)
    assert "1,000 times too small against APCP_surface: it looks like m s^-1" in said
    assert "multiply it by 1,000" in fix
    assert "doubtful_forcing: warn" in fix
    assert sugar.derive(DAY, doubtful=True)
    assert any(each.startswith("warning: cat-27: the forcing") for each in sugar.said)


def test_temperatures_in_celsius(sugar: Inputs) -> None:
    def celsius(rows: list[str]) -> list[str]:
        changed = [rows[0]]
        for row in rows[1:]:
            cells = row.split(",")
            cells[6] = str(float(cells[6]) - 273.15)
            changed.append(",".join(cells))
        return changed

    rows_of(sugar, "cat-67", celsius)
    said, fix = refusal(sugar)
    assert "cat-67: the forcing" in said
    assert "TMP_2maboveground: air temperature at 2 m from" in said
    assert "is it in degrees Celsius?" in fix


def test_a_unit_that_nobody_knows(sugar: Inputs) -> None:
    rows_of(
        sugar,
        "cat-52",
        lambda rows: [rows[0].replace("precip_rate", "precip_rate (furlong)"), *rows[1:]],
    )
    said, _ = refusal(sugar)
    assert "cat-52_" in said
    assert "'furlong', can't be converted into mm s^-1" in said


def test_a_column_that_a_model_needs(sugar: Inputs) -> None:
    rows_of(
        sugar,
        "cat-52",
        lambda rows: [rows[0].replace("precip_rate", "something"), *rows[1:]],
    )
    said, fix = refusal(sugar)
    assert "cat-52" in said
    assert "has no precip_rate, which a module needs" in said
    assert "variables_names_map" in fix


def test_two_files_of_one_catchment(sugar: Inputs) -> None:
    path = next(sugar.forcing.glob("cat-52_*"))
    shutil.copy(path, sugar.forcing / "cat-52_again.csv")
    said, fix = refusal(sugar)
    assert said.startswith("cat-52: cat-52_")
    assert "ngen would take either" in said
    assert "DATA_ID" in fix


@pytest.mark.parametrize(
    ("pattern", "names", "said"),
    [
        (".*{{id}}.*csv", ("cat-2.csv", "cat-27.csv"), "for cat-2 it fits cat-2.*ngen would"),
        (".*{{id}}_.*csv", ("cat-2.csv", "cat-27.csv"), "does not fit cat-2.csv, the file of"),
        (".*{{id}}(.*csv", ("cat-2.csv",), "is no regular expression"),
    ],
)
def test_patterns_that_take_the_wrong_file(
    pattern: str, names: tuple[str, ...], said: str
) -> None:
    from pathlib import PurePosixPath

    files = {name.removesuffix(".csv"): PurePosixPath(name) for name in names}
    with pytest.raises(DerivationFailed, match=said):
        file_pattern(pattern, files)
    assert file_pattern(None, files) == ".*{{id}}[^0-9].*csv"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a|a)*{{id}}.csv", "repeats a group"),
        (r"([^x]\)+){9}{{id}}.csv", "repeats a group"),
        ("(?x)(.* ) *{{id}}.csv", "special kind"),
        (".*.*.*.*{{id}}.csv", "more than 3 repeats"),
        (f"{'.' * 200}{{{{id}}}}.csv", "more than 200 characters"),
    ],
)
def test_a_pattern_that_may_search_for_ever_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(DerivationFailed, match=why):
        file_pattern(pattern, {"cat-27": PurePosixPath("a" * 200 + "cat-27.csv")})


@pytest.mark.parametrize("pattern", [".*?{{id}}(_[0-9]+)?[.]csv", r"\(?cat-27[(*+].*{{ID}}.*csv"])
def test_a_bounded_pattern_is_tried(pattern: str) -> None:
    files = {"cat-27": PurePosixPath("cat-27(cat-27.csv")}
    assert file_pattern(pattern, files) == pattern


def test_configs_of_the_name_of_the_realization_config_stay_in_their_folders(
    sugar: Inputs,
) -> None:
    (sugar.config / "tables").mkdir()
    (sugar.config / "tables" / "realization.json").write_text("{}")
    sugar.derive()
    assert (sugar.run / "tables" / "realization.json").read_text() == "{}"


# ---- formulations, libraries, init configs


def test_an_empty_map_of_names(sugar: Inputs) -> None:
    formulation = sugar.formulation()
    formulation["params"]["modules"][2]["params"]["variables_names_map"] = {}
    sugar.change_formulation(formulation)
    said, fix = refusal(sugar)
    where = "global.formulations[0].params.modules[2].params.variables_names_map"
    assert said == (f"{where} is empty: the inputs of bmi_c_cfe would come from nowhere")
    assert '"ice_fraction_schaake": "sloth_ice_fraction_schaake"' in fix


def test_an_input_that_nobody_gives(sugar: Inputs) -> None:
    formulation = sugar.formulation()
    names = formulation["params"]["modules"][2]["params"]["variables_names_map"]
    names["soil_moisture_profile"] = "sloth_sm"
    sugar.change_formulation(formulation)
    said, fix = refusal(sugar)
    assert "soil_moisture_profile of CFE is to come from sloth_sm, which no other" in said
    assert "did you mean sloth_smp?" in fix
    del names["soil_moisture_profile"]
    sugar.change_formulation(formulation)
    assert "soil_moisture_profile of CFE, which no other module" in refusal(sugar)[0]


def test_a_catchment_without_a_formulation(sugar: Inputs) -> None:
    formulation = sugar.formulation()
    sugar.change(
        **{"global": {}},
        catchments={"cat-27": {"formulations": [formulation], "forcing": {"path": "x"}}},
    )
    said, fix = refusal(sugar)
    assert said == "the realization config has no formulation for cat-52, cat-67"
    assert "under `catchments`" in fix


def test_a_catchment_without_an_init_config(sugar: Inputs) -> None:
    (sugar.config / "init-configs" / "cfe_cat-52.ini").unlink()
    said, fix = refusal(sugar)
    assert "modules[2].params.init_config" in said
    assert "there is no init config for cat-52" in said
    assert "add it to the init configs" in fix


def test_a_relative_library_without_a_root(sugar: Inputs) -> None:
    said, fix = refusal(sugar, root=None)
    assert "modules[0].params.library_file: ./extern/sloth/cmake_build/libslothmodel.so" in said
    assert "settings.library_root, such as /ngen" in fix


def test_a_model_that_reads_forcing_by_itself(sugar: Inputs) -> None:
    formulation = sugar.formulation()
    formulation["params"]["modules"][2]["params"]["uses_forcing_file"] = True
    sugar.change_formulation(formulation)
    said, fix = refusal(sugar)
    assert "modules[2].params.uses_forcing_file" in said
    assert "set it to false" in fix


def test_a_step_that_does_not_divide_the_time(sugar: Inputs) -> None:
    said, _ = refusal(sugar, time=["2015-12-05", "2015-12-05T12:30Z"])
    assert "no whole number, 2 or more, of steps of 3600 s" in said


# ---- the fabric


def test_a_loop_in_a_fabric_of_geojson(sugar: Inputs) -> None:
    path = sugar.fabric / "nexus_data.geojson"
    path.write_text(path.read_text().replace('"cat-26"', '"cat-27"'))
    said, fix = refusal(sugar)
    assert said == "the hydrofabric has a loop: cat-27 → nex-26 → cat-27"
    assert "toid" in fix


def test_a_loop_in_a_geopackage(tmp_path: Path) -> None:
    basin = gauge(tmp_path)
    with closing(sqlite3.connect(basin.fabric / "gauge_01073000.gpkg")) as fabric:
        for (name,) in fabric.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            fabric.execute(f'DROP TRIGGER "{name}"')
        fabric.execute("UPDATE nexus SET toid = 'wb-11223' WHERE id = 'nex-11224'")
        fabric.commit()
    said, _ = refusal(basin, fabric=GEOPACKAGE)
    assert "the hydrofabric has a loop: cat-11223 → nex-11224 → cat-11223" in said


def test_a_catchment_that_the_fabric_has_not(sugar: Inputs) -> None:
    said, fix = refusal(sugar, catchments=["cat-53"])
    assert said == "the hydrofabric has no catchment cat-53"
    assert "did you mean cat-52?" in fix


def test_routing_needs_a_geopackage_and_a_config(sugar: Inputs, tmp_path: Path) -> None:
    assert "t-route reads GeoPackages only" in refusal(sugar, routing=True)[0]
    basin = gauge(tmp_path / "gauge")
    said, fix = refusal(basin, fabric=GEOPACKAGE, routing=True)
    assert "t-route needs one config, and the composite config has 0" in said
    assert "settings.routing" in fix


# ---- the recipe


def test_what_a_run_is_made_of_can_be_read_back_from_its_requirement() -> None:
    run = NgenRun(
        Domain.from_plain({"TIME": DAY, "CATCHMENT_ID": GAUGE_CATCHMENTS}),
        {
            "config": Part(COMPOSITE_CONFIG, Domain.from_plain({"DATA_ID": "my/config"})),
            "fabric": Part(GEOJSON, Domain.from_plain({"ELEMENT_ID": "upstream/nex-26"})),
            "forcing": Part("AORC_CSV", Domain.from_plain({"CATCHMENT_ID": "ALL"})),
        },
        routing=True,
        library_root="/ngen",
    )
    assert NgenRun.of(run.requirement("config")) == run
    (step,) = steps(DERIVATION, run.requirement("config"))
    config, fabric, forcing = step.inputs
    assert config.domain.to_plain() == {"DATA_ID": "my/config"}
    assert fabric.domain.to_plain() == {
        "CATCHMENT_ID": GAUGE_CATCHMENTS,
        "ELEMENT_ID": "upstream/nex-26",
    }
    assert forcing.domain.to_plain() == {"TIME": DAY, "CATCHMENT_ID": GAUGE_CATCHMENTS}
    assert step.parameters["routing"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"routing": "yes"},
        {"forcing": "AORC_CSV"},
        {"forcing": {}},
        {"forcing": {"format": "AORC_CSV", "NO_INDEX": "x"}},
        {"library_root": 1},
    ],
)
def test_settings_that_say_no_run_are_not_derived(change: dict[str, Any]) -> None:
    parts = {"config": Part(COMPOSITE_CONFIG), "fabric": Part(GEOJSON), "forcing": Part("X")}
    of = NgenRun(Domain.from_plain({"TIME": DAY}), parts).requirement("config")
    assert of.derived is not None
    assert len(steps(DERIVATION, of)) == 1
    settings = {**of.derived.settings, **change}
    assert steps(DERIVATION, replace(of, derived=Derived("ngen-run", settings))) == []
    assert steps(DERIVATION, replace(of, derived=None)) == []
    assert steps(DERIVATION, replace(of, domain=Domain())) == []
    other = Domain.from_plain({"TIME": DAY, "DATA_ID": "x"})
    assert steps(DERIVATION, replace(of, domain=other)) == []
