"""The files of a result: scores.json, scores.csv, scores.nc, series.csv."""

import csv
import json
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from headrace_evaluation.core.aligning import Aligned
from headrace_evaluation.core.result import Result, to_plain, unit_of

_MOST_BYTES: Final = 256 << 20  # of series.csv


class SeriesFile:
    """series.csv: the pairs that were compared, a line a location, run and step.

    The lines of a location and run stand together, and `keep` tells which bytes they are, so that
    who shows one reads no more. What comes when the file would be too large is not kept.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._end = self._file.write(b"location,run,time,observed,simulated\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def keep(self, location: str, run: str, found: Aligned) -> tuple[int, int] | None:
        """Write pairs; returns [begin, end) in bytes, None where they have no room."""
        text = StringIO(newline="")
        times = np.datetime_as_string(found.times.astype("datetime64[ms]"), unit="s")
        csv.writer(text, lineterminator="\n").writerows(
            [location, run, f"{time}Z", f"{observed:.7g}", f"{simulated:.7g}"]
            for time, observed, simulated in zip(
                times, found.observed, found.simulated, strict=True
            )
        )
        lines = text.getvalue().encode()
        begin = self._end
        if begin + len(lines) > _MOST_BYTES:
            return None
        self._end += self._file.write(lines)
        return begin, self._end


def write_json(path: Path, result: Result) -> None:
    """Write all of it; numbers in full."""
    text = json.dumps(to_plain(result), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, result: Result) -> None:
    """Write a line a run and location; six decimals, an empty cell where there is no value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "location", "name", "n", *result.metrics])
        for run in result.runs:
            for each in result.scored:
                of = each.runs[run]
                values = [of.scores.get(name) for name in result.metrics]
                cells = [f"{v.value:.6f}" if v is not None and v.is_there else "" for v in values]
                writer.writerow([run, each.id, each.name, of.n, *cells])


def write_netcdf(path: Path, result: Result) -> None:
    """Write metrics over run and location, by the CF conventions; NaN where there is no value."""
    from netCDF4 import Dataset

    scored = result.scored
    with Dataset(path, "w") as file:
        file.setncatts({"Conventions": "CF-1.8", "title": "scores of an evaluation"})
        file.createDimension("run", len(result.runs))
        file.createDimension("location", len(scored))
        names = file.createVariable("run", str, ("run",))
        names.long_name = "simulation"
        names[:] = np.array(result.runs, dtype=object)
        ids = file.createVariable("location", str, ("location",))
        ids.long_name = "location"
        ids[:] = np.array([each.id for each in scored], dtype=object)
        for name, unit in (("lon", "degrees_east"), ("lat", "degrees_north")):
            degrees = file.createVariable(name, "f8", ("location",), fill_value=np.nan)
            long = "longitude" if name == "lon" else "latitude"
            degrees.setncatts({"units": unit, "standard_name": long})
            told = [getattr(each, name) for each in scored]
            degrees[:] = [np.nan if value is None else value for value in told]
        count = file.createVariable("n", "i4", ("run", "location"))
        count.setncatts({"long_name": "pairs of values", "units": "1", "coordinates": "lon lat"})
        count[:] = [[each.runs[run].n for each in scored] for run in result.runs]
        for metric, about in result.metrics.items():
            variable = file.createVariable(
                metric.replace("@", "_at_"), "f8", ("run", "location"), fill_value=np.nan
            )
            unit = unit_of(about, result.unit) or "1"
            variable.setncatts({"long_name": about.title, "units": unit, "coordinates": "lon lat"})
            values = [
                [each.runs[run].scores.get(metric) for each in scored] for run in result.runs
            ]
            variable[:] = [[np.nan if v is None else v.value for v in row] for row in values]
