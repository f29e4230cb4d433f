"""NWM_OUTPUT: discharge of the National Water Model, one NetCDF file a time (CHRTOUT).

`streamflow(feature_id)`, packed, at one time; the attribute TITLE begins with OUTPUT FROM NWM or
OUTPUT FROM WRF-Hydro. The files of a dataset tell the step together. Built after the published
description of versions 2.0 to 2.2; no real file was at hand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, Whole
from headrace_formats.errors import FormatError
from headrace_formats.netcdf import ids_of, is_netcdf, opened, stamps_of, text_of, time_name
from headrace_formats.report import Report
from headrace_formats.series import one_stamp_each
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index

_TITLES: Final = ("OUTPUT FROM NWM", "OUTPUT FROM WRF-Hydro")
_IDS, _FLOW = "feature_id", "streamflow"


def _read(path: Path, report: Report) -> FileDomain:
    with opened(path) as dataset:
        if not text_of(dataset, "TITLE").startswith(_TITLES):
            raise FormatError(f"its attribute TITLE does not begin with {_TITLES[0]!r}")
        for name in (_IDS, _FLOW):
            if name not in dataset.variables:
                raise FormatError(f"the variable {name} is missing")
        flow = dataset.variables[_FLOW]
        if flow.dimensions not in ((_IDS,), ("time", _IDS)):
            report.error(f"variable {_FLOW}", f"it must run over {_IDS}")
        unit = text_of(flow, "units")
        if unit and unit.replace("^", "") not in ("m3 s-1", "m3/s"):
            report.warn(f"variable {_FLOW}", f"its unit is {unit[:40]!r}, not m3 s-1")
        time = time_name(dataset)
        if time is None:
            raise FormatError("it has no time: no coordinate variable with units '... since ...'")
        stamps = stamps_of(dataset, time)
        if len(stamps) != 1:
            raise FormatError(f"variable {time}: one time is expected, not {len(stamps)}")
        ids = Discrete(ids_of(dataset, _IDS))
    return FileDomain(((_FLOW, Domain(((Index.ELEMENT_ID, ids),))),), content=stamps[0])


def _whole(files: Sequence[FileDomain]) -> Whole:
    time, notes = one_stamp_each([each.content for each in files])
    return Whole(((Index.TIME, time),) if time else (), notes)


FORMAT: Final = Format(
    name="NWM_OUTPUT",
    summary="discharge of the National Water Model, one NetCDF file a time",
    categories=(Category.OUTPUT,),
    indexes=(
        (Index.TIME, "the times of all files: each begins a step"),
        (Index.ELEMENT_ID, "`feature_id`: the reaches"),
    ),
    sniff=is_netcdf,
    read=_read,
    fields=(Field(_FLOW, "m3 s-1", "discharge of a reach"),),
    warns=("the unit of `streamflow` is not m3 s-1",),
    source="NOAA's National Water Model 2.0 to 2.2, CHRTOUT",
    whole=_whole,
)
