"""STAGE_LOG: water levels as a small logger writes them; a format of a third party.

    # stage-log 01472000
    2015-12-01T00:00Z 1.52
    2015-12-01T01:00Z 1.55

The first line names the gauge; each other one is a time and a level in metres.
"""

from pathlib import Path

from headrace_formats.base import (
    Field,
    FileDomain,
    Format,
    checked_names,
    open_plain,
    series_domain,
)
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_formats.series import cover
from headrace_model.dataset import Category
from headrace_model.domain import Index
from headrace_model.errors import InvalidInput
from headrace_model.times import parse_instant

HEAD = b"# stage-log "
MOST_BYTES = 64 << 20  # a reader says what it takes at most
HIGHEST_M = 100.0


def sniff(head: bytes) -> bool:
    """Look at the first bytes of a file: never at its name."""
    return head.startswith(HEAD)


def read(path: Path, report: Report) -> FileDomain:
    """Return what the file covers; say what is wrong in which line."""
    with open_plain(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise FormatError(f"it is larger than {MOST_BYTES:,} bytes")
    first, *lines = data.decode(errors="replace").splitlines() or [""]
    gauges = checked_names([first.removeprefix(HEAD.decode()).strip()], "line 1")
    stamps = []
    for number, line in enumerate(lines, start=2):
        time, _, level = line.partition(" ")
        try:
            stamps.append(parse_instant(time))
            metres = float(level)
        except InvalidInput as error:
            report.error(f"line {number}", error.message)
        except ValueError:
            report.error(f"line {number}", f"{level[:60]!r} is not a level")
        else:
            if not 0 <= metres <= HIGHEST_M:
                report.warn(f"line {number}", f"a level of {metres:g} m is no water level")
    return series_domain(["stage"], {Index.GAUGE_ID: gauges}, cover(stamps, "the times"), report)


FORMAT = Format(
    name="STAGE_LOG",
    summary="water levels of one gauge, as a small logger writes them",
    categories=(Category.OBSERVATION,),
    indexes=((Index.TIME, "the times"), (Index.GAUGE_ID, "the first line")),
    sniff=sniff,
    read=read,
    fields=(Field("stage", "m", "water level above the gauge's zero"),),
    warns=(f"a level is below 0 or above {HIGHEST_M:g} m",),
    source="this file",
)
