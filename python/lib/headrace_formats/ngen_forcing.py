"""The quantities of ngen's forcing, their units, and what is physically wrong with their numbers.

Names and units are those that ngen knows (NOAA-OWP/ngen, include/forcing/AorcForcing.hpp): the
names of AORC and those of the National Water Model mean the same quantities.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_formats.base import Field
from headrace_formats.delimited import Numbers
from headrace_formats.report import Report


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of the forcing; outside [least, most] it is no weather on Earth."""

    name: str
    unit: str
    about: str
    least: float
    most: float


RATE: Final = Quantity("precip_rate", "mm s^-1", "precipitation rate", 0, 0.15)
DEPTH: Final = Quantity(
    "APCP_surface", "kg m^-2", "precipitation of a step (1 kg m^-2 = 1 mm)", 0, 500
)
_AORC: Final = (
    DEPTH,
    Quantity("DLWRF_surface", "W m-2", "longwave radiation, downward", 20, 800),
    Quantity("DSWRF_surface", "W m-2", "shortwave radiation, downward", 0, 1500),
    Quantity("PRES_surface", "Pa", "air pressure at the surface", 30_000, 110_000),
    Quantity("SPFH_2maboveground", "kg kg-1", "specific humidity at 2 m", 0, 0.06),
    Quantity("TMP_2maboveground", "K", "air temperature at 2 m", 180, 335),
    Quantity("UGRD_10maboveground", "m s-1", "eastward wind at 10 m", -120, 120),
    Quantity("VGRD_10maboveground", "m s-1", "northward wind at 10 m", -120, 120),
    RATE,
)
AORC_QUANTITIES: Final = {each.name: each for each in _AORC}
NWM_QUANTITIES: Final = {
    "RAINRATE": RATE,
    "T2D": AORC_QUANTITIES["TMP_2maboveground"],
    "Q2D": AORC_QUANTITIES["SPFH_2maboveground"],
    "U2D": AORC_QUANTITIES["UGRD_10maboveground"],
    "V2D": AORC_QUANTITIES["VGRD_10maboveground"],
    "PSFC": AORC_QUANTITIES["PRES_surface"],
    "SWDOWN": AORC_QUANTITIES["DSWRF_surface"],
    "LWDOWN": AORC_QUANTITIES["DLWRF_surface"],
}
QUANTITIES: Final = AORC_QUANTITIES | NWM_QUANTITIES

AORC_FIELDS: Final = tuple(Field(each.name, each.unit, each.about) for each in _AORC)
NWM_FIELDS: Final = tuple(
    Field(name, each.unit, each.about) for name, each in NWM_QUANTITIES.items()
)
WARNS: Final = (
    "a number lies outside what weather on Earth can be, or is missing",
    "a unit that is given is not the one that ngen takes the quantity in",
    "`precip_rate` and `APCP_surface` tell different amounts of rain, such as rates in m s^-1, "
    "1,000 times too small, or different hours",
    "the heaviest of many rates is below 0.04 mm an hour: it may be in m s^-1",
)

_WET_STEPS: Final = 24
_FAINT: Final = 0.04 / 3600  # mm/s: less than any gauge tells; 40 mm/h, where it is meant as m/s
_SHIFTS: Final = (-1, 1)
SHIFTED: Final = "the same rain, shifted"
"""How it is said that rates are those of another step."""


def check_unit(where: str, quantity: Quantity, unit: str, report: Report) -> None:
    """Point out a unit that is given in the file and not the one that ngen takes."""
    if unit and spelt_out(unit) != spelt_out(quantity.unit):
        report.warn(
            where,
            f"its unit is {unit[:40]!r}; ngen takes {quantity.name} in {quantity.unit}",
        )


def spelt_out(unit: str) -> tuple[str, ...]:
    """Bring the spellings of a unit together: mm/s, mm s-1, mm s^-1; kg/kg, kg kg-1, 1."""
    text = unit.strip().replace("**", "^").replace("*", " ").replace("·", " ")
    over, _, under = text.partition("/")
    parts = [part.replace("^", "") for part in over.split()]
    parts += [
        f"{part.rstrip('0123456789')}-{part.lstrip('abcdefghijklmnopqrstuvwxyzA^') or '1'}"
        for part in under.replace("/", " ").replace("^", "").split()
    ]
    same = {"kg m-2 s-1": "mm s-1", "mm": "kg m-2", "kelvin": "K", "pascal": "Pa", "1": "kg kg-1"}
    joined = " ".join(parts)
    return tuple(sorted(same.get(joined, joined).split()))


def check_range(where: str, quantity: Quantity, numbers: Numbers, report: Report) -> None:
    """Point out numbers that no weather has."""
    if numbers.count and (numbers.least < quantity.least or numbers.most > quantity.most):
        report.warn(
            where,
            f"{quantity.about} from {numbers.least:.4g} to {numbers.most:.4g} {quantity.unit}: "
            f"possible is {quantity.least:,g} to {quantity.most:,g}",
            _celsius(quantity, numbers),
        )


def _celsius(quantity: Quantity, numbers: Numbers) -> str | None:
    if quantity.unit == "K" and numbers.least > -90 and numbers.most < 60:
        return "is it in degrees Celsius?"
    return None


def check_rain(
    rates: Sequence[float], depths: Sequence[float] | None, step_s: float, report: Report
) -> None:
    """Compare rates in mm/s with depths in mm of the same steps, and with what rain is."""
    wet = [rate for rate in rates if rate > 0]
    fell = sum(depth for depth in depths or () if depth > 0)
    if not fell or depths is None:
        if len(wet) >= _WET_STEPS and max(wet) < _FAINT:
            report.warn(
                RATE.name,
                f"the heaviest of {len(wet):,} rates is {max(wet) * 3600:.2g} mm an hour",
                "is it in m s^-1? ngen takes mm s^-1",
            )
        return
    ratio = sum(wet) * step_s / fell
    if not wet:
        report.warn(
            RATE.name, f"it is 0 throughout, while {DEPTH.name} tells {fell:.4g} mm of rain"
        )
        return
    if not 0.8 < ratio < 1.25:
        report.warn(RATE.name, *_how_far(ratio, f"{sum(wet) * step_s:.4g} mm, not {fell:.4g} mm"))
    _check_hours(rates, depths, step_s, ratio, fell, report)


def _how_far(ratio: float, amounts: str) -> tuple[str, str]:
    """Say how far rates are from depths, and what to do about it."""
    against = f"against {DEPTH.name}"
    if 0.9 < ratio * 1000 < 1.1:
        said = f"it is 1,000 times too small {against}: it looks like m s^-1, ngen takes mm s^-1"
        return said, f"{amounts} in all; multiply it by 1,000"
    if 0.9 < ratio / 3600 < 1.1:
        said = f"it is 3,600 times too large {against}: it looks like mm h^-1, ngen takes mm s^-1"
        return said, f"{amounts} in all; divide it by 3,600"
    if ratio < 1:
        return f"it is {1 / ratio:,.2g} times too small {against}", f"{amounts} in all"
    return f"it is {ratio:,.2g} times too large {against}", f"{amounts} in all"


def _check_hours(
    rates: Sequence[float],
    depths: Sequence[float],
    step_s: float,
    ratio: float,
    fell: float,
    report: Report,
) -> None:
    """Point out rates that are those of the step before or after."""

    def apart(shift: int) -> float:
        both = zip(rates[max(0, shift) :], depths[max(0, -shift) :], strict=False)
        return sum(abs(rate * step_s / ratio - depth) for rate, depth in both) / fell

    if apart(0) < 0.2:
        return
    for shift in _SHIFTS:
        if apart(shift) < 0.02:
            which = "ahead of" if shift < 0 else "behind"
            report.warn(RATE.name, f"it is one step {which} {DEPTH.name}: {SHIFTED}")


class Columns:
    """The numbers of the known quantities of one series, taken as they are read."""

    def __init__(self, known: Mapping[int, Quantity]) -> None:
        """`known`: the quantity of each column, by its place among the numbers of a row."""
        self._known = known
        self.numbers = {place: Numbers() for place in known}
        self._rain = {place: array("d") for place, each in known.items() if each in (RATE, DEPTH)}

    def add(self, columns: Sequence[Sequence[float]], lines: Sequence[int]) -> None:
        """Count the numbers of many rows, which come by columns."""
        for place, numbers in self.numbers.items():
            numbers.add_all(columns[place], lines)
            if place in self._rain:
                self._rain[place].extend(columns[place])

    def check(self, names: Sequence[str], step_s: float | None, report: Report) -> None:
        """Point out what is physically wrong; `names` are those of the columns in the file."""
        for place, numbers in self.numbers.items():
            where = f"column {names[place]}"
            if numbers.missing:
                report.warn(
                    where,
                    f"{numbers.missing:,} numbers are missing, the first in line "
                    f"{numbers.first_missing}: ngen reads no blank",
                )
            check_range(where, self._known[place], numbers, report)
        rates = self._series(RATE)
        if rates is not None and step_s:
            check_rain(rates, self._series(DEPTH), step_s, report)

    def _series(self, quantity: Quantity) -> Sequence[float] | None:
        places: Iterable[int] = (at for at in self._rain if self._known[at] is quantity)
        return next((self._rain[at] for at in places), None)
