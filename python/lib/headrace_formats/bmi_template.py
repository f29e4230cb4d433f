"""BMI_CONFIG_TEMPLATE: an init config with places for a catchment's attributes, for all of them.

Text as a BMI_CONFIG with `{{name}}` where a value goes: an attribute of the hydrofabric, or
`{{divide_id}}`. `{{name * 0.001}}` is the value times a number, so that a unit can be converted.
The derivation `bmi-init` fills it in, one file a catchment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, open_plain
from headrace_formats.bmi_families import FAMILIES, Family
from headrace_formats.errors import FormatError
from headrace_formats.namelist import read_keys
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Domain

_MOST_BYTES: Final = 4 << 20
_PLACE: Final = re.compile(r"\{\{\s*([^{}*\s][^{}*]*?)\s*(?:\*\s*([0-9.eE+-]+)\s*)?\}\}")
_BRACES: Final = re.compile(r"\{\{|\}\}")


@dataclass(frozen=True, slots=True)
class Text:
    """Text that stands in a template as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of an attribute goes, times `factor` if there is one."""

    name: str
    factor: float | None
    line: int


def read_template(path: Path, report: Report) -> tuple[Text | Place, ...]:
    """Read a template as its texts and places, in order; raises `FormatError`."""
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line} is not valid UTF-8") from None
    return tuple(_parts(text, report))


def _parts(text: str, report: Report) -> Iterator[Text | Place]:
    line, at = 1, 0
    for found in _PLACE.finditer(text):
        yield _plain(text[at : found.start()], line, report)
        line += text.count("\n", at, found.start())
        yield Place(found[1], _factor(found[2], line, report), line)
        line += text.count("\n", found.start(), found.end())
        at = found.end()
    yield _plain(text[at:], line, report)


def _plain(text: str, line: int, report: Report) -> Text:
    stray = _BRACES.search(text)
    if stray is not None:
        line += text.count("\n", 0, stray.start())
        report.error(f"line {line}", f"{stray[0]} is no part of {{{{name}}}} or {{{{name * 2}}}}")
    return Text(text)


def _factor(text: str | None, line: int, report: Report) -> float | None:
    if text is None:
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not isfinite(factor):
        report.error(f"line {line}", f"{text[:60]!r} is not a number to multiply by")
    return factor


def _sniff(head: bytes) -> bool:
    return b"{{" in head and b"\0" not in head and _family(head.decode("latin-1")) is not None


def _family(text: str) -> Family | None:
    keys = read_keys(text.splitlines(), None)
    return next((each for each in FAMILIES if any(mark in keys for mark in each.marks)), None)


def _read(path: Path, report: Report) -> FileDomain:
    parts = read_template(path, report)
    family = _family("".join(each.text if isinstance(each, Text) else "0" for each in parts))
    if family is None:
        raise FormatError(
            "it has no key that tells its model",
            hint=f"known are {', '.join(each.name for each in FAMILIES)}",
        )
    if not any(isinstance(each, Place) for each in parts):
        raise FormatError("it has no {{name}}: it is no template")
    return FileDomain(((family.name, Domain()),))


FORMAT: Final = Format(
    name="BMI_CONFIG_TEMPLATE",
    summary="an init config with places for a catchment's attributes",
    categories=(Category.CONFIG,),
    indexes=(),
    sniff=_sniff,
    read=_read,
    fields=(
        Field("{{divide_id}}", "", "the catchment"),
        Field("{{name}}", "as the hydrofabric's", "an attribute; `{{table.name}}` of one table"),
        Field("{{name * 0.001}}", "as you convert it", "an attribute times a number"),
    ),
    source="Headrace",
)
