"""The parts of a composite config: the role of each as an input, and its format."""

from typing import Final

REALIZATION: Final = "realization"
INIT: Final = "init-configs"
T_ROUTE: Final = "t-route"
NGEN_CAL: Final = "ngen-cal"
FORMATS: Final = {
    REALIZATION: "NGEN_REALIZATION_CONFIG",
    INIT: "BMI_CONFIG",
    T_ROUTE: "T_ROUTE_CONFIG",
    NGEN_CAL: "NGEN_CAL_CONFIG",
}
