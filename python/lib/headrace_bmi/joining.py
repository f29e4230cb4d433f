"""One file of a catchment's forcing, of several that hold pieces of its time.

A union of datasets brings them so: the years of two datasets, a file of a catchment in each.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace_bmi.clock import EPOCH, read_units
from headrace_bmi.errors import BmiFailed
from headrace_bmi.forcing import Stored, copy_of, times_of

if TYPE_CHECKING:
    from netCDF4 import Dataset


def one_file(catchment: str, paths: Sequence[Path], scratch: Path) -> Path:
    """The file with all times of `paths`, which is made in `scratch` where there are several.

    Raises `BmiFailed` where they are of several kinds, tell different things, or differ in a time
    that two of them have.
    """
    if len(paths) == 1:
        return paths[0]
    target = scratch.absolute() / f"joined-{catchment}{paths[0].suffix}"
    names = " and ".join(each.name for each in paths[:2])
    where = f"catchment {catchment}: its forcing, {len(paths)} files ({names}),"
    if len({each.suffix for each in paths}) > 1:
        raise BmiFailed(f"{where} is CSV and NetCDF: leave one of them out")
    try:
        (_join_netcdf if target.suffix == ".nc" else _join_csv)(paths, target, where)
    except (OSError, RuntimeError) as error:
        raise BmiFailed(f"{where} can't be read: {error}") from None
    return target


def _join_csv(paths: Sequence[Path], target: Path, where: str) -> None:
    """ngen's forcing: a header, and lines that begin with a time whose order is that of texts."""
    header, rows = "", dict[str, str]()
    for path in paths:
        first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        if (header := header or first) != first:
            raise BmiFailed(f"{where} does not have the same columns in all")
        for line in lines:
            time = line.partition(",")[0]
            if rows.setdefault(time, line) != line:
                raise _differ(where, time)
    target.write_text("".join(f"{each}\n" for each in (header, *map(rows.get, sorted(rows)))))


def _join_netcdf(paths: Sequence[Path], target: Path, where: str) -> None:
    from netCDF4 import Dataset

    with ExitStack() as stack:
        parts = [stack.enter_context(Dataset(str(each.absolute()), "r")) for each in paths]
        parts.sort(key=lambda each: int(times_of(each, where)[0]))
        seconds = np.concatenate([times_of(each, where) for each in parts])
        times, places = np.unique(seconds, return_index=True)
        again = np.searchsorted(times, seconds)
        values: dict[str, Stored] = {}
        for name, variable in parts[0].variables.items():
            if name == "time" or "time" not in variable.dimensions:
                continue
            axis = variable.dimensions.index("time")
            raw = np.concatenate([_raw(each, parts[0], name, where) for each in parts], axis)
            values[name] = np.take(raw, places, axis)
            kept = np.take(values[name], again, axis)
            alike = (kept == raw) | ((kept != kept) & (raw != raw))  # NaN is like NaN
            alike = np.moveaxis(alike, axis, 0).reshape(len(seconds), -1).all(axis=1)
            if not alike.all():
                raise _differ(where, str(np.datetime64(int(seconds[np.argmin(alike)]), "s")))
        unit_s, reference = read_units(str(parts[0].variables["time"].units)) or (1, None)
        since_s = int(((reference or EPOCH) - EPOCH).total_seconds())
        values["time"] = (times - since_s) / unit_s
        with Dataset(str(target), "w", format=parts[0].data_model) as made:
            copy_of(parts[0], made, len(times), values)


def _raw(part: "Dataset", first: "Dataset", name: str, where: str) -> Stored:
    """A variable as it is stored, which must mean the same as that of the first file."""
    ours, theirs = first.variables[name], part.variables.get(name)
    if theirs is None or (theirs.dimensions, theirs.dtype, _attributes(theirs)) != (
        ours.dimensions, ours.dtype, _attributes(ours),
    ):  # fmt: skip
        raise BmiFailed(
            f"{where} has {name} in another form, unit or scale in one than in the other: write "
            "them alike"
        )
    theirs.set_auto_maskandscale(False)
    return np.asarray(theirs[...])


def _attributes(variable: Any) -> dict[str, str]:
    return {name: str(variable.getncattr(name)) for name in variable.ncattrs()}


def _differ(where: str, time: str) -> BmiFailed:
    return BmiFailed(
        f"{where} tells two things of {time}; name the dataset that is right: "
        "settings.forcing_data_id"
    )
