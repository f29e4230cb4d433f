"""Whether forcing tells all that a run of ngen needs, in the units in which ngen takes it."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from headrace_derivations.base import DerivationFailed
from headrace_derivations.forcing_read import ForcingFiles, Series
from headrace_formats.delimited import Numbers
from headrace_formats.ngen_forcing import (
    AORC_QUANTITIES,
    DEPTH,
    RATE,
    SHIFTED,
    check_rain,
    check_range,
)
from headrace_formats.report import Finding, Report
from headrace_model.domain import Continuous
from headrace_model.times import Instant, format_instant

_AT_ONCE: Final = 64
_SAID: Final = 5
USUAL_PATTERN: Final = ".*{{id}}[^0-9].*csv"
"""It takes `cat-27.csv` and `cat-27_2015.csv` for cat-27, and not `cat-270.csv`."""
_ID: Final = re.compile(r"\{\{id\}\}", re.IGNORECASE)
_MOST_PATTERN: Final = 200
_MOST_REPEATS: Final = 3
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*\]")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{[0-9,]*\})[?+]?")
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")
_IN_NAME: Final = re.compile(r"[A-Za-z]+-\d{1,15}")


@dataclass(frozen=True, slots=True)
class Needed:
    """What the forcing must tell: of which catchments, when, which columns; `step_s` of the run.

    `doubtful`: what is physically doubtful is said, and does not end it.
    """

    catchments: Sequence[str]
    period: Continuous
    columns: Collection[str]
    step_s: int
    doubtful: bool


def check_forcing(
    folder: Path, needed: Needed, say: Callable[[str], None]
) -> dict[str, PurePosixPath]:
    """Check the forcing in a folder; gives the file of each catchment, below the folder.

    Raises `DerivationFailed` with the catchment, the file, and the fix.
    """
    files = ForcingFiles(folder, say)
    _check_there(files, needed)
    doubts = _Doubts(needed.doubtful, say)
    for some in _batches(needed.catchments):
        for parts in files.read(some):
            series = parts[0]
            if len(parts) > 1:
                raise DerivationFailed(
                    f"{series.catchment}: {parts[0].source} and {parts[1].source} both have its "
                    "forcing, and ngen would take either",
                    hint="make a dataset without one of them, and name it by its DATA_ID",
                )
            _check_times(series, needed)
            _check_numbers(series, needed)
            doubts.look(series)
    return {each: files.file_of(each) for each in needed.catchments}


def _batches(catchments: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(catchments), _AT_ONCE):
        yield catchments[at : at + _AT_ONCE]


def _check_there(files: ForcingFiles, needed: Needed) -> None:
    there = set(files.catchments)
    lacks = [each for each in needed.catchments if each not in there]
    if lacks:
        others = f", nor for {len(lacks) - 1:,} others" if len(lacks) > 1 else ""
        raise DerivationFailed(
            f"there is no forcing for {', '.join(lacks[:_SAID])}{others if lacks[_SAID:] else ''}"
            f": the forcing has {len(there):,} catchments, the run {len(needed.catchments):,}",
            hint="add it to the dataset of the forcing, or leave the catchment out of the run "
            "(settings.catchments)",
        )


def _check_times(series: Series, needed: Needed) -> None:
    lacks = needed.period.subtract(series.covered)
    if lacks.is_empty:
        return
    begin, end = lacks.intervals[0]
    steps = sum((end - begin) // (needed.step_s * 1000) for begin, end in lacks.intervals)
    whole = series.covered.intervals
    has = f"it has {format_instant(whole[0][0])} to {format_instant(whole[-1][1])}"
    raise DerivationFailed(
        f"{series.catchment}: the forcing ({series.source}) lacks {format_instant(begin)} to "
        f"{format_instant(end)}, {steps:,} of the run's steps in all; {has}"
        + (f" with gaps, {len(whole) - 1:,} in all" if len(whole) > 1 else ""),
        hint="fill the missing rows in and upload the forcing anew, or run a time that it covers",
    )


def _check_numbers(series: Series, needed: Needed) -> None:
    lacks = sorted(set(needed.columns) - series.columns.keys())
    if lacks:
        raise DerivationFailed(
            f"{series.catchment}: the forcing ({series.source}) has no {lacks[0]}, which a "
            "module needs",
            hint=f"it has {', '.join(sorted(series.columns))}; name one of them in the module's "
            "variables_names_map, or add the column",
        )
    ((begin, end),) = needed.period.intervals
    inside = (series.times >= begin) & (series.times < end)
    for name, numbers in series.columns.items():
        missing = inside & ~np.isfinite(numbers)
        if name in AORC_QUANTITIES and missing.any():
            more = int(missing.sum()) - 1
            first = Instant(int(series.times[int(np.argmax(missing))]))
            raise DerivationFailed(
                f"{series.catchment}: the forcing ({series.source}) has no number for {name} at "
                f"{format_instant(first)}" + (f", and {more:,} more times" if more else ""),
                hint="ngen reads no blank: fill them in, and upload the forcing anew",
            )


class _Doubts:
    """Refuses numbers that no weather has in ngen's units, or says them, each kind once."""

    def __init__(self, allowed: bool, say: Callable[[str], None]) -> None:
        self._allowed = allowed
        self._say = say
        self._said: set[str] = set()

    def look(self, series: Series) -> None:
        """Look at all quantities of a catchment."""
        report = Report()
        for name, numbers in series.columns.items():
            if (quantity := AORC_QUANTITIES.get(name)) is not None:
                finite = numbers[np.isfinite(numbers)]
                counted = Numbers(
                    len(finite),
                    least=float(finite.min(initial=np.inf)),
                    most=float(finite.max(initial=-np.inf)),
                )
                check_range(name, quantity, counted, report)
        rates, depths = series.columns.get(RATE.name), series.columns.get(DEPTH.name)
        if rates is not None and len(series.times) > 1:
            step_s = float(np.min(np.diff(series.times))) / 1000
            check_rain(rates.tolist(), None if depths is None else depths.tolist(), step_s, report)
        for each in report.findings:
            self._take(series, each)

    def _take(self, series: Series, found: Finding) -> None:
        text = f"{series.catchment}: the forcing ({series.source}): {found}"
        if self._allowed or found.message.endswith(SHIFTED):
            if found.where not in self._said:
                self._said.add(found.where)
                self._say(f"warning: {text}" + (f" ({found.hint})" if found.hint else ""))
            return
        raise DerivationFailed(
            text,
            hint=f"{found.hint or 'is it in another unit?'}; bring it into ngen's unit and upload "
            "the forcing anew, or run it as it is with `doubtful_forcing: warn`",
        )


def file_pattern(given: str | None, files: dict[str, PurePosixPath]) -> str:
    """The pattern by which ngen finds the CSV file of each catchment: the given one, which must
    fit exactly that file; without one, what does. Raises `DerivationFailed`.
    """
    pattern = given if given is not None else USUAL_PATTERN
    _check_bounded(pattern)
    owners = {path.name: id_ for id_, path in files.items()}
    parts = _ID.split(pattern)
    taken: dict[str, str] = {}
    for name, owner in owners.items():
        for id_ in _ids_in(name):
            if id_ not in files or not _fits(parts, id_, name, pattern):
                continue
            if id_ in taken or id_ != owner:
                other = taken.get(id_, files[id_].name)
                raise DerivationFailed(
                    f"forcing.file_pattern {pattern}: for {id_} it fits {other} and {name}, and "
                    "ngen would take either",
                    hint=f"write {USUAL_PATTERN} into the realization config",
                )
            taken[id_] = name
    if lacks := [id_ for id_ in files if id_ not in taken]:
        raise DerivationFailed(
            f"forcing.file_pattern {pattern}: it does not fit {files[lacks[0]].name}, the file "
            f"of {lacks[0]}" + (f", and {len(lacks) - 1:,} others" if len(lacks) > 1 else ""),
            hint=f"write {USUAL_PATTERN} into the realization config, or name the files so",
        )
    return pattern


def _check_bounded(pattern: str) -> None:
    """Refuse a pattern that may search for long: repeats inside of a group multiply.

    With no group and few repeats that vary, a file's name costs at most its length to the power
    of these. Raises `DerivationFailed`.
    """
    plain = _CLASS.sub("x", _ESCAPED.sub("x", _ID.sub("x", pattern)))
    for wrong in (
        len(pattern) > _MOST_PATTERN and f"it has more than {_MOST_PATTERN} characters",
        "(?" in plain and "it has a group of a special kind, (?, which ngen need not know",
        _REPEATED_GROUP.search(plain) and "it repeats a group, which can search for ever",
        len(_REPEAT.findall(plain)) > _MOST_REPEATS
        and f"it has more than {_MOST_REPEATS} repeats, which can search for ever",
    ):
        if wrong:
            raise DerivationFailed(
                f"forcing.file_pattern {pattern[:80]}: {wrong}",
                hint=f"write {USUAL_PATTERN} into the realization config",
            )


def _ids_in(name: str) -> set[str]:
    """The ids that a name may hold: `cat-270` holds `cat-27` and `cat-2` as well."""
    found = set()
    for each in _IN_NAME.findall(name):
        word, _, digits = each.partition("-")
        found |= {f"{word}-{digits[:length]}" for length in range(1, len(digits) + 1)}
    return found


def _fits(parts: list[str], id_: str, name: str, pattern: str) -> bool:
    try:
        return re.fullmatch(re.escape(id_).join(parts), name) is not None
    except re.error as error:
        raise DerivationFailed(
            f"forcing.file_pattern {pattern[:80]} is no regular expression: {error}",
            hint=f"write {USUAL_PATTERN} into the realization config",
        ) from None
