"""Reading strangers' lines `key=value[unit]` and Fortran namelists; pure."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from headrace_formats.report import Report

Keys: TypeAlias = dict[str, tuple[str, str, int]]
"""By key: the value without quotes, the unit, the line."""

_LINE: Final = re.compile(
    r"\s*(?P<key>[\w.]+(\(\d{1,4}\))?)\s*=\s*(?P<value>[^\[!]*)(\[(?P<unit>[^\]]*)\])?.*"
)
_GROUP: Final = re.compile(r"\s*&(?P<name>\w+)")


def read_keys(lines: Sequence[str], report: Report | None) -> Keys:
    """Read keys with values; a key of a namelist is `group.key`."""
    found: Keys = {}
    group = ""
    for number, line in enumerate(lines, start=1):
        begun = _GROUP.match(line)
        if begun:
            group = f"{begun['name']}."
        elif line.strip() == "/":
            group = ""
        elif line.strip() and not line.lstrip().startswith(("!", "#")):
            _take(line, group, number, found, report)
    if group and report is not None:
        report.error(f"group &{group[:-1]}", "it has no end: a line with / is missing")
    return found


def _take(line: str, group: str, number: int, found: Keys, report: Report | None) -> None:
    part = _LINE.fullmatch(line)
    if part is None:
        if report is not None:
            report.error(f"line {number}", f"{line.strip()[:60]!r} is not key=value")
        return
    key = group + part["key"]
    if key in found and report is not None:
        report.error(f"line {number}", f"the key {key[:60]} stands in line {found[key][2]} too")
    found[key] = (part["value"].strip().strip("\"'"), part["unit"] or "", number)
