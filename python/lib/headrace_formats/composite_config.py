"""NGEN_JOB_COMPOSITE_CONFIG: all configs that one run of ngen needs, in one dataset.

As DMOD composes it: a realization config and init configs, with or without those of t-route and
ngen-cal. No file is of this format; a dataset is, by the formats of its files. Fabric, forcing
and partitions are datasets of their own.
"""

from pathlib import Path
from typing import Final

from headrace_formats import bmi_config, ngen_cal_config, realization_config, t_route_config
from headrace_formats.base import FileDomain, Format
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Index


def _sniff(_head: bytes) -> bool:
    return False


def _read(_path: Path, _report: Report) -> FileDomain:
    raise FormatError("no single file is of this format, only a dataset")


FORMAT: Final = Format(
    name="NGEN_JOB_COMPOSITE_CONFIG",
    summary="all configs of one run of ngen in one dataset",
    categories=(Category.CONFIG,),
    indexes=(
        (Index.TIME, "what the realization config and that of t-route have in common"),
        (Index.CATCHMENT_ID, "what the realization config and all init configs have in common"),
        (Index.GLOBAL_CHECKSUM, "of the init configs, as BMI_CONFIG"),
        (Index.FILE_NAME, "the paths of the files"),
    ),
    sniff=_sniff,
    read=_read,
    source="DMOD's format of that name",
    parts=(
        realization_config.FORMAT.name,
        bmi_config.FORMAT.name,
        t_route_config.FORMAT.name,
        ngen_cal_config.FORMAT.name,
    ),
)
