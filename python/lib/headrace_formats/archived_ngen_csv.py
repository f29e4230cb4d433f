"""ARCHIVED_NGEN_CSV_OUTPUT: ngen's output as CSV, all of it in one archive.

A tar, alone or compressed by gzip, bzip2 or xz, or a zip; also a single compressed file. Members
are read as NGEN_CSV_OUTPUT is, one after another, and never unpacked to disk; documentation among
them is left out.
"""

from pathlib import Path
from typing import Final

from headrace_formats.archives import is_archive, members
from headrace_formats.base import FileDomain, Format
from headrace_formats.delimited import Readable
from headrace_formats.errors import FormatError
from headrace_formats.file_names import is_documentation
from headrace_formats.ngen_csv import FIELDS, INDEXES, WARNS, read_output
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index

_MOST_BESIDE_BYTES: Final = 16 << 20  # of documentation: other archives are not read to the end
_PIECE_BYTES: Final = 1 << 16


def _read(path: Path, report: Report) -> FileDomain:
    variables: list[tuple[str, Domain]] = []
    unknown: frozenset[Index] = frozenset()
    beside = _MOST_BESIDE_BYTES
    for name, file in members(path, report):
        last = name.rpartition("/")[2]
        where = f"member {name}"
        if is_documentation(last):
            beside -= _length(file, beside)
            if beside < 0:
                raise FormatError(f"{where}: there is more beside the output than documentation")
            continue
        try:
            found = read_output(file, last, report.within(where))
        except FormatError as error:
            if not report.lenient:
                raise FormatError(_placed(where, error.message), hint=error.hint) from None
            report.error("", _placed(where, error.message), error.hint)
            continue
        variables += found.variables
        unknown |= found.unknown
    if not variables and not unknown:
        raise FormatError("it holds no output of ngen")
    return FileDomain(tuple(variables), unknown)


def _length(file: Readable, most: int) -> int:
    """The length of a member, or a little more than `most` where it is longer."""
    length = 0
    while length <= most and (piece := file.read(_PIECE_BYTES)):
        length += len(piece)
    return length


def _placed(where: str, message: str) -> str:
    return message if message.startswith(where) else f"{where}: {message}"


FORMAT: Final = Format(
    name="ARCHIVED_NGEN_CSV_OUTPUT",
    summary="ngen's output as CSV in a tar (also gzip, bzip2, xz), a zip, or one compressed file",
    categories=(Category.OUTPUT, Category.FORCING),
    indexes=tuple((index, f"of the members: {source}") for index, source in INDEXES),
    sniff=is_archive,
    read=_read,
    fields=FIELDS,
    warns=WARNS,
    source="NOAA-OWP/ngen; DMOD's format of that name",
)
