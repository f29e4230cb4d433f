"""Flows as t-route writes them: rows of CSV, CSV of one time, Parquet.

What the columns are: `headrace_formats.t_route_csv` and `t_route_parquet`, after files that
t-route wrote (samples of NOAA-OWP/ngen-cal and NOAA-OWP/t-route). Its NetCDF is read as any other.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace_evaluation.core.aligning import Series
from headrace_evaluation.reading import Place, chosen, rising
from headrace_formats.delimited import opened_rows, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.parquet import batches, milliseconds, opened
from headrace_formats.report import Report
from headrace_model.errors import InvalidInput
from headrace_model.times import parse_instant

_FLOW: Final = "m3 s-1"
_TEXTS: Final = ("location_id", "variable_name", "units")
_COLUMNS: Final = (*_TEXTS, "value", "value_time")
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)", re.ASCII)
_ROWS, _ONE_TIME, _STEPS = ",,current_time,flow", "feature_id,", ",\"(0, 'q')\""
_MISSING: Final = -9999.0
_MOST_ELEMENTS: Final = 5_000_000


def is_routed(line: str) -> bool:
    """Tell whether a CSV file that begins with this line is t-route's."""
    return line.startswith((_ROWS, _ONE_TIME, _STEPS))


def routed(path: Path) -> dict[str, Series]:
    """Read flows of t-route's CSV; raises `FormatError`."""
    with opened_rows(path) as rows:
        header = [cell.strip() for cell in next(rows, [])]
        if header[:1] == ["feature_id"]:
            return _at_one_time(rows, header)
        if header[2:4] != ["current_time", "flow"]:
            raise FormatError(
                "it is flowveldepth, which tells steps and no times",
                hint="let t-route write stream_output or parquet_output too, and take that",
            )
        return _by_rows(rows, header)


def _by_rows(rows: Any, header: Sequence[str]) -> dict[str, Series]:
    held: dict[str, tuple[list[int], list[float]]] = {}
    for some in timed_rows(rows, header, 2, Report(), text=(0, 1)):
        for id_, kind, time, flow in zip(*some.texts, some.times, some.numbers[0], strict=True):
            times, flows = held.setdefault(f"{kind}-{id_}" if kind else id_, ([], []))
            times.append(time)
            flows.append(flow)
    where = "column current_time"
    return {
        id_: Series(rising(times, where), _there(np.array(flows)), _FLOW)
        for id_, (times, flows) in held.items()
    }


def _at_one_time(rows: Any, header: Sequence[str]) -> dict[str, Series]:
    stamp = _STAMP.fullmatch(header[1]) if len(header) == 2 else None
    try:
        year, month, day, hour, minute = stamp.groups() if stamp else ("",) * 5
        times = np.array([parse_instant(f"{year}-{month}-{day}T{hour}:{minute}Z")], np.int64)
    except InvalidInput:
        raise FormatError("line 1: it is feature_id and a time such as 201512010000") from None
    found: dict[str, Series] = {}
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != 2 or row[0].strip() in found or len(found) > _MOST_ELEMENTS:
            raise FormatError(f"line {line}: it must be another element and its flow")
        try:
            found[row[0].strip()] = Series(times, np.array([float(row[1])]), _FLOW)
        except ValueError:
            raise FormatError(f"line {line}: {row[1][:40]!r} is not a number") from None
    return found


class ParquetFile:
    """A row an element, time and variable; rows are looked through for the elements wanted."""

    def __init__(self, path: Path, variable: str | None, wanted: str) -> None:
        self._path = path
        self.places: Mapping[str, Place] = {}
        ids: dict[str, None] = {}
        units: dict[str, str] = {}
        with opened(path, _TEXTS) as file:
            for batch in batches(file, _TEXTS, _TEXTS):
                names, variables, said = (_numbered(batch.column(each)) for each in _TEXTS)
                for at in np.unique(names[1]):
                    ids.setdefault(names[0][at])
                for one, unit in np.unique(np.stack([variables[1], said[1]]), axis=1).T:
                    units.setdefault(variables[0][one], said[0][unit])
        if len(ids) > _MOST_ELEMENTS:
            raise FormatError(f"it has more than {_MOST_ELEMENTS:,} elements")
        self.ids: Sequence[str] = list(ids)
        self._variable = chosen(units, variable, wanted)
        self._unit = units[self._variable]

    def read(self, ids: Sequence[str]) -> dict[str, Series]:
        """Look all rows through for these elements."""
        kept: dict[str, list[Any]] = {id_: [] for id_ in ids}
        with opened(self._path, _TEXTS) as file:
            for batch in batches(file, _COLUMNS, _TEXTS):
                names, variables = (_numbered(batch.column(each)) for each in _TEXTS[:2])
                of_variable = np.isin(variables[1], _places(variables[0], {self._variable}))
                for at in _places(names[0], set(ids)):
                    rows = of_variable & (names[1] == at)
                    if rows.any():
                        times = milliseconds(batch.column("value_time"), "column value_time")
                        values = batch.column("value").to_numpy(zero_copy_only=False)
                        kept[names[0][at]].append(np.stack([times[rows], values[rows]]))
        return {id_: self._series(parts) for id_, parts in kept.items()}

    def _series(self, parts: Sequence[Any]) -> Series:
        table = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
        times = rising(table[0].astype(np.int64), "column value_time")
        return Series(times, _there(table[1]), self._unit)


def _there(values: Any) -> Any:
    return np.where(values == _MISSING, np.nan, values)


def _numbered(column: Any) -> tuple[list[str], Any]:
    """Texts, and for each row the place of its own; raises `FormatError` for gaps."""
    words = column.dictionary.to_pylist()
    if column.null_count or None in words:
        raise FormatError("a location_id, variable_name or unit is missing")
    return words, column.indices.to_numpy(zero_copy_only=False)


def _places(words: Sequence[str], wanted: set[str]) -> list[int]:
    return [at for at, word in enumerate(words) if word in wanted]
