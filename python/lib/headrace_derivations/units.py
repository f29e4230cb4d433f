"""Units of forcing, and how numbers are brought from one into another.

Factors are those of the SI, of 1 kg of water a square metre being 1 mm, and 0 degC being 273.15 K.
"""

from typing import Any, Final

import numpy as np

from headrace_formats.errors import FormatError
from headrace_formats.ngen_forcing import spelt_out
from headrace_model.nearest import did_you_mean

# To the unit that ngen takes: the units that are converted, each with a factor and an offset.
_KNOWN: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "mm s-1": {"m s-1": (1000, 0), "mm h-1": (1 / 3600, 0), "m h-1": (1 / 3.6, 0)},
    "kg m-2": {"m": (1000, 0), "cm": (10, 0)},
    "K": {"degC": (1, 273.15), "C": (1, 273.15), "celsius": (1, 273.15)},
    "Pa": {"hPa": (100, 0), "mbar": (100, 0), "mb": (100, 0), "kPa": (1000, 0)},
    "kg kg-1": {"g kg-1": (1 / 1000, 0)},
    "m s-1": {"km h-1": (1 / 3.6, 0)},
    "W m-2": {"kW m-2": (1000, 0)},
}
_FACTORS: Final = {
    spelt_out(target): {spelt_out(unit): change for unit, change in units.items()}
    for target, units in _KNOWN.items()
}


def to_unit(
    numbers: "np.ndarray[Any, Any]", unit: str, wanted: str, where: str
) -> "np.ndarray[Any, Any]":
    """Bring numbers from `unit` into `wanted`; raises `FormatError` for a unit without a way."""
    have, want = spelt_out(unit), spelt_out(wanted)
    if have == want:
        return numbers
    known = _FACTORS.get(want, {})
    if have not in known:
        units = (wanted, *_KNOWN.get(wanted.replace("^", ""), ()))
        raise FormatError(
            f"{where}: its unit, {unit[:40]!r}, can't be converted into {wanted}",
            hint=did_you_mean(unit, units),
        )
    factor, offset = known[have]
    return numbers * factor + offset
