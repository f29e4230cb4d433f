"""Where the modules of a formulation get their inputs from, as ngen resolves them. Pure.

ngen looks for each input of a module, under the name that `variables_names_map` has for it or its
own, among the outputs of the other modules and the forcing (NOAA-OWP/ngen, Bmi_Multi_Formulation).
Inputs and outputs are those of NOAA-OWP/cfe (src/bmi_cfe.c), NOAA-OWP/evapotranspiration
(src/bmi_pet.c), NOAA-OWP/noah-owp-modular (src/bmi_noahowp.f90), NOAA-OWP/SLoTH; names of forcing
those of ngen (include/forcing/AorcForcing.hpp).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.realization_parts import Formulation
from headrace_formats.ngen_forcing import QUANTITIES
from headrace_model.nearest import did_you_mean

_RATE: Final = "atmosphere_water__liquid_equivalent_precipitation_rate"
STANDARD_NAMES: Final = {
    _RATE: "precip_rate",
    "atmosphere_water__rainfall_volume_flux": "APCP_surface",
    "land_surface_air__temperature": "TMP_2maboveground",
    "atmosphere_air_water~vapor__relative_saturation": "SPFH_2maboveground",
    "land_surface_wind__x_component_of_velocity": "UGRD_10maboveground",
    "land_surface_wind__y_component_of_velocity": "VGRD_10maboveground",
    "land_surface_radiation~incoming~longwave__energy_flux": "DLWRF_surface",
    "land_surface_radiation~incoming~shortwave__energy_flux": "DSWRF_surface",
    "land_surface_air__pressure": "PRES_surface",
}
"""CSDMS's standard names of the forcing, and the columns that ngen takes for them."""
_SLOTH_NAME: Final = re.compile(r"\s*([^(\s]+)")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is known: what tells it, the inputs that it needs, its outputs (None: many,
    not all known), and where an input that nothing gives mostly comes from.
    """

    name: str
    mark: re.Pattern[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] | None
    usual: str


_NOAH_INPUTS: Final = ("PRCPNONC", "Q2", "SFCTMP", "UU", "VV", "LWDN", "SOLDN", "SFCPRS")
MODELS: Final = (
    Model(
        "CFE",
        re.compile(r"cfe", re.IGNORECASE),
        (
            *(_RATE, "water_potential_evaporation_flux"),
            *("ice_fraction_schaake", "ice_fraction_xinanjiang", "soil_moisture_profile"),
        ),
        (
            *("RAIN_RATE", "DIRECT_RUNOFF", "INFILTRATION_EXCESS", "GIUH_RUNOFF"),
            *("NASH_LATERAL_RUNOFF", "DEEP_GW_TO_CHANNEL_FLUX", "SOIL_TO_GW_FLUX", "Q_OUT"),
            *("POTENTIAL_ET", "ACTUAL_ET", "GW_STORAGE", "SOIL_STORAGE", "SOIL_STORAGE_CHANGE"),
            "SURF_RUNOFF_SCHEME",
        ),
        '"ice_fraction_schaake": "sloth_ice_fraction_schaake", "ice_fraction_xinanjiang": '
        '"sloth_ice_fraction_xinanjiang", "soil_moisture_profile": "sloth_smp"',
    ),
    Model(
        "PET",
        re.compile(r"(\b|_)pet(\b|_)|petbmi", re.IGNORECASE),
        (),
        ("water_potential_evaporation_flux",),
        "",
    ),
    Model(
        "Noah-OWP-Modular",
        re.compile(r"noah|surfacebmi", re.IGNORECASE),
        _NOAH_INPUTS,
        None,
        f'"PRCPNONC": "{_RATE}", "SFCTMP": "land_surface_air__temperature"',
    ),
    Model(
        "ngen's test model",
        re.compile(r"test_?bmi", re.IGNORECASE),
        ("INPUT_VAR_1", "INPUT_VAR_2"),
        ("OUTPUT_VAR_1", "OUTPUT_VAR_2"),
        '"INPUT_VAR_1": "precip_rate", "INPUT_VAR_2": "TMP_2maboveground"',
    ),
)
_SLOTH: Final = re.compile(r"sloth", re.IGNORECASE)


def model_of(formulation: Formulation) -> Model | None:
    """The model that a module runs, by its library and names; None for an unknown one."""
    params = formulation.params
    for key in ("registration_function", "library_file", "python_type", "model_type_name"):
        said = str(params.get(key) or "").rpartition("/")[2]
        for model in MODELS:
            if model.mark.search(said):
                return model
    return None


def check_inputs(outer: Formulation) -> frozenset[str]:
    """Check that each module of a formulation gets its inputs; gives the columns of forcing that
    these are. Raises `DerivationFailed`.

    Where a module is not known, anything may come from it, and only empty maps are found.
    """
    modules = [each for each in outer.all_within() if each.told["name"] != "bmi_multi"]
    for each in modules:
        _check_map(each)
    given = _given(modules)
    models = [model_of(each) for each in modules if not _is_sloth(each)]
    columns: set[str] = set()
    for each in modules:
        names = each.params.get("variables_names_map") or {}
        model = model_of(each)
        for name in model.inputs if model else names:
            source = names.get(name, name)
            if source in given:
                continue
            if column := _column(source):
                columns.add(column)
            elif model and not _may_be_given(models, is_mapped=name in names):
                raise _nobody_gives(each, model, name, source, given)
    return frozenset(columns)


def _may_be_given(models: list[Model | None], *, is_mapped: bool) -> bool:
    """Tell whether an output that is not known may be there all the same."""
    return None in models or (is_mapped and any(each and each.outputs is None for each in models))


def _column(source: str) -> str | None:
    """The column of forcing that a name means."""
    quantity = QUANTITIES.get(source)
    return quantity.name if quantity else STANDARD_NAMES.get(source)


def _check_map(formulation: Formulation) -> None:
    where = f"{formulation.where}.params.variables_names_map"
    names = formulation.params.get("variables_names_map")
    if names is None:
        return
    if not isinstance(names, dict) or not all(isinstance(each, str) for each in names.values()):
        raise DerivationFailed(
            f"{where}: it must name for each input of the model where it comes from",
            hint='for example {"PRCPNONC": "precip_rate"}',
        )
    if not names:
        model = model_of(formulation)
        usual = f"for {model.name} mostly {{{model.usual}}}" if model and model.usual else ""
        raise DerivationFailed(
            f"{where} is empty: the inputs of {formulation.params.get('model_type_name')} would "
            "come from nowhere",
            hint=f"name the source of each input{', ' + usual if usual else ''}; leave the key "
            "out where the forcing has the model's own names",
        )


def _given(modules: list[Formulation]) -> frozenset[str]:
    """What modules are known to give."""
    given: set[str] = set()
    for each in modules:
        given.update(_sloth_names(each))
        given.add(str(each.params.get("main_output_variable") or ""))
        listed = each.params.get("output_variables")
        given.update(str(name) for name in (listed if isinstance(listed, list) else ()))
        model = model_of(each)
        given.update((model.outputs if model else None) or ())
    return frozenset(given - {""})


def _is_sloth(formulation: Formulation) -> bool:
    params = formulation.params
    return bool(
        _SLOTH.search(f"{params.get('library_file') or ''} {params.get('model_type_name') or ''}")
    )


def _sloth_names(formulation: Formulation) -> Iterator[str]:
    """The constants of SLoTH: `sloth_smp(1,double,1,node)` is `sloth_smp`."""
    told = formulation.params.get("model_params")
    for key in told if isinstance(told, dict) and _is_sloth(formulation) else ():
        if found := _SLOTH_NAME.match(key):
            yield found[1]


def _nobody_gives(
    formulation: Formulation,
    model: Model,
    name: str,
    source: str,
    given: frozenset[str],
) -> DerivationFailed:
    where = f"{formulation.where}.params.variables_names_map"
    said = f"{name} of {model.name}" + (f" is to come from {source}" if source != name else "")
    near = did_you_mean(source, sorted({*given, *STANDARD_NAMES, *QUANTITIES}))
    return DerivationFailed(
        f"{where}: {said}, which no other module and no forcing gives",
        hint=f"{near}; mostly it is {{{model.usual}}}",
    )
