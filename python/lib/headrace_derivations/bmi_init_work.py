"""The work of `bmi-init`: the attributes that templates name are read once, then files written."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from headrace_derivations.attributes import Attributes, read_attributes
from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_formats.base import read_head
from headrace_formats.bmi_template import FORMAT, Place, Text, read_template
from headrace_formats.geopackage import is_geopackage
from headrace_formats.report import Report

MOST_FILES: Final = 500_000
OWN: Final = "divide_id"
_ID: Final = re.compile(r"cat-\d{1,15}", re.ASCII)

Template = tuple[Text | Place, ...]


def derive(work: Work) -> None:
    """Write a file for each template and catchment; raises `DerivationFailed`."""
    catchments: list[str] = work.parameters["catchments"]
    strange = next((each for each in catchments if not _ID.fullmatch(each)), None)
    if strange is not None:
        raise DerivationFailed(f"{strange[:60]!r} is no id such as cat-27 that a file can name")
    templates = _templates(work.inputs["templates"])
    if len(templates) * len(catchments) > MOST_FILES:
        raise DerivationFailed(f"there would be more than {MOST_FILES:,} files")
    names = {place.name: f"{path}, line {place.line}" for path, place in _places(templates)}
    names.pop(OWN, None)
    files = files_below(work.inputs["hydrofabric"])
    fabrics = [path for path in files if is_geopackage(read_head(path))]
    attributes = read_attributes(fabrics, names, frozenset(catchments))
    for path, template in templates.items():
        folder = (work.output / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        for id_ in catchments:
            text = _filled(template, id_, attributes, path)
            (folder / f"{id_}_{path.name}").write_text(text, encoding="utf-8", newline="")
    work.say(f"{len(templates):,} templates for {len(catchments):,} catchments")


def _templates(folder: Path) -> dict[Path, Template]:
    found = {}
    for path in files_below(folder):
        if FORMAT.sniff(read_head(path)):
            found[path.relative_to(folder)] = read_template(path, Report())
    if not found:
        raise DerivationFailed("there is no template")
    return found


def _places(templates: Mapping[Path, Template]) -> Iterable[tuple[Path, Place]]:
    for path, template in templates.items():
        for part in template:
            if isinstance(part, Place):
                yield path, part


def _filled(template: Template, id_: str, attributes: Attributes, path: Path) -> str:
    found = []
    for part in template:
        if isinstance(part, Text):
            found.append(part.text)
        elif part.name == OWN:
            found.append(id_)
        else:
            where = f"{path}, line {part.line}"
            found.append(_written(attributes.value(id_, part.name, where), part, where))
    return "".join(found)


def _written(value: Any, place: Place, where: str) -> str:
    """A value as text: whole numbers without a point, since Fortran reads no integer with one."""
    if isinstance(value, str):
        if place.factor is not None:
            raise DerivationFailed(f"{where}: {place.name} is text, and can't be multiplied")
        if not value.isprintable():
            raise DerivationFailed(f"{where}: {place.name} holds what can't be printed")
        return value
    if not isinstance(value, int | float):
        raise DerivationFailed(f"{where}: {place.name} is neither a number nor text")
    if place.factor is not None:
        return f"{value * place.factor:.15g}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
