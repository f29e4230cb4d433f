"""Which parameters modules of ngen know: ngen finds a wrong name only when it runs, or never.

The names are those that the modules give by BMI: NOAA-OWP/cfe (`param_var_names` of
src/bmi_cfe.c, those of older versions too) and NOAA-OWP/topmodel (src/bmi_topmodel.c). Other
modules are not known here, and any name is taken.
"""

import re
from typing import Final

from headrace_model.nearest import nearest

_CFE: Final = (
    *("maxsmc", "satdk", "slope", "b", "multiplier", "Klf", "Kn", "Cgw", "expon"),
    *("max_gw_storage", "satpsi", "wltsmc", "alpha_fc", "refkdt", "N_nash"),
    *("a_Xinanjiang_inflection_point_parameter", "b_Xinanjiang_shape_parameter"),
    "x_Xinanjiang_shape_parameter",
)
_TOPMODEL: Final = ("t0", "szm", "td", "srmax", "sr0", "xk0", "chv", "rv")
_MODULES: Final = (
    (re.compile(r"(bmi_)?(c_)?cfe([_-].*)?", re.IGNORECASE), _CFE),
    (re.compile(r"(bmi_)?(c_)?topmodel([_-].*)?", re.IGNORECASE), _TOPMODEL),
)


def unknown_parameter(module: str, name: str) -> str:
    """Why a module, by its `model_type_name`, has no such parameter; empty where it may have."""
    for like, known in _MODULES:
        if like.fullmatch(module) and name not in known:
            near = nearest(name, known)
            said = f"did you mean {near}? It has" if near else "it has"
            return f"{module} has no parameter {name[:60]}; {said} {', '.join(known)}"
    return ""
