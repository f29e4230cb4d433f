"""Units of time as CF and BMI write them: `days`, `seconds since 1970-01-01 00:00:00.0 +0000`."""

import re
from datetime import UTC, datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_S: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_UNITS: Final = re.compile(
    r"\s*(\w+)(?:\s+since\s+(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.0*)?)?)?"
    r"\s*(?:Z|UTC|[+-]00:?00)?)?\s*",
    re.ASCII,
)


def read_units(text: str) -> tuple[int, datetime | None] | None:
    """The seconds of a unit and the time in UTC that it counts from, if any; None: not known."""
    found = _UNITS.fullmatch(text)
    unit_s = _UNIT_S.get(found[1].lower()) if found else None
    if found is None or unit_s is None:
        return None
    if found[2] is None:
        return unit_s, None
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[1:])
    try:
        return unit_s, datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
