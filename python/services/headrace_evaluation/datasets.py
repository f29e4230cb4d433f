"""The series of a dataset: which of its files holds which location."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from headrace_derivations.base import files_below
from headrace_evaluation.core.aligning import EvaluationFailed, Series
from headrace_evaluation.reading import NetcdfFile, Place, Readable
from headrace_evaluation.reading_text import open_text
from headrace_formats.base import read_head
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import is_netcdf

_MOST_FILES: Final = 1_000_000


@dataclass(slots=True)
class Dataset:
    """All series below a folder, by id; those of one id in several files follow each other."""

    name: str
    files: dict[str, list[Readable]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    unit: str | None = None

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Read some series; raises `EvaluationFailed` where two files tell the same times."""
        found: dict[str, list[Series]] = {}
        by_file: dict[int, tuple[Readable, list[str]]] = {}
        for id_ in ids:
            for file in self.files[id_]:
                by_file.setdefault(id(file), (file, []))[1].append(id_)
        for file, wanted in by_file.values():
            for id_, series in file.read(wanted).items():
                found.setdefault(id_, []).append(series)
        return {id_: self._joined(id_, parts) for id_, parts in found.items()}

    def _joined(self, id_: str, parts: list[Series]) -> Series:
        parts.sort(key=lambda each: int(each.times[0]) if each.times.size else 0)
        times = np.concatenate([each.times for each in parts])
        if np.any(np.diff(times) <= 0):
            raise EvaluationFailed(f"{self.name}: two files tell the same times of {id_[:60]}")
        unit = self.unit or parts[0].unit
        return Series(times, np.concatenate([each.values for each in parts]), unit)


def open_dataset(
    name: str, folder: Path, variable: str | None, unit: str | None, wanted: str
) -> Dataset:
    """Look at all files below a folder; raises `EvaluationFailed` naming the file."""
    made = Dataset(name, unit=unit)
    paths = files_below(folder)
    if len(paths) > _MOST_FILES:
        raise EvaluationFailed(f"{name}: more than {_MOST_FILES:,} files")
    for path in paths:
        try:
            head = read_head(path)
            file: Readable | None = (
                open_text(path, head, variable)
                if not is_netcdf(head)
                else NetcdfFile(path, variable, wanted)
            )
        except FormatError as error:
            raise EvaluationFailed(
                f"{name}: {path.relative_to(folder)}: {error.message}", hint=error.hint
            ) from None
        if file is not None:
            made.places |= file.places
            for id_ in file.ids:
                made.files.setdefault(id_, []).append(file)
    if not made.files:
        raise EvaluationFailed(
            f"{name}: none of its {len(paths):,} files holds series that can be read",
            hint="NetCDF with cf_role = timeseries_id, CSV with times, ngen's CSV or USGS JSON",
        )
    return made
