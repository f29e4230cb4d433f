"""Reading strangers' NetCDF files: dimensions, attributes, ids and times.

netCDF4 is imported when the first file needs it. What a file claims about its sizes is checked
before anything is read, so that a huge dimension costs nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace_formats.base import Coverage, checked_names
from headrace_formats.cf_time import TimeUnit, parse_duration, parse_units, to_instants
from headrace_formats.errors import FormatError
from headrace_formats.series import bounded, cover
from headrace_model.times import Instant

if TYPE_CHECKING:
    import numpy as np
    from netCDF4 import Dataset, Variable

    AnyVariable = Variable[Any]
    Array = np.ndarray[Any, np.dtype[Any]]

_MAGICS: Final = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05")
_MOST_VALUES: Final = 5_000_000
_MOST_LETTERS: Final = 256  # of an id that is kept as an array of characters
_MOST_VARIABLES: Final = 10_000


def is_netcdf(head: bytes) -> bool:
    """Tell whether a file begins as NetCDF-4 (HDF5) or classic NetCDF does."""
    return head.startswith(_MAGICS)


def load() -> None:
    """Import netCDF4; raises `FormatError` where it is not installed."""
    try:
        import netCDF4  # noqa: F401 - here for its effect: later reading opens no library file
    except ImportError:
        raise FormatError(
            "reading NetCDF needs the Python package netCDF4, which is not installed here",
            hint="pip install 'headrace[netcdf]'",
        ) from None


@contextmanager
def opened(path: Path) -> Iterator["Dataset"]:
    """Open a NetCDF file for reading; raises `FormatError` when it is not one, or is damaged."""
    load()
    from netCDF4 import Dataset

    try:
        # Absolute: netCDF4 would take a name such as http://... for the address of a server.
        dataset = Dataset(str(path.absolute()), "r")
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(
            f"it can't be opened as NetCDF: {reason}", hint="is it complete?"
        ) from None
    try:
        if len(dataset.variables) > _MOST_VARIABLES:
            raise FormatError(f"it has {len(dataset.variables):,} variables: too many to read")
        yield dataset
    finally:
        dataset.close()


def text_of(holder: "Dataset | AnyVariable", name: str) -> str:
    """Return an attribute that is text, else the empty text."""
    value = holder.getncattr(name) if name in holder.ncattrs() else ""
    return value if isinstance(value, str) else ""


def time_name(dataset: "Dataset") -> str | None:
    """Return the name of the time dimension: the one coordinate variable with `... since ...`.

    Raises `FormatError` when there are two.
    """
    found = [
        name
        for name, variable in dataset.variables.items()
        if variable.dimensions == (name,) and " since " in f" {text_of(variable, 'units')} "
    ]
    if len(found) > 1:
        raise FormatError(f"it has {len(found)} times: {', '.join(found[:5])}")
    return found[0] if found else None


def time_coverage(dataset: "Dataset", name: str) -> Coverage:
    """Return what the coordinate variable of time covers; CF bounds count where they are given.

    Raises `FormatError` for units, calendars and numbers that can't be read exactly.
    """
    variable = dataset.variables[name]
    where = f"variable {name}"
    unit = _unit(variable, where)
    stamps = stamps_of(dataset, name)
    bounds_name = text_of(variable, "bounds")
    if bounds_name:
        if bounds_name not in dataset.variables:
            raise FormatError(f"{where}: its bounds, {bounds_name[:80]!r}, are not in the file")
        bounds = dataset.variables[bounds_name]
        if bounds.dimensions[:1] != (name,) or bounds.shape[1:] != (2,):
            raise FormatError(f"variable {bounds_name}: bounds must have the shape (time, 2)")
        where = f"variable {bounds_name}"
        cells = _numbers(bounds, where)
        begins = to_instants(cells[:, 0], unit, where)
        ends = to_instants(cells[:, 1], unit, where)
        return bounded(list(zip(begins, ends, strict=True)), where)
    return cover(stamps, where, parse_duration(text_of(dataset, "time_coverage_resolution")))


def stamps_of(dataset: "Dataset", name: str) -> list[Instant]:
    """Return the stamps of the coordinate variable of time; raises `FormatError`."""
    where = f"variable {name}"
    variable = dataset.variables[name]
    return to_instants(_numbers(variable, where), _unit(variable, where), where)


def _unit(variable: "AnyVariable", where: str) -> TimeUnit:
    calendar = text_of(variable, "calendar") or "standard"
    return parse_units(text_of(variable, "units"), calendar, where)


def ids_of(dataset: "Dataset", name: str) -> frozenset[str]:
    """Return the ids in a variable of whole numbers, text or characters (padding taken off).

    Raises `FormatError` for other types, and for ids that are blank or stand twice.
    """
    return checked_names(texts_of(dataset, name), f"variable {name}")


def texts_of(dataset: "Dataset", name: str) -> list[str]:
    """Return whole numbers, text or characters as texts, in order; raises `FormatError`."""
    variable = dataset.variables[name]
    where = f"variable {name}"
    sized(variable, where)
    if not _kind(variable):
        return [str(each).strip() for each in _flat(variable[...])]
    if _kind(variable) == "S":
        return _joined(variable, where)
    values = variable[...]
    if values.dtype.kind not in "iu":
        raise FormatError(
            f"{where}: ids must be whole numbers or text, not {variable.dtype}",
        )
    return [str(each) for each in _flat(_unmasked(values, where))]


def id_dimensions(variable: "AnyVariable") -> tuple[str, ...]:
    """Return the dimensions that ids run over: without the one that runs over characters."""
    dimensions: tuple[str, ...] = variable.dimensions
    return dimensions[:-1] if _kind(variable) == "S" else dimensions


def data_variables(dataset: "Dataset", wanted: frozenset[str]) -> list[str]:
    """Return the names of the variables that run over exactly the `wanted` dimensions."""
    return [
        name
        for name, variable in dataset.variables.items()
        if frozenset(variable.dimensions) == wanted
        and len(variable.dimensions) == len(wanted)
        and _kind(variable) in tuple("iuf")
    ]


def _kind(variable: "AnyVariable") -> str:
    """numpy's letter for the type of the values; nothing for text of any length."""
    kind: str = getattr(variable.dtype, "kind", "")
    return kind


def _numbers(variable: "AnyVariable", where: str) -> "Array":
    sized(variable, where)
    return _unmasked(variable[...], where)


def sized(variable: "AnyVariable", where: str) -> "AnyVariable":
    """Return a variable that is small enough to be read whole; raises `FormatError`."""
    count = 1
    for length in variable.shape:
        count *= length
    if count > _MOST_VALUES * (_MOST_LETTERS if _kind(variable) == "S" else 1):
        raise FormatError(f"{where} claims to hold {count:,} values: too many to read")
    return variable


def _unmasked(values: Any, where: str) -> "Array":
    import numpy as np

    if np.ma.is_masked(values):
        raise FormatError(f"{where}: {int(np.ma.getmaskarray(values).sum()):,} values are missing")
    return np.ma.getdata(values)


def _flat(values: Any) -> list[Any]:
    import numpy as np

    flat: list[Any] = np.atleast_1d(np.asarray(values)).ravel().tolist()
    return flat


def _joined(variable: "AnyVariable", where: str) -> list[str]:
    """Join an array of characters, shape (..., letters), to texts."""
    import numpy as np

    variable.set_auto_chartostring(False)
    variable.set_auto_mask(False)
    letters = np.atleast_2d(np.asarray(variable[...], dtype="S1"))
    if not 1 <= letters.shape[-1] <= _MOST_LETTERS or letters.ndim != 2:
        raise FormatError(f"{where}: ids of 1 to {_MOST_LETTERS} characters are expected")
    rows = [row.tobytes().rstrip(b"\0").strip() for row in letters]
    try:
        return [row.decode() for row in rows]
    except UnicodeDecodeError:
        raise FormatError(f"{where}: an id is not valid UTF-8") from None
