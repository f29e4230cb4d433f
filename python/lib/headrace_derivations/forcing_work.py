"""What the derivation `forcing` does: read a catchment's parts, join, cut to the time, write."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from headrace_derivations.base import DerivationFailed, Work
from headrace_derivations.forcing_formats import CSV, ROLE
from headrace_derivations.forcing_read import ForcingFiles, Series, Times
from headrace_derivations.forcing_write import CsvWriter, NetcdfWriter
from headrace_model.domain import Continuous, Discrete, Domain, Index, describe
from headrace_model.times import Instant, format_instant

_HELD_BYTES: Final = 64 << 20  # of numbers that are held at a time, if a catchment is not more
_MOST_AT_ONCE: Final = 64


def derive(work: Work) -> None:
    """Make forcing as the parameters say; raises `DerivationFailed` and `FormatError`."""
    domain = Domain.from_plain(work.parameters["domain"])
    exact = bool(work.parameters["exact"])
    files = ForcingFiles(work.inputs[ROLE], work.say)
    catchments = _catchments(files, domain)
    target = str(work.parameters["format"])
    writer = CsvWriter(work.output) if target == CSV else NetcdfWriter(work.output, target)
    with writer:
        writer.begin(catchments)
        done, at_once = 0, 1
        while some := catchments[done : done + at_once]:
            for parts in files.read(some):
                series = writer.prepare(_joined(parts))
                writer.write(cut(series, domain.time, exact))
                largest = max(sum(part.size_bytes for part in parts), 1)
                at_once = max(1, min(_MOST_AT_ONCE, _HELD_BYTES // largest))
            done += len(some)
            work.say(f"{done:,} of {len(catchments):,} catchments")
    for note in writer.notes:
        work.say(note)


def _catchments(files: ForcingFiles, domain: Domain) -> list[str]:
    wanted = domain.get(Index.CATCHMENT_ID)
    if not isinstance(wanted, Discrete):
        return files.catchments
    if missing := wanted.values - set(files.catchments):
        raise DerivationFailed(f"the forcing has no {describe(Discrete(frozenset(missing)))}")
    return [each for each in files.catchments if each in wanted.values]


def _joined(parts: Sequence[Series]) -> Series:
    """All that the parts tell of one catchment, in the order of time."""
    first = parts[0]
    if len(parts) == 1:
        return first
    names = list(first.columns)
    for part in parts[1:]:
        if set(part.columns) != set(names):
            other = sorted(set(part.columns) ^ set(names))
            raise DerivationFailed(
                f"{first.catchment}: {part.source} and {first.source} do not tell the same "
                f"quantities; one of them lacks {', '.join(other)}"
            )
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    times = times[order]
    columns = {
        name: np.concatenate([part.columns[name] for part in parts])[order] for name in names
    }
    again = np.flatnonzero(times[1:] == times[:-1])
    for name, numbers in columns.items():
        one, two = numbers[again], numbers[again + 1]
        differ = ~((one == two) | (np.isnan(one) & np.isnan(two)))
        if differ.any():
            at = int(np.argmax(differ))
            raise DerivationFailed(
                f"{first.catchment}: two parts tell different {name} at "
                f"{format_instant(Instant(int(times[again[at]])))}: {one[at]:g} and {two[at]:g}",
                hint="ask for one of them by a DATA_ID, or make a dataset without the other",
            )
    kept = np.ones(len(times), dtype=bool)
    kept[again + 1] = False
    return Series(
        first.catchment,
        f"{len(parts)} parts",
        times[kept],
        {name: numbers[kept] for name, numbers in columns.items()},
    )


def cut(series: Series, wanted: Continuous | None, exact: bool) -> Series:
    """The steps that reach into the wanted time; raises where they don't cover it."""
    if wanted is None:
        return series
    if missing := wanted.subtract(series.covered).intervals:
        raise DerivationFailed(
            f"{series.catchment}: TIME {describe(Continuous(missing))} is missing"
        )
    if series.covered == wanted:
        return series
    kept = _touched(series.times, series.step_ends, wanted)
    if np.count_nonzero(kept) == 1:
        if exact:
            raise DerivationFailed(
                f"{series.catchment}: TIME {describe(wanted)} is a single step, and a file of one "
                "step does not tell how long it is",
                hint="ask for two steps, or without the shape EXACT",
            )
        kept = _with_a_neighbour(kept)
    cut = Series(
        series.catchment,
        series.source,
        series.times[kept],
        {name: numbers[kept] for name, numbers in series.columns.items()},
    )
    if not cut.covered.contains(wanted) or (exact and cut.covered != wanted):
        raise DerivationFailed(
            f"{series.catchment}: TIME {describe(wanted)} does not begin and end where steps of "
            "the forcing do",
            hint="ask for whole steps, or without the shape EXACT",
        )
    return cut


def _touched(begins: Times, ends: Times, wanted: Continuous) -> Any:
    """Which steps have an instant in the wanted time."""
    touched = np.zeros(len(begins), dtype=bool)
    for begin, end in wanted.intervals:
        touched |= (begins < end) & (ends > begin)
    return touched


def _with_a_neighbour(kept: Any) -> Any:
    """The one step that is kept and the next one, or the one before where it is the last."""
    (place,) = np.flatnonzero(kept)
    more = kept.copy()
    more[place + 1 if place + 1 < len(kept) else place - 1] = True
    return more
