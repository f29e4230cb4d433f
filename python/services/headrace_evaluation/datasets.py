"""The series of a dataset: which of its files holds which location, and which can't be read.

A file that can't be read costs the locations that it holds, not the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from headrace_derivations.base import files_below
from headrace_evaluation.core.aligning import EvaluationFailed, Series
from headrace_evaluation.reading import NetcdfFile, Place, Readable
from headrace_evaluation.reading_routed import ParquetFile
from headrace_evaluation.reading_text import id_in, open_text
from headrace_formats.base import read_head
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import is_netcdf
from headrace_formats.parquet import is_parquet
from headrace_model.nearest import did_you_mean

_MOST_FILES: Final = 1_000_000
_MOST_COMPARED: Final = 20_000  # names among which the nearest is looked for


@dataclass(slots=True)
class Dataset:
    """All series below a folder, by id; those of one id in several files follow each other.

    `unreadable` says by the id that a file's name tells why the file can't be read.
    """

    name: str
    files: dict[str, list[Readable]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """All that it should hold series of."""
        return self.files.keys() | self.unreadable.keys()

    def lack(self, id_: str) -> str:
        """Why there is no series of an id, empty where there is one."""
        if id_ in self.unreadable:
            return self.unreadable[id_]
        if id_ in self.files:
            return ""
        why = f"{self.name} tells nothing of {id_[:60]}"
        if self.unreadable:
            first = next(iter(self.unreadable.values()))
            why += f"; {len(self.unreadable):,} of its files can't be read: {first}"
        return why

    def near(self, id_: str) -> str:
        """Ids for one that is perhaps a wrong word."""
        return did_you_mean(id_, list(self.files)[:_MOST_COMPARED])

    def read(self, ids: Sequence[str]) -> tuple[dict[str, Series], dict[str, str]]:
        """Read some series; and say by id why others can't be."""
        reasons = {id_: why for id_ in ids if (why := self.lack(id_))}
        found: dict[str, list[Series]] = {id_: [] for id_ in ids if id_ not in reasons}
        by_file: dict[int, tuple[Readable, list[str]]] = {}
        for id_ in found:
            for file in self.files[id_]:
                by_file.setdefault(id(file), (file, []))[1].append(id_)
        for file, wanted in by_file.values():
            for id_, series in _parts(file, wanted):
                if isinstance(series, str):
                    reasons.setdefault(id_, f"{self.name}: {series}")
                else:
                    found[id_].append(series)
        joined = {}
        for id_, parts in found.items():
            if id_ not in reasons:
                joined[id_] = _joined(parts)
                if np.any(np.diff(joined[id_].times) <= 0):
                    reasons[id_] = f"{self.name}: two files tell the same times of {id_[:60]}"
                elif len({each.unit for each in parts}) > 1:
                    reasons[id_] = f"{self.name}: two files tell {id_[:60]} in different units"
        return {id_: each for id_, each in joined.items() if id_ not in reasons}, reasons


def _parts(file: Readable, ids: Sequence[str]) -> Iterator[tuple[str, Series | str]]:
    """The series of a file, or why there is none, one by one where not all can be read."""
    try:
        yield from file.read(ids).items()
    except FormatError as error:
        if len(ids) > 1:
            for id_ in ids:
                yield from _parts(file, [id_])
        else:
            yield ids[0], _said(error)


def _joined(parts: list[Series]) -> Series:
    parts.sort(key=lambda each: int(each.times[0]) if each.times.size else 0)
    times = np.concatenate([each.times for each in parts])
    return Series(times, np.concatenate([each.values for each in parts]), parts[0].unit)


def _said(error: FormatError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def open_dataset(name: str, folder: Path, variable: str | None, wanted: str) -> Dataset:
    """Look at all files below a folder, for `variable`, or else what is of the unit `wanted`.

    Raises `EvaluationFailed` where no file holds series.
    """
    made = Dataset(name)
    paths = files_below(folder)
    if len(paths) > _MOST_FILES:
        raise EvaluationFailed(f"{name}: more than {_MOST_FILES:,} files")
    for path in paths:
        try:
            file = _opened(path, variable, wanted)
        except FormatError as error:
            where = f"{name}: {path.relative_to(folder)}: {_said(error)}"
            made.unreadable.setdefault(id_in(path), where)
            continue
        if file is not None:
            made.places |= file.places
            for id_ in file.ids:
                made.files.setdefault(id_, []).append(file)
    if not made.files:
        reasons = list(made.unreadable.values())
        raise EvaluationFailed(
            reasons[0]
            if reasons
            else f"{name}: none of its {len(paths):,} files holds series that can be read",
            hint="series are NetCDF with cf_role = timeseries_id, CSV with times, ngen's CSV, "
            "what t-route writes, or USGS JSON",
        )
    return made


def _opened(path: Path, variable: str | None, wanted: str) -> Readable | None:
    head = read_head(path)
    if is_netcdf(head):
        return NetcdfFile(path, variable, wanted)
    if is_parquet(head):
        return ParquetFile(path, variable, wanted)
    return open_text(path, head, variable, wanted)
