"""docs/formats.md: the built-in formats, for people."""

from typing import Final

from headrace_formats.base import Format
from headrace_formats.fabric import MOST_COUNTED
from headrace_formats.registry import BUILT_IN, GENERIC

_PAGE: Final = """\
# Formats

Written by `scripts/gen-docs.py` from the registry; a test compares. A format tells what the files
of a dataset are and which indexes of its domain are read from them. The others are declared.

{index}

`headrace dataset domain detect PATH` tells what files are and cover,
`headrace dataset domain validate PATH` all that is wrong or doubtful in them, by line, variable,
feature or key. What is doubtful (right by the format, and against physics) stands in the notes of
`detect` and of the seal too; it refuses nothing.

Formats are tried in this order. A dataset has the format that all its files share. Files named
like documentation (README*, LICENSE*, CHANGELOG*, *.txt, *.md, *.rst, *.json, *.png) that no
format recognises are left out; a *.txt or *.json that looks like data and is damaged is not.
Files of different formats make it GENERIC, with a note, unless they are the parts of a composite
format. Symlinks are not followed.

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

## The id of a hydrofabric

HYDROFABRIC_ID is counted from what a fabric is: ids, connections, areas and places of its
catchments and nexuses. As GeoJSON or GeoPackage, in one file or several, in any order, the same
fabric has the same id; any real change gives another one
([0029](decisions/0029-hydrofabric-id.md)). A GeoPackage with more than {most_counted:,} catchments
has none, with a note: it would take too long to count. A name that people gave it is
HYDROFABRIC_DATA_ID.

## What is not read

Parquet of others than t-route and ngen-cal is GENERIC: say what it covers with `--domain`. Without
`headrace[parquet]` all Parquet is, with a note that says so. Logs (`*.log`) may stand beside data.
NGEN_CAL_OUTPUT is written from the source of ngen-cal: the output of a real run was not at hand.

## A format of your own

Make a `headrace_formats.base.Format` and name it in an entry point of the group
`headrace.formats`. It is tried after the formats above and before GENERIC.
[examples/format](../examples/format/README.md) is one, line by line.
"""


def describe_page() -> str:
    """Return docs/formats.md."""
    formats = (*BUILT_IN, GENERIC)
    rows = [f"| [{each.name}](#{each.name.lower()}) | {_indexes(each)} |" for each in formats]
    index = "\n".join(["| format | indexes that are read |", "|---|---|", *rows])
    return _PAGE.format(
        most_counted=MOST_COUNTED,
        index=index,
        formats="\n".join(_section(each) for each in formats),
    )


def _indexes(of: Format) -> str:
    return ", ".join(dict.fromkeys(index for index, _ in of.indexes))


def _section(of: Format) -> str:
    lines = [f"## {of.name}", "", f"{of.summary[0].upper()}{of.summary[1:]}."]
    if len(of.categories) <= 3:
        lines.append(f"Usual categories: {', '.join(of.categories)}.")
    if of.source:
        lines.append(f"Defined by: {of.source}.")
    if of.indexes:
        lines += ["", "| index | where it comes from |", "|---|---|"]
        lines += [f"| {index} | {source} |" for index, source in of.indexes]
    if of.parts:
        lines += [
            "",
            f"Its files are of the formats {', '.join(of.parts)}, the first at least once.",
        ]
    if of.fields:
        lines += ["", "| field | unit | what it is |", "|---|---|---|"]
        lines += [f"| `{each.name}` | {each.unit} | {each.about} |" for each in of.fields]
    if of.warns:
        lines += ["", "It is pointed out when", "", *(f"* {each};" for each in of.warns)]
        lines[-1] = lines[-1].removesuffix(";") + "."
    return "\n".join(lines) + "\n"
