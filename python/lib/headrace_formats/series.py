"""The TIME that the stamps of a series cover; pure, whole milliseconds.

A stamp is the begin of its step. A regular series covers [first stamp, last stamp + step).
Steps of whole calendar months are regular too: they end on the calendar. In any other series
the step is the lower median of the differences; each stamp covers one step, or less where the
next stamp comes earlier, so that gaps stay gaps. A single stamp tells no step.
"""

from collections.abc import Sequence
from datetime import MAXYEAR, date
from itertools import pairwise
from typing import Final

from headrace_formats.base import Coverage
from headrace_formats.errors import FormatError
from headrace_model.domain import Continuous
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, checked_instant, format_instant

MOST_INTERVALS: Final = 1000
_DAY_MS: Final = 86_400_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def cover(stamps: Sequence[Instant], where: str, step_ms: int | None = None) -> Coverage:
    """Return what a series covers; `step_ms` is a declared step, used for a single stamp only.

    Raises `FormatError` for stamps that do not rise, and for an end behind the year 9999; `where`
    names the variable or column.
    """
    try:
        return _cover(stamps, where, step_ms)
    except InvalidInput as error:  # stamps themselves are within the years; a FormatError is one
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{where}: {error.message}") from None


def _cover(stamps: Sequence[Instant], where: str, step_ms: int | None) -> Coverage:
    if not stamps:
        return Coverage(None, f"{where} holds no stamp: TIME is not detected")
    if len(stamps) == 1:
        return _single(stamps[0], where, step_ms)
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    for place, step in enumerate(steps):
        if step <= 0:
            raise FormatError(
                f"{where}: stamp {place + 2}, {format_instant(stamps[place + 1])}, is not after "
                f"the one before it, {format_instant(stamps[place])}"
            )
    if min(steps) == max(steps):
        return Coverage(_interval(stamps[0], stamps[-1] + steps[0]))
    monthly_end = _monthly_end(stamps)
    if monthly_end is not None:
        return Coverage(_interval(stamps[0], monthly_end))
    return _irregular(stamps, sorted(steps)[(len(steps) - 1) // 2], where)


def bounded(pairs: Sequence[tuple[Instant, Instant]], where: str) -> Coverage:
    """Return what cells with bounds [begin, end) cover; raises `FormatError` for empty cells."""
    for place, (begin, end) in enumerate(pairs):
        if begin >= end:
            raise FormatError(f"{where}: cell {place + 1} ends no later than it begins")
    return _within_reason(Continuous.of(pairs), where, "")


def _interval(begin: int, end: int) -> Continuous:
    return Continuous(((checked_instant(begin), checked_instant(end)),))


def _single(stamp: Instant, where: str, step_ms: int | None) -> Coverage:
    if step_ms is None:
        return Coverage(
            None,
            f"{where} holds a single stamp and no bounds or time_coverage_resolution: "
            "TIME is not detected",
        )
    return Coverage(_interval(stamp, stamp + step_ms))


def _monthly_end(stamps: Sequence[Instant]) -> Instant | None:
    """The end of a series whose steps are all the same number of calendar months, or None."""
    months, within = [], set()
    for stamp in stamps:
        days, clock_ms = divmod(stamp, _DAY_MS)
        day = date.fromordinal(days + _EPOCH_DAY)
        months.append(day.year * 12 + day.month - 1)
        within.add((day.day, clock_ms))
        if len(within) > 1 or day.day > 28:
            return None
    steps = {later - earlier for earlier, later in pairwise(months)}
    if len(steps) != 1:
        return None
    year, month = divmod(months[-1] + steps.pop(), 12)
    [(day_of_month, clock_ms)] = within
    if year > MAXYEAR:
        raise FormatError("its last step ends behind the year 9999")
    days = date(year, month + 1, day_of_month).toordinal() - _EPOCH_DAY
    return checked_instant(days * _DAY_MS + clock_ms)


def _irregular(stamps: Sequence[Instant], step_ms: int, where: str) -> Coverage:
    cells = [
        (earlier, Instant(min(later, earlier + step_ms))) for earlier, later in pairwise(stamps)
    ]
    cells.append((stamps[-1], checked_instant(stamps[-1] + step_ms)))
    found = Continuous.of(cells)
    gaps = len(found.intervals) - 1
    return _within_reason(
        found,
        where,
        f"{where} is irregular: taken as steps of {step_ms / 1000:g} s (the median), "
        f"with {gaps:,} gaps",
    )


def _within_reason(found: Continuous, where: str, warning: str) -> Coverage:
    if len(found.intervals) > MOST_INTERVALS:
        return Coverage(
            None,
            f"{where} has more than {MOST_INTERVALS:,} gaps: TIME is not detected",
        )
    return Coverage(found, warning)


def one_stamp_each(stamps: Sequence[object]) -> tuple[Continuous | None, tuple[str, ...]]:
    """What files cover that each hold one time, and notes; nothing where one holds none."""
    told = sorted(Instant(each) for each in stamps if isinstance(each, int))
    if len(told) < len(stamps):
        return None, ()
    try:
        coverage = cover(told, "the series of the files' times")
    except FormatError as error:  # two files of the same time
        return None, (f"{error.message}: TIME is not detected",)
    return coverage.time, (coverage.warning,) if coverage.warning else ()
