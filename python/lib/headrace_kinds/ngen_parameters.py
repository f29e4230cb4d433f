"""Names of parameters that look mistyped: ngen finds a wrong name only when it runs, or never.

The names are those that the modules give by BMI: NOAA-OWP/cfe (`param_var_names` of
src/bmi_cfe.c, of its versions up to 3) and NOAA-OWP/topmodel (src/bmi_topmodel.c). A name unlike
them all may be one of a newer version, and other modules are not known here: both are taken.
"""

import re
from typing import Final

from headrace_model.nearest import nearest

_CFE: Final = (
    *("maxsmc", "satdk", "slope", "b", "multiplier", "Klf", "Kn", "Cgw", "expon"),
    *("max_gw_storage", "satpsi", "wltsmc", "alpha_fc", "refkdt", "N_nash"),
    *("a_Xinanjiang_inflection_point_parameter", "b_Xinanjiang_shape_parameter"),
    "x_Xinanjiang_shape_parameter",
    *("soil_effective_porosity", "soil_saturated_hydraulic_conductivity"),
    *("soil_percolation_rate_limiter", "soil_Clapp_Hornberger_b", "soil_lateral_flow_K"),
    *("subsurface_nash_K", "gw_discharge_coefficient", "gw_discharge_exponent"),
    *("gw_max_storage_m", "soil_saturated_capillary_head", "soil_field_capacity_fraction"),
    *("Xinanjiang_inflection_a", "Xinanjiang_shape_b", "Xinanjiang_shape_x"),
    *("Priestley_Taylor_alpha", "soil_ice_imperv_threshold"),
)
_TOPMODEL: Final = ("t0", "szm", "td", "srmax", "sr0", "xk0", "chv", "rv")
_MODULES: Final = (
    (re.compile(r"(bmi_)?(c_)?cfe([_-].*)?", re.IGNORECASE), _CFE),
    (re.compile(r"(bmi_)?(c_)?topmodel([_-].*)?", re.IGNORECASE), _TOPMODEL),
)


def mistyped_parameter(module: str, name: str) -> str:
    """Why a module, by its `model_type_name`, has no such parameter; empty where it may have."""
    for like, known in _MODULES:
        if like.fullmatch(module) and name not in known and (near := nearest(name, known)):
            return f"{module} has no parameter {name[:60]}; did you mean {near}?"
    return ""
