"""BMI_FORCING_NETCDF: the daily or hourly forcing of one catchment, as models behind BMI read it.

Names and meaning are those of CMIP, which eWaterCycle's models (HBV among them) take; units are
those that these models compute in, and no others: HBV 1.5.2 does not look at them. One file a
catchment, since HBV takes a file for a single series. Each step and number must be there: a model
steps over a gap without a word, and carries a NaN on to its end.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace_formats.base import Field, FileDomain, Format, checked_names, series_domain
from headrace_formats.delimited import Numbers
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in
from headrace_formats.netcdf import is_netcdf, opened, sized, text_of, time_coverage
from headrace_formats.ngen_forcing import Quantity, check_range
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index

if TYPE_CHECKING:
    from netCDF4 import Dataset

NAME: Final = "BMI_FORCING_NETCDF"
ID: Final = "catchment_id"
TIME: Final = "time"


QUANTITIES: Final = (
    Quantity("pr", "mm d-1", "precipitation, snow too", 0, 2000),
    Quantity("tas", "degC", "mean air temperature at 2 m", -90, 60),
    Quantity("evspsblpot", "mm d-1", "potential evaporation", 0, 50),
)
_CONVERTED: Final = {"mm d-1": "kg m-2 s-1: times 86,400", "degC": "K: minus 273.15"}


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        missing = [each.name for each in QUANTITIES if each.name not in dataset.variables]
        if missing:
            raise FormatError(f"it lacks the variables {', '.join(missing)}")
        if TIME not in dataset.variables:
            raise FormatError("it has no coordinate variable time")
        id_ = _catchment(dataset, path, report)
        coverage = time_coverage(dataset, TIME)
        if coverage.time is not None and (coverage.warning or len(coverage.time.intervals) > 1):
            report.error(
                f"variable {TIME}",
                "steps are missing, or are not all as long: a model would step over the gap",
                "write every step, each with a number",
            )
        for quantity in QUANTITIES:
            _check(dataset, quantity, report)
        names = [each.name for each in QUANTITIES]
        return series_domain(names, {Index.CATCHMENT_ID: id_}, coverage, report)


def _catchment(dataset: "Dataset", path: Path, report: Report) -> frozenset[str]:
    id_ = text_of(dataset, ID)
    if not id_:
        raise FormatError(f"the global attribute {ID}, such as cat-27, is missing")
    named = catchment_in(path.name)
    if named is not None and named != id_:
        report.error(f"attribute {ID}", f"it is {id_[:60]}, and the file's name says {named}")
    return checked_names((id_,), f"attribute {ID}")


def _check(dataset: "Dataset", quantity: Quantity, report: Report) -> None:
    import numpy as np

    variable, where = dataset.variables[quantity.name], f"variable {quantity.name}"
    if variable.dimensions != (TIME,) or variable.dtype.kind not in "iuf":
        raise FormatError(f"{where}: it must hold numbers over {TIME} alone: a file a catchment")
    unit = text_of(variable, "units")
    if unit != quantity.unit:
        report.error(
            where,
            f"its units are {unit[:40]!r}, not {quantity.unit!r}",
            f"convert it ({_CONVERTED[quantity.unit]}): models take the numbers as they are",
        )
    values = np.ma.asarray(sized(variable, where)[:], dtype=np.float64)
    numbers = np.ma.filled(values, np.nan)
    gone = ~np.isfinite(numbers)
    if gone.any():
        report.error(
            where,
            f"{int(gone.sum()):,} numbers are missing, the first of step {int(np.argmax(gone))}",
            "fill them, or shorten the series",
        )
    there = numbers[~gone]
    if there.size:
        spans = Numbers(there.size, least=float(there.min()), most=float(there.max()))
        check_range(where, quantity, spans, report)


FORMAT: Final = Format(
    name=NAME,
    summary="a catchment's precipitation, temperature and potential evaporation, for BMI models",
    categories=(Category.FORCING,),
    indexes=(
        (Index.TIME, "the coordinate variable `time`, or its CF bounds"),
        (Index.CATCHMENT_ID, f"the global attribute `{ID}`; the file's name must agree"),
    ),
    sniff=is_netcdf,
    read=_read,
    fields=tuple(Field(each.name, each.unit, each.about) for each in QUANTITIES),
    warns=("a number lies outside what weather on Earth can be",),
    source="Headrace; what eWaterCycle's HBV (package HBV 1.5.2) reads, a file a catchment",
)
