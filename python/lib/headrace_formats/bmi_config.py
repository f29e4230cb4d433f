"""BMI_CONFIG: the init configs of BMI models in ngen, one a catchment and model.

Known by their keys: CFE, PET, Noah-OWP-Modular with its parameter tables, and ngen's test models.
`key=value[unit]` lines, or a Fortran namelist. The catchment stands in the file's name only; a
file without one is for all.
"""

import hashlib
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Final

from headrace_formats.base import Field, FileDomain, Format, Whole, open_plain
from headrace_formats.bmi_families import CFE, FAMILIES, NOAH, NOAH_TABLES, Family, Key
from headrace_formats.errors import FormatError
from headrace_formats.file_names import catchment_in
from headrace_formats.namelist import Keys, read_keys
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index

_MOST_BYTES: Final = 4 << 20
_LETTERS: Final = 40
_DATES: Final = re.compile(r"\d{12}", re.ASCII)


def _sniff(head: bytes) -> bool:
    if b"\0" in head:
        return False
    if head.startswith(tuple(mark for mark, _ in NOAH_TABLES)):
        return True
    keys = read_keys(head.decode("latin-1").splitlines(), None)
    return any(mark in keys for family in FAMILIES for mark in family.marks)


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes")
    content = hashlib.sha256(data).hexdigest()
    if any(data.startswith(mark) for mark, _ in NOAH_TABLES):
        return FileDomain((("tables", Domain()),), content=content)
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line} is not valid UTF-8") from None
    values = read_keys(lines, report)
    family = next((each for each in FAMILIES if any(mark in values for mark in each.marks)), None)
    if family is None:
        raise FormatError(
            "it has no key that tells its model",
            hint=f"known are {', '.join(each.name for each in FAMILIES)}",
        )
    _check(family, values, report)
    catchment = catchment_in(path.name)
    ids = Domain(((Index.CATCHMENT_ID, Discrete(frozenset((catchment,)))),) if catchment else ())
    return FileDomain(((family.name, ids),), content=content)


def _check(family: Family, values: Keys, report: Report) -> None:
    for name in family.needs:
        if name not in values:
            report.error(f"key {name}", f"it is missing; {family.name} needs it")
    for key in family.keys:
        if key.name in values:
            _check_number(key, values[key.name], report)
    if family is CFE:
        _check_cfe(values, report)
    if family is NOAH:
        begin, end = (values.get(f"timing.{name}", ("", "", 0)) for name in _ENDS)
        for value, _, line in (begin, end):
            if line and not _DATES.fullmatch(value):
                report.error(f"line {line}", f"{value[:60]!r} is no time such as 201512010000")
        if _DATES.fullmatch(begin[0]) and _DATES.fullmatch(end[0]) and begin[0] >= end[0]:
            report.error(f"line {end[2]}", "enddate is not after startdate")


_ENDS: Final = ("startdate", "enddate")


def _check_number(key: Key, given: tuple[str, str, int], report: Report) -> None:
    value, _, line = given
    number = _number(value)
    if number is None:
        report.error(f"line {line}, key {key.name}", f"{value[:60]!r} is not a number")
    elif not key.least <= number <= key.most:
        report.warn(
            f"line {line}, key {key.name}",
            f"{number:g} {key.unit}".rstrip()
            + f" is outside {key.least:g} to {key.most:g}: {key.about}",
        )


def _number(text: str) -> float | None:
    try:
        number = float(text.replace("d", "e").replace("D", "e"))
    except ValueError:
        return None
    return number if isfinite(number) else None


def _check_cfe(values: Keys, report: Report) -> None:
    """What CFE's keys say together."""
    porosity, wilting = (
        _number(values[f"soil_params.{name}"][0]) if f"soil_params.{name}" in values else None
        for name in ("smcmax", "wltsmc")
    )
    if porosity is not None and wilting is not None and wilting >= porosity:
        line = values["soil_params.wltsmc"][2]
        report.warn(f"line {line}, key soil_params.wltsmc", "it is not below smcmax, the porosity")
    if "giuh_ordinates" in values:
        text, _, line = values["giuh_ordinates"]
        ordinates = [_number(each) for each in text.split(",") if each.strip()]
        told = [each for each in ordinates if each is not None]
        where = f"line {line}, key giuh_ordinates"
        if len(told) < len(ordinates) or not told:
            report.error(where, "they must be numbers with commas between")
        elif not 0.99 <= sum(told) <= 1.01:
            report.warn(where, f"they come to {sum(told):.4g}, not 1: water is made or lost")


def _whole(files: Sequence[FileDomain]) -> Whole:
    """The checksum of all files, whatever their names and order."""
    contents = sorted(str(each.content) for each in files)
    checksum = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:_LETTERS]
    return Whole(((Index.GLOBAL_CHECKSUM, Discrete(frozenset((checksum,)))),))


FORMAT: Final = Format(
    name="BMI_CONFIG",
    summary="init configs of BMI models: CFE, PET, Noah-OWP-Modular with its tables, test models",
    categories=(Category.CONFIG,),
    indexes=(
        (Index.CATCHMENT_ID, "the files' names: those that every model has a file for"),
        (
            Index.GLOBAL_CHECKSUM,
            f"the first {_LETTERS} digits of the SHA-256 over the sorted SHA-256 of all files",
        ),
    ),
    sniff=_sniff,
    read=_read,
    fields=tuple(
        Field(key.name, key.unit, f"{family.name}: {key.about}")
        for family in FAMILIES
        for key in family.keys
    ),
    warns=(
        "a number lies outside what it can be physically",
        "CFE: `wltsmc` is not below `smcmax`, or `giuh_ordinates` do not come to 1",
    ),
    source="NOAA-OWP's cfe, evapotranspiration, noah-owp-modular and ngen; DMOD's name",
    whole=_whole,
)
