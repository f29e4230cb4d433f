"""Init configs of BMI models from the attributes of real hydrofabrics and templates."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace_derivations import bmi_init_work
from headrace_derivations.base import DerivationFailed
from headrace_derivations.bmi_init import CONFIG, DERIVATION, TEMPLATE
from headrace_derivations.hydrofabric import V1, V2
from headrace_formats.detect import Detection, detect_folder
from headrace_formats.validate import validate_file
from headrace_model.dataset import Category
from tests.support.deriving import contents, run, step_from, steps, wanted
from tests.support.format_samples import CFE
from tests.support.samples import sample

GAUGE_V1 = "troute-hyfeature/gauge_01069700.gpkg"
CATCHMENTS = ["cat-10236", "cat-10237", "cat-10245"]
REAL_CFE = (
    CFE.replace("b=4.2[]", "b={{bexp_soil_layers_stag=1}}[]")
    .replace("satdk=2.2e-07", "satdk={{ cfe_noahowp_attributes.dksat_soil_layers_stag=2 * 0.1 }}")
    .replace("smcmax=0.6", "smcmax={{smcmax_soil_layers_stag=1}}")
    .replace("forcing_file=BMI", "forcing_file=./{{divide_id}}.csv")
)
PET = """forcing_file=BMI
pet_method=3
latitude_degrees={{centroid_lat}}
longitude_degrees={{cetroid_lon}}
site_elevation_m={{ elevation }}
"""


def templates(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.ini"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def fabric(tmp_path: Path, path: str = GAUGE_V1) -> Path:
    folder = tmp_path / "fabric"
    folder.mkdir()
    shutil.copy(sample(path), folder)
    return folder


def made(
    tmp_path: Path,
    texts: dict[str, str],
    catchments: Any = CATCHMENTS,
    *,
    output: str = "out",
    of: Path | None = None,
) -> Detection:
    step = step_from(
        DERIVATION, wanted(Category.CONFIG, CONFIG, CATCHMENT_ID=catchments), V1, TEMPLATE
    )
    return run(
        DERIVATION,
        step,
        tmp_path / output,
        hydrofabric=of or fabric(tmp_path),
        templates=templates(tmp_path / "templates", **texts),
    )


def test_a_real_fabric_fills_templates_in_for_each_wanted_catchment(tmp_path: Path) -> None:
    found = made(tmp_path, {"CFE__cfe": REAL_CFE, "pet": PET}, ["cat-10237", "cat-10245"])
    assert (found.format, found.notes) == (CONFIG, ())
    assert found.domain.to_plain()["CATCHMENT_ID"] == ["cat-10237", "cat-10245"]
    files = contents(tmp_path / "out")
    assert sorted(files) == [
        "CFE/cat-10237_cfe.ini",
        "CFE/cat-10245_cfe.ini",
        "cat-10237_pet.ini",
        "cat-10245_pet.ini",
    ]
    text = files["CFE/cat-10237_cfe.ini"].decode()
    assert "soil_params.b=4.101383209228516[]\n" in text
    assert "soil_params.satdk=3.75046044751581e-06[m s-1]\n" in text
    assert "soil_params.smcmax=0.40853043036906894[m/m]\n" in text
    assert "forcing_file=./cat-10237.csv\n" in text
    assert b"longitude_degrees=-70.62914560123622\n" in files["cat-10237_pet.ini"]


def test_a_template_is_recognised_and_not_taken_for_a_config(tmp_path: Path) -> None:
    found = detect_folder(templates(tmp_path / "x", CFE=REAL_CFE, pet=PET))
    assert (found.format, found.domain.to_plain(), found.notes) == (TEMPLATE, {}, ())


def test_the_attributes_of_a_flowpath_are_those_of_its_catchment(tmp_path: Path) -> None:
    made(tmp_path, {"pet": PET + "# {{So}} {{n*1000}} {{divides.toid}}\n"})
    text = contents(tmp_path / "out")["cat-10245_pet.ini"].decode()
    assert text.endswith("# 0.00443 60 nex-10236\n")


def test_of_columns_with_one_name_that_of_the_divides_counts(tmp_path: Path) -> None:
    made(tmp_path, {"pet": PET + "# {{id}} {{flowpaths.id}}\n"})
    text = contents(tmp_path / "out")["cat-10245_pet.ini"].decode()
    assert text.endswith("# cat-10245 wb-10245\n")


def test_whole_numbers_have_no_point(tmp_path: Path) -> None:
    source = fabric(tmp_path)
    with closing(sqlite3.connect(source / "gauge_01069700.gpkg")) as file:
        file.execute('ALTER TABLE forcing_attributes ADD COLUMN "mode.ISLTYP" REAL')
        file.execute('UPDATE forcing_attributes SET "mode.ISLTYP" = 3.0')
        file.commit()
    made(tmp_path, {"pet": PET + "# {{mode.ISLTYP}} {{IVGTYP}}\n"}, of=source)
    assert contents(tmp_path / "out")["cat-10245_pet.ini"].endswith(b"# 3 15\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{elevatoin}}", r"pet.ini, line 6: .* no attribute 'elevatoin'; did you mean elevation"),
        ("{{gw_Coeff}}", "pet.ini, line 6: cat-10236 has no value of gw_Coeff"),
        ("{{divides.toid*2}}", "pet.ini, line 6: divides.toid is text, and can't be multiplied"),
    ],
)
def test_what_a_template_can_not_have_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(DerivationFailed, match=said):
        made(tmp_path, {"pet": f"{PET}# {text}\n"})


def test_text_that_would_begin_a_new_line_is_refused(tmp_path: Path) -> None:
    source = fabric(tmp_path)
    with closing(sqlite3.connect(source / "gauge_01069700.gpkg")) as file:
        file.execute("ALTER TABLE forcing_attributes ADD COLUMN note TEXT")
        file.execute("UPDATE forcing_attributes SET note = 'x' || char(10) || 'pet_method=1'")
        file.commit()
    with pytest.raises(DerivationFailed, match=r"note holds what can't be printed"):
        made(tmp_path, {"pet": PET + "# {{note}}\n"}, of=source)


def test_ids_that_no_file_can_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DerivationFailed, match=r"'../cat-1' is no id such as cat-27"):
        made(tmp_path, {"pet": PET}, ["../cat-1"])


def test_a_catchment_that_the_fabric_lacks_has_no_values(tmp_path: Path) -> None:
    with pytest.raises(DerivationFailed, match="cat-7 has no value of centroid_lat"):
        made(tmp_path, {"pet": PET}, ["cat-10236", "cat-7"])


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmi_init_work, "MOST_FILES", 2)
    with pytest.raises(DerivationFailed, match="more than 2 files"):
        made(tmp_path, {"pet": PET})


def test_the_fabric_must_have_the_catchments_and_the_templates_the_rest() -> None:
    of = wanted(
        Category.CONFIG, CONFIG, CATCHMENT_ID="cat-1", DATA_ID="cfe", HYDROFABRIC_DATA_ID="conus"
    )
    for step, version in zip(steps(DERIVATION, of), (V2, V1), strict=True):
        fabric_, templates_ = step.inputs
        assert fabric_.format == version
        assert fabric_.domain.to_plain() == {
            "CATCHMENT_ID": "cat-1",
            "HYDROFABRIC_DATA_ID": "conus",
        }
        assert templates_.domain.to_plain() == {"DATA_ID": "cfe"}
    assert steps(DERIVATION, wanted(Category.CONFIG, CONFIG, GLOBAL_CHECKSUM="0")) == []
    assert steps(DERIVATION, wanted(Category.CONFIG, CONFIG, CATCHMENT_ID="ALL")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PET.replace("{{ elevation }}", "{{elevation"), "line 5: {{ is no part of"),
        (PET + "# }}\n", "line 6: }} is no part of"),
        (PET + "# {{a * 1e}}\n", "line 6: '1e' is not a number to multiply by"),
        (PET + "# {{a * 1e999}}\n", "line 6: '1e999' is not a number to multiply by"),
        (PET + "# {{* 2}}\n", "line 6: {{ is no part of"),
    ],
)
def test_what_is_wrong_in_a_template_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "pet.ini").write_text(text)
    found = [str(each) for each in validate_file(tmp_path / "pet.ini").findings]
    assert any(each.startswith(said) for each in found), found
