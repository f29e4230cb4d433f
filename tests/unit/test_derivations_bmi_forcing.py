"""Forcing of HBV from that of PRMS: units, catchments, times, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset

from headrace_derivations.base import DerivationFailed
from headrace_derivations.bmi_forcing import DERIVATION
from headrace_derivations.evaporation import oudin
from headrace_formats.detect import Detection
from headrace_model.dataset import Category
from tests.support.deriving import contents, run, steps, wanted

FORMAT = "BMI_FORCING_NETCDF"
UNITS = (5307, 5308, 12)
RAIN_IN = [[0.0, 1.0, 2.0], [0.5, 0.0, 0.0], [0.1, 0.2, 0.3], [0.0, 0.0, 1.5]]
MAX_F = [[50.0, 68.0, 32.0], [59.0, 41.0, 23.0], [77.0, 86.0, 14.0], [50.0, 50.0, 50.0]]
MIN_F = [[32.0, 50.0, 14.0], [41.0, 41.0, 5.0], [59.0, 68.0, -4.0], [32.0, 32.0, 32.0]]
NORTH = (42.0, -20.0, 60.0)


def write_variable(
    folder: Path, name: str, rows: list[list[float]], units: str, days: list[float]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Dataset(folder / f"{name}.nc", "w") as file:
        file.createDimension("time", len(days))
        file.createDimension("nhm_id", len(UNITS))
        time: Any = file.createVariable("time", "f4", ("time",))
        time.units = "days since 1979-01-01"
        time[:] = days
        file.createVariable("nhm_id", "i4", ("nhm_id",))[:] = UNITS
        variable: Any = file.createVariable(name, "f8", ("time", "nhm_id"))
        variable.units = units
        variable[:] = rows


def write_prms(folder: Path, **other: Any) -> None:
    """Forcing of 4 days from 1979-01-01 and the places of 3 units."""
    days = other.get("days", [0.0, 1.0, 2.0, 3.0])
    write_variable(folder / "forcing", "prcp", RAIN_IN, other.get("rain", "in"), days)
    for name, rows in (("tmax", other.get("max_f", MAX_F)), ("tmin", MIN_F)):
        write_variable(folder / "forcing", name, rows, "degree_fahrenheit", days)
    (folder / "parameters").mkdir()
    with Dataset(folder / "parameters/dis.nc", "w") as file:
        file.createDimension("nhru", len(UNITS))
        file.createVariable("nhm_id", "i8", ("nhru",))[:] = UNITS
        if other.get("latitude", True):
            file.createVariable("hru_lat", "f8", ("nhru",))[:] = NORTH


def derived(folder: Path, output: str = "made", **domain: Any) -> Detection:
    (step,) = steps(DERIVATION, wanted(Category.FORCING, FORMAT, **domain))
    return run(
        DERIVATION,
        step,
        folder / output,
        forcing=folder / "forcing",
        parameters=folder / "parameters",
    )


def read(path: Path) -> dict[str, list[float]]:
    with Dataset(path) as file:
        return {name: file[name][:].tolist() for name in ("pr", "tas", "evspsblpot")}


def test_inches_and_fahrenheit_become_what_hbv_reads(tmp_path: Path) -> None:
    write_prms(tmp_path)
    found = derived(tmp_path, CATCHMENT_ID=["cat-5307", "cat-5308", "cat-12"])
    assert found.format == FORMAT
    assert found.domain.to_plain() == {
        "TIME": ["1979-01-01", "1979-01-05"],
        "CATCHMENT_ID": ["cat-12", "cat-5307", "cat-5308"],
    }
    made = read(tmp_path / "made/cat-5308.nc")
    assert made["pr"] == pytest.approx([25.4, 0, 5.08, 0])
    assert made["tas"] == pytest.approx([15, 5, 25, 5])  # (20 + 10) / 2, ...
    days = np.arange(1, 5, dtype=np.float64)
    expected = oudin(np.array([15.0, 5, 25, 5]), days, np.array([-20.0]))
    assert made["evspsblpot"] == pytest.approx(expected.tolist())
    assert read(tmp_path / "made/cat-12.nc")["evspsblpot"][:3] == pytest.approx([0, 0, 0])


def test_only_the_catchments_and_the_period_that_are_wanted_are_made(tmp_path: Path) -> None:
    write_prms(tmp_path)
    found = derived(tmp_path, CATCHMENT_ID=["cat-5307"], TIME=["1979-01-02", "1979-01-04"])
    assert list(contents(tmp_path / "made")) == ["cat-5307.nc"]
    assert found.domain.to_plain() == {
        "TIME": ["1979-01-02", "1979-01-04"],
        "CATCHMENT_ID": "cat-5307",
    }
    assert read(tmp_path / "made/cat-5307.nc")["pr"] == pytest.approx([12.7, 2.54])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    write_prms(tmp_path)
    derived(tmp_path, "one", CATCHMENT_ID=["cat-12"])
    derived(tmp_path, "two", CATCHMENT_ID=["cat-12"])
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"days": [0.0, 1.0, 3.0, 4.0]}, "not daily, or a day is missing"),
        ({"rain": "furlong"}, "the units of prcp, 'furlong', can't be converted"),
        (
            {"max_f": [MAX_F[0], [59.0, float("nan"), 23.0], *MAX_F[2:]]},
            "cat-5308: tmax.nc has no tmax on 1979-01-02",
        ),
        ({"latitude": False}, "the parameters have no hru_lat"),
    ],
)
def test_what_would_make_nonsense_is_refused(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    write_prms(tmp_path, **other)
    with pytest.raises(DerivationFailed, match=said):
        derived(tmp_path, CATCHMENT_ID=["cat-5307", "cat-5308"])


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ({"CATCHMENT_ID": ["cat-99"]}, "there is no nhm_id of cat-99"),
        ({"CATCHMENT_ID": ["cat-12"], "TIME": ["1979-01-03", "1979-01-09"]}, "is missing"),
    ],
)
def test_what_the_forcing_does_not_have_is_told(
    tmp_path: Path, domain: dict[str, Any], said: str
) -> None:
    write_prms(tmp_path)
    with pytest.raises(DerivationFailed, match=said):
        derived(tmp_path, **domain)


def test_ids_that_prms_can_not_have_are_not_derived() -> None:
    assert steps(DERIVATION, wanted(Category.FORCING, FORMAT, CATCHMENT_ID=["wb-1"])) == []
