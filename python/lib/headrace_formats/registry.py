"""The formats that this Headrace knows, in the order in which they are tried.

Formats of third parties (entry points of the group `headrace.formats`, each a `base.Format`)
come after the built-in ones and before GENERIC, by name: installing one never changes what a
file was before. `python -m headrace_formats.registry` writes docs/formats.md.
"""

import sys
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from headrace_formats import (
    empty,
    generic,
    observation_netcdf,
    pip_lock,
    prms_netcdf,
    timeseries_csv,
    timeseries_netcdf,
)
from headrace_formats.base import Format
from headrace_formats.errors import FormatError
from headrace_model.domain import check_format
from headrace_model.errors import InvalidDomain
from headrace_model.nearest import did_you_mean

GROUP: Final = "headrace.formats"
EMPTY: Final = empty.FORMAT
GENERIC: Final = generic.FORMAT
_BUILT_IN: Final = (
    EMPTY,
    observation_netcdf.FORMAT,
    prms_netcdf.FORMAT,
    timeseries_netcdf.FORMAT,
    timeseries_csv.FORMAT,
    pip_lock.FORMAT,
)


@cache
def all_formats() -> tuple[Format, ...]:
    """Return every format, in order, GENERIC last.

    Raises `FormatError` for a plug-in that can't be used: leaving it out in silence would make
    its files GENERIC.
    """
    found = list(_BUILT_IN)
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            plugin = point.load()
        except Exception as error:  # a stranger's module may raise anything
            raise FormatError(
                f"the format plug-in {point.value} can't be loaded: {error!r}",
                hint="repair or uninstall it",
            ) from error
        found.append(_checked(plugin, point.value, {each.name for each in (*found, GENERIC)}))
    return (*found, GENERIC)


def _checked(plugin: object, value: str, taken: set[str]) -> Format:
    if not isinstance(plugin, Format):
        raise FormatError(f"the format plug-in {value} is not a headrace_formats.base.Format")
    try:
        check_format(plugin.name)
    except InvalidDomain as error:
        raise FormatError(f"the format plug-in {value}: {error.message}") from None
    if plugin.name in taken:
        raise FormatError(f"the format plug-in {value}: there is a format {plugin.name} already")
    return plugin


def format_named(name: str) -> Format:
    """Find a format; raises `FormatError` for an unknown one, naming the nearest."""
    by_name = {each.name: each for each in all_formats()}
    if name not in by_name:
        raise FormatError(f"{name[:80]!r} is not a known format; {did_you_mean(name, by_name)}")
    return by_name[name]


_PAGE: Final = """\
# Formats

Written by `python -m headrace_formats.registry`; a test compares. A format tells what the files
of a dataset are and which indexes of its domain are read from them. The others are declared.

Formats are tried in this order. A dataset has the format that all its files share. Files named
like documentation (README*, LICENSE*, CHANGELOG*, *.txt, *.md, *.rst, *.json, *.png) that no
format recognises are left out. Files of different formats make it GENERIC, with a note. Symlinks
are not followed.

{formats}
## TIME of a series

A stamp is the begin of its step: TIME is [first stamp, last stamp + step).

* CF bounds count before stamps, where the file has them.
* Steps of equal calendar months or years are regular: they end on the calendar.
* In an irregular series the step is the lower median of the differences. Each stamp covers one
  step, or less where the next stamp comes earlier; what no stamp covers is a gap. A series with
  more than 1,000 gaps has no TIME.
* A single stamp needs CF bounds, or (NetCDF) the global attribute `time_coverage_resolution`
  (ISO 8601: `P1D`, `PT15M`). Otherwise TIME is not detected.
* Stamps must rise. Instants are exact to the millisecond; calendars other than standard,
  gregorian and proleptic_gregorian are refused, and so are standard ones before 1582-10-15.
* Fractions in float32 are taken only when one regular series explains each stored bit.

## Several files

* Files with the same variable are pieces of it and unite, in TIME or in ids, if one domain can
  say the union exactly. If none can, one index is united and of the others the common part is
  taken.
* Pieces without ids unite if their TIMEs lie apart; otherwise the common TIME is taken.
* Different variables must all cover what the domain says: it is their intersection, index by
  index. An index that a variable does not run over doesn't bind it.
* If nothing is common, or one file hides an index (a single stamp), that is not detected.

## A format of your own

Make a `headrace_formats.base.Format` and name it in an entry point of the group
`headrace.formats`. It is tried after the formats above and before GENERIC.
"""


def describe_page() -> str:
    """Return docs/formats.md: the built-in formats, for people."""
    parts = []
    for each in (*_BUILT_IN, GENERIC):
        lines = [f"## {each.name}", "", f"{each.summary[0].upper()}{each.summary[1:]}."]
        if len(each.categories) <= 3:
            lines.append(f"Usual categories: {', '.join(each.categories)}.")
        lines += ["", *(f"* {index}: {source}." for index, source in each.indexes)]
        parts.append("\n".join(lines).rstrip() + "\n")
    return _PAGE.format(formats="\n".join(parts))


if __name__ == "__main__":
    sys.stdout.write(describe_page())
