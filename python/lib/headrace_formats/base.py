"""What a format is: how it is recognised, what is read from a file of it, and what that means."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index, Restriction

HEAD_BYTES: Final = 8192
_NAME_LENGTH: Final = 1024  # what headrace_model.domain takes as a name


@dataclass(frozen=True, slots=True)
class FileDomain:
    """What one file covers, a domain for each of its variables.

    `unknown` holds indexes that the file runs over, but whose values it does not tell (a series
    of a single stamp): a dataset with such a file leaves them out. `content` is what the
    format's `whole` puts together over all files of a dataset.
    """

    variables: tuple[tuple[str, Domain], ...] = ()
    unknown: frozenset[Index] = frozenset()
    content: object = None


@dataclass(frozen=True, slots=True)
class Field:
    """A column, variable or key that files of a format hold; `unit` is empty where it has none."""

    name: str
    unit: str
    about: str


@dataclass(frozen=True, slots=True)
class Whole:
    """What only all files of a dataset tell together, and notes for people."""

    restrictions: tuple[tuple[Index, Restriction], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format. Third parties add one by an entry point of the group `headrace.formats`.

    `indexes` says for people where in a file each detected index comes from, `fields` what else
    it holds, `warns` which doubtful data is pointed out, `source` where the format is defined.

    `sniff(head)` gets the first `HEAD_BYTES` bytes of a file, never its name; it is cheap, never
    raises, and may say yes to a file that `read` then refuses.

    `read(path, report)` returns what a regular file covers, and tells `report` what is wrong or
    doubtful at which place. What it raises counts as "not of this format", with the text of a
    `FormatError` told to people. It may hold one file open; the modules it needs are imported
    before. It validates too: with a lenient report it goes on behind an error.

    `whole(files)` adds what only the files together tell, such as the id of a hydrofabric.

    With `parts` no file is of the format, but a dataset whose files are of the formats that are
    named there: of the first one, and of others.
    """

    name: str
    summary: str
    categories: tuple[Category, ...]
    indexes: tuple[tuple[Index, str], ...]
    sniff: Callable[[bytes], bool]
    read: Callable[[Path, Report], FileDomain]
    fields: tuple[Field, ...] = ()
    warns: tuple[str, ...] = ()
    source: str = ""
    whole: Callable[[Sequence[FileDomain]], Whole] | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """The TIME of a series; None where its stamps don't tell it. `warning` may be empty."""

    time: Continuous | None
    warning: str = ""


def series_domain(
    names: Sequence[str], ids: dict[Index, frozenset[str]], coverage: Coverage, report: Report
) -> FileDomain:
    """Give each variable in `names` the same ids and the same TIME."""
    if coverage.warning:
        report.warn("", coverage.warning)
    restrictions: dict[Index, Restriction] = {
        index: Discrete(values) for index, values in ids.items()
    }
    if coverage.time is not None:
        restrictions[Index.TIME] = coverage.time
    domain = Domain.of(restrictions)
    return FileDomain(
        tuple((name, domain) for name in names),
        frozenset() if coverage.time is not None else frozenset((Index.TIME,)),
    )


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading; a symlink is refused (OSError)."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def read_head(path: Path) -> bytes:
    """Return the first `HEAD_BYTES` bytes."""
    with open_plain(path) as file:
        return file.read(HEAD_BYTES)


def checked_names(names: Sequence[str], where: str) -> frozenset[str]:
    """Check that texts of a file can be names of an index; raises `FormatError`.

    `where` names the variable or line. None may be blank or stand twice: ids that repeat would
    hide that a file is damaged.
    """
    for place, name in enumerate(names):
        if not name or len(name) > _NAME_LENGTH or name != name.strip() or not name.isprintable():
            raise FormatError(f"{where}: id {place + 1}, {name[:60]!r}, can't be a name")
        if name == "ALL":
            raise FormatError(f"{where}: id {place + 1} is ALL, which is no name")
    found = frozenset(names)
    if len(found) < len(names):
        raise FormatError(f"{where}: {len(names) - len(found):,} ids stand there twice")
    if not found:
        raise FormatError(f"{where}: there are no ids")
    return found
