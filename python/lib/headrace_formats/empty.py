"""EMPTY: a dataset without items. No file is of this format."""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.dataset import Category


def _sniff(_head: bytes) -> bool:
    return False


def _read(_path: Path, _report: Report) -> FileDomain:
    raise FormatError("a dataset of the format EMPTY holds no file")


FORMAT: Final = Format(
    name="EMPTY",
    summary="no items at all",
    categories=tuple(Category),
    indexes=(),
    sniff=_sniff,
    read=_read,
)
