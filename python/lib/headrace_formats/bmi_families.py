"""The families of BMI init configs: how each is recognised, what it must hold, what is possible.

Keys, units and limits: NOAA-OWP/cfe (configs/README.md), NOAA-OWP/evapotranspiration (bmi config
of PET), NOAA-OWP/noah-owp-modular (namelist of docs), NOAA-OWP/ngen (extern/test_bmi_*).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Key:
    """A key with a number; outside [least, most] it is physically none."""

    name: str
    unit: str
    least: float
    most: float
    about: str


@dataclass(frozen=True, slots=True)
class Family:
    """A family: `marks` are keys of which one tells it, `needs` those that must be there."""

    name: str
    marks: tuple[str, ...]
    needs: tuple[str, ...]
    keys: tuple[Key, ...]


CFE: Final = Family(
    "CFE",
    marks=("surface_partitioning_scheme", "soil_params.satdk"),
    needs=(
        *("forcing_file", "soil_params.depth", "soil_params.b", "soil_params.satdk"),
        *("soil_params.satpsi", "soil_params.slop", "soil_params.smcmax", "soil_params.wltsmc"),
        *("max_gw_storage", "Cgw", "expon", "gw_storage", "alpha_fc", "soil_storage"),
        *("K_nash", "K_lf", "nash_storage", "giuh_ordinates"),
    ),
    keys=(
        Key("soil_params.depth", "m", 0.1, 20, "depth of the soil"),
        Key("soil_params.b", "", 0, 25, "exponent of Clapp and Hornberger"),
        Key("soil_params.satdk", "m s-1", 1e-9, 1e-2, "saturated hydraulic conductivity"),
        Key("soil_params.satpsi", "m", 0, 2, "saturated capillary head"),
        Key("soil_params.slop", "m/m", 0, 1, "slope coefficient of drainage"),
        Key("soil_params.smcmax", "m/m", 0.05, 0.9, "porosity"),
        Key("soil_params.wltsmc", "m/m", 0, 0.5, "moisture at the wilting point"),
        Key("max_gw_storage", "m", 0, 10, "most that the groundwater holds"),
        Key("Cgw", "m h-1", 0, 1, "coefficient of the groundwater"),
        Key("expon", "", 0, 20, "exponent of the groundwater"),
        Key("K_nash", "h-1", 0, 1, "coefficient of the Nash cascade"),
        Key("K_lf", "h-1", 0, 1, "coefficient of the lateral flow"),
    ),
)
PET: Final = Family(
    "PET",
    marks=("pet_method",),
    needs=(
        "pet_method",
        "forcing_file",
        "latitude_degrees",
        "longitude_degrees",
        "site_elevation_m",
    ),
    keys=(
        Key("pet_method", "", 1, 5, "which equation"),
        Key("latitude_degrees", "degree", -90, 90, "latitude"),
        Key("longitude_degrees", "degree", -180, 360, "longitude"),
        Key("site_elevation_m", "m", -430, 8850, "elevation"),
        Key("vegetation_height_m", "m", 0, 120, "height of the vegetation"),
        Key("surface_shortwave_albedo", "", 0, 1, "albedo"),
        Key("surface_longwave_emissivity", "", 0, 1, "emissivity"),
        Key("time_step_size_s", "s", 1, 86_400, "the step"),
    ),
)
NOAH: Final = Family(
    "NOAH_OWP_MODULAR",
    marks=("timing.startdate", "model_options.precip_phase_option"),
    needs=(
        *("timing.dt", "timing.startdate", "timing.enddate", "parameters.parameter_dir"),
        *("location.lat", "location.lon", "structure.isltyp", "structure.vegtyp"),
    ),
    keys=(
        Key("timing.dt", "s", 1, 86_400, "the step"),
        Key("location.lat", "degree", -90, 90, "latitude"),
        Key("location.lon", "degree", -180, 360, "longitude"),
        Key("location.terrain_slope", "degree", 0, 90, "slope of the terrain"),
        Key("location.azimuth", "degree", 0, 360, "aspect of the terrain"),
        Key("forcing.ZREF", "m", 0.1, 200, "height at which wind is measured"),
        Key("structure.isltyp", "", 1, 19, "class of the soil"),
        Key("structure.vegtyp", "", 1, 50, "class of the vegetation"),
    ),
)
TEST: Final = Family(
    "TEST_BMI",
    marks=("PARAM_VAR_1",),
    needs=(),
    keys=(Key("time_step_size", "s", 1, 86_400, "the step"),),
)
FAMILIES: Final = (CFE, PET, NOAH, TEST)

NOAH_TABLES: Final = (
    (b"General Parameters", "GENPARM.TBL"),
    (b"Soil Parameters", "SOILPARM.TBL"),
    (b"&usgs_veg_categories", "MPTABLE.TBL"),
)
"""How the parameter tables of Noah-OWP-Modular begin."""
