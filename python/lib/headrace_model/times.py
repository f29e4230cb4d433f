"""Instants: moments in UTC as whole milliseconds since 1970-01-01T00:00Z.

Read: the part of ISO 8601 that people and tools write, `1979-01-01`, `1979-01-01T06:00`,
`1979-01-01 06:00:00.250Z`, `1979-01-01T06:00+01:00`. Without a zone the time is UTC.
Written: one canonical text an instant, the shortest that is exact. Midnight is the date alone
(`1979-01-01`); any other time ends in `Z` and shows seconds and milliseconds only where they
are not zero (`1979-01-01T06:00Z`). Years run from 0001 to 9999.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NewType

from headrace_model.errors import InvalidInput

Instant = NewType("Instant", int)

_DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_FIRST: Final = (date.min.toordinal() - _EPOCH_DAY) * _DAY_MS
_LAST: Final = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY_MS - 1
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


def parse_instant(text: str) -> Instant:
    """Read an ISO 8601 date or date-time; without a zone it is UTC.

    Raises `InvalidInput` for other text, for a day or hour that does not exist (also 24:00 and
    leap seconds) and for fractions finer than a millisecond, which could not be kept exactly.
    """
    found = _ISO.fullmatch(text)
    if not found:
        raise _wrong(text, "an ISO 8601 date or time in UTC is expected")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        day_number = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise _wrong(text, f"{error}") from None
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise _wrong(text, "hours run from 00 to 23, minutes and seconds from 00 to 59")
    digits = (fraction or "").ljust(3, "0")
    if digits[3:].strip("0"):
        raise _wrong(text, "times are kept in whole milliseconds")
    clock_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + int(digits[:3])
    return checked_instant(day_number * _DAY_MS + clock_ms - _offset_ms(text, zone))


def instant_of(moment: date | datetime) -> Instant:
    """Turn a date (its midnight) or datetime into an instant; naive ones are UTC.

    YAML readers hand out these objects for unquoted dates. Raises `InvalidInput` for
    fractions finer than a millisecond.
    """
    if not isinstance(moment, datetime):
        return Instant((moment.toordinal() - _EPOCH_DAY) * _DAY_MS)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole, rest = divmod(aware - _EPOCH, timedelta(milliseconds=1))
    if rest:
        raise _wrong(str(moment), "times are kept in whole milliseconds")
    return checked_instant(whole)


def checked_instant(milliseconds: int) -> Instant:
    """Check that an instant lies in the years 0001 to 9999; raises `InvalidInput`."""
    if not _FIRST <= milliseconds <= _LAST:
        raise InvalidInput(
            f"{milliseconds} ms since 1970 lies outside the years 0001 to 9999, in UTC"
        )
    return Instant(milliseconds)


def format_instant(instant: Instant) -> str:
    """Write the canonical text; `parse_instant` reads it back exactly.

    Raises `InvalidInput` outside the years 0001 to 9999.
    """
    days, clock_ms = divmod(checked_instant(instant), _DAY_MS)
    text = date.fromordinal(days + _EPOCH_DAY).isoformat()
    if not clock_ms:
        return text
    clock_s, milliseconds = divmod(clock_ms, 1000)
    minutes, seconds = divmod(clock_s, 60)
    text += f"T{minutes // 60:02}:{minutes % 60:02}"
    if milliseconds:
        return f"{text}:{seconds:02}.{milliseconds:03}Z"
    return f"{text}:{seconds:02}Z" if seconds else f"{text}Z"


def instant_text(milliseconds: int) -> str:
    """Write the canonical text of a number that need not be an instant yet; raises as
    `format_instant` does."""
    return format_instant(checked_instant(milliseconds))


def _offset_ms(text: str, zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise _wrong(text, "a zone offset lies between -23:59 and +23:59")
    return (hours * 60 + minutes) * (-60_000 if zone[0] == "-" else 60_000)


def _wrong(text: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{text[:60]!r} is not a time: {why}", hint="write 1979-01-01 or 1979-01-01T06:00Z"
    )
