"""Times of the CF conventions (section 4.4, `days since 1979-01-01`) as exact instants.

Whole numbers stay whole numbers all the way, in float32 too. A fraction that a float64 holds
is rounded to the millisecond that it means. A fraction in float32 is coarser than that (84 s
for a day number of 14,245.x): it is taken only when one regular series of whole hours, quarters,
minutes or seconds gives every stored bit, so that what was meant is known for certain.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headrace_formats.errors import FormatError
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, parse_instant

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

_UNIT_MS: Final = {
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60_000),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1000),
}
_CALENDARS: Final = ("standard", "gregorian", "proleptic_gregorian")
_UNITS: Final = re.compile(
    r"\s*(\w+)\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d{1,9})?)?)?"
    r"\s*(?:(Z|UTC|GMT)|([+-]\d{1,2})(?::?(\d\d))?)?\s*",
    re.ASCII | re.IGNORECASE,
)
_DURATION: Final = re.compile(
    r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?", re.ASCII
)
# The calendar `standard` is Julian before this day, which instants are not.
_GREGORIAN: Final = parse_instant("1582-10-15")
_FARTHEST_MS: Final = 400_000_000_000_000  # more than from year 1 to year 9999
_GRAINS_MS: Final = (3_600_000, 900_000, 300_000, 60_000, 1000)
_TOLERANCE_MS: Final = 0.1  # sums of rounded fractions of a day drift by less than this


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """A unit of time and the instant that it counts from."""

    unit_ms: int
    reference: Instant
    earliest: Instant | None  # before this the calendar is not that of instants


def parse_units(units: str, calendar: str, where: str) -> TimeUnit:
    """Read the attributes `units` and `calendar`; raises `FormatError`, naming `where`."""
    if calendar.lower() not in _CALENDARS:
        raise FormatError(
            f"{where}: the calendar {calendar[:60]!r} has days that no clock in UTC shows",
            hint=f"the calendars that can be read are {', '.join(_CALENDARS)}",
        )
    found = _UNITS.fullmatch(units)
    unit_ms = _UNIT_MS.get(found[1].lower()) if found else None
    if found is None or unit_ms is None:
        raise FormatError(
            f"{where}: the units {units[:80]!r} can't be read",
            hint="write days, hours, minutes or seconds since a date, such as "
            "'hours since 1979-01-01 00:00:00'",
        )
    try:
        reference = parse_instant(_iso(found))
    except InvalidInput as error:
        raise FormatError(f"{where}: units: {error.message}", hint=error.hint) from None
    proleptic = calendar.lower() == "proleptic_gregorian"
    if not proleptic and reference < _GREGORIAN:
        raise FormatError(
            f"{where}: the calendar {calendar!r} is Julian before 1582-10-15, "
            f"where {units[:80]!r} begins",
            hint="count from a later day, or use the calendar proleptic_gregorian",
        )
    return TimeUnit(unit_ms, reference, None if proleptic else _GREGORIAN)


def _iso(found: re.Match[str]) -> str:
    _, year, month, day, hour, minute, second, fraction, _, zone, zone_minute = found.groups()
    text = f"{year:0>4}-{month:0>2}-{day:0>2}T{hour or 0:0>2}:{minute or 0:0>2}:{second or 0:0>2}"
    if zone:
        return f"{text}{fraction or ''}{zone[0]}{zone[1:]:0>2}:{zone_minute or '00'}"
    return f"{text}{fraction or ''}Z"


def parse_duration(text: str) -> int | None:
    """Read an ISO 8601 duration of days to seconds (`P1D`, `PT15M`) as milliseconds, or None."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 or None


def to_instants(values: "Numbers", unit: TimeUnit, where: str) -> list[Instant]:
    """Turn the numbers of a time variable, shape (time,), into instants; raises `FormatError`."""
    import numpy as np

    if not len(values):
        return []
    if values.dtype.kind not in "iuf":
        raise FormatError(f"{where}: times must be numbers, not {values.dtype}")
    if not np.isfinite(values).all():
        raise FormatError(f"{where}: a time is missing or not a number")
    farthest = max(abs(int(values.max())), abs(int(values.min()))) * unit.unit_ms
    if farthest > _FARTHEST_MS:
        raise FormatError(f"{where}: a time lies outside the years 0001 to 9999")
    if values.dtype.kind == "f":
        since = _from_floats(values, unit.unit_ms, where)
    else:
        since = values.astype(np.int64) * unit.unit_ms
    instants = [checked_instant(unit.reference + each) for each in since.tolist()]
    if unit.earliest is not None and min(instants) < unit.earliest:
        raise FormatError(f"{where}: a time lies before 1582-10-15, where the calendar is Julian")
    return instants


def _from_floats(values: "Numbers", unit_ms: int, where: str) -> "Numbers":
    import numpy as np

    wide = values.astype(np.float64)
    whole = np.floor(wide)
    part_ms = (wide - whole) * unit_ms
    rounded_ms = np.rint(part_ms)
    since = whole.astype(np.int64) * unit_ms + rounded_ms.astype(np.int64)
    coarse = float(np.spacing(np.abs(values).max()))
    if coarse <= 1 and not part_ms.any():
        return since
    coarse_ms = coarse * unit_ms
    if coarse_ms > 1:
        return _regular_grid(values, since, unit_ms, coarse_ms, where)
    if np.abs(part_ms - rounded_ms).max() > _TOLERANCE_MS:
        raise FormatError(f"{where}: a time is finer than a millisecond")
    return since


def _regular_grid(
    values: "Numbers", since: "Numbers", unit_ms: int, coarse_ms: float, where: str
) -> "Numbers":
    """Find the regular series that, rounded to the type of `values`, is `values`."""
    import numpy as np

    count = len(values)
    first, last = int(since[0]), int(since[-1])
    step = (last - first) / (count - 1) if count > 1 else 0.0
    for grain in _GRAINS_MS:
        if grain < 2 * coarse_ms:
            break
        grid = round(first / grain) * grain + np.arange(count) * (round(step / grain) * grain)
        if ((grid / unit_ms).astype(values.dtype) == values).all():
            return grid
    raise FormatError(
        f"{where}: times in {values.dtype} are only exact to {coarse_ms / 1000:g} s here, and "
        "are no regular series",
        hint="write times as float64 or int64",
    )
