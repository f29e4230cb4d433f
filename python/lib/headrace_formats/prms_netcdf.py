"""PRMS_NETCDF: the forcing and the parameters of the Precipitation-Runoff Modeling System.

As pywatershed writes and reads them. Forcing: one variable a file, (time, nhm_id), with the
coordinate variable nhm_id. Parameters: no time; dimensions nhru, nsegment, npoigages with the
ids nhm_id(nhru), nhm_seg(nsegment), poi_gage_id(npoigages). Segments are no index of their own.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace_formats.base import FileDomain, Format, series_domain
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import (
    data_variables,
    ids_of,
    is_netcdf,
    opened,
    time_coverage,
    time_name,
)
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index

if TYPE_CHECKING:
    from netCDF4 import Dataset

_HRU_IDS: Final = "nhm_id"
# dimension of parameters → (variable with its ids, index)
_PARAMETER_IDS: Final = {
    "nhru": (_HRU_IDS, Index.CATCHMENT_ID),
    "npoigages": ("poi_gage_id", Index.GAUGE_ID),
}

_DIMENSIONS: Final = (*_PARAMETER_IDS, "nsegment")


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        time = time_name(dataset)
        if time is not None and _HRU_IDS in dataset.dimensions:
            return _forcing(dataset, time, report)
        if time is None and any(each in dataset.dimensions for each in _DIMENSIONS):
            return _parameters(dataset, report)
    raise FormatError(
        "it has neither the dimensions time and nhm_id of PRMS forcing, nor, without a time, "
        "nhru, nsegment or npoigages of PRMS parameters"
    )


def _forcing(dataset: "Dataset", time: str, report: Report) -> FileDomain:
    names = data_variables(dataset, frozenset((time, _HRU_IDS)))
    if not names:
        raise FormatError(f"no variable runs over {time} and {_HRU_IDS}")
    if _HRU_IDS not in dataset.variables:
        raise FormatError(f"the variable {_HRU_IDS} with the ids is missing")
    ids = {Index.CATCHMENT_ID: ids_of(dataset, _HRU_IDS)}
    return series_domain(names, ids, time_coverage(dataset, time), report)


def _parameters(dataset: "Dataset", report: Report) -> FileDomain:
    ids: dict[str, tuple[Index, Discrete]] = {}
    unknown = set()
    for dimension, (variable, index) in _PARAMETER_IDS.items():
        if dimension in dataset.dimensions:
            if variable in dataset.variables:
                ids[dimension] = (index, Discrete(ids_of(dataset, variable)))
            else:
                unknown.add(index)
                report.warn(
                    f"dimension {dimension}",
                    f"{index} is not detected: its ids, {variable}, are not in the file",
                )
    domains = {dimension: Domain((pair,)) for dimension, pair in ids.items()}
    return FileDomain(
        tuple(
            (name, domains[dimension])
            for name, variable in dataset.variables.items()
            for dimension in variable.dimensions
            if dimension in domains
        ),
        frozenset(unknown),
    )


FORMAT: Final = Format(
    name="PRMS_NETCDF",
    summary="forcing (time, nhm_id) or parameters (nhru, nsegment, npoigages) of PRMS",
    categories=(Category.FORCING, Category.CONFIG),
    indexes=(
        (Index.TIME, "forcing: the stamps of the time dimension, or their CF bounds"),
        (Index.CATCHMENT_ID, "the variable nhm_id: the ids of the hydrologic response units"),
        (Index.GAUGE_ID, "parameters: the variable poi_gage_id, where there is one"),
    ),
    sniff=is_netcdf,
    read=_read,
    source="pywatershed, which reads and writes it",
)
