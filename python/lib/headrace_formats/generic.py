"""GENERIC: any files. Nothing is detected, and no other format is ever hidden by it."""

from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format
from headrace_formats.report import Report
from headrace_model.dataset import Category


def _sniff(_head: bytes) -> bool:
    return True


def _read(_path: Path, _report: Report) -> FileDomain:
    return FileDomain()


FORMAT: Final = Format(
    name="GENERIC",
    summary="any files; what every dataset is that no other format fits",
    categories=tuple(Category),
    indexes=(),
    sniff=_sniff,
    read=_read,
)
