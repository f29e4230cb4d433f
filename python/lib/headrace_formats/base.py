"""What a format is: a name, how it is recognised, and how the domain of one file is read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from headrace_formats.errors import FormatError
from headrace_model.dataset import Category
from headrace_model.domain import Continuous, Discrete, Domain, Index, Restriction

HEAD_BYTES: Final = 8192
_NAME_LENGTH: Final = 1024  # what headrace_model.domain takes as a name


@dataclass(frozen=True, slots=True)
class FileDomain:
    """What one file covers, a domain for each of its variables.

    `unknown` holds indexes that the file runs over, but whose values it does not tell (a series
    of a single stamp): a dataset with such a file leaves them out.
    """

    variables: tuple[tuple[str, Domain], ...] = ()
    unknown: frozenset[Index] = frozenset()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format. Third parties add one by an entry point of the group `headrace.formats`.

    `indexes` says for people where each detected index comes from. `sniff(head, path)` gets the
    first `HEAD_BYTES` bytes; it is cheap, never raises, and may say yes to a file that `read`
    then refuses. `read(path)` returns what a regular file covers; anything that it raises
    counts as "not of this format", with the text of a `FormatError` told to people.
    It may hold one file open; the modules it needs are imported before.
    """

    name: str
    summary: str
    categories: tuple[Category, ...]
    indexes: tuple[tuple[Index, str], ...]
    sniff: Callable[[bytes, Path], bool]
    read: Callable[[Path], FileDomain]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The TIME of a series; None where its stamps don't tell it. `warning` may be empty."""

    time: Continuous | None
    warning: str = ""


def series_domain(
    names: list[str], ids: dict[Index, frozenset[str]], coverage: Coverage
) -> FileDomain:
    """Give each variable in `names` the same ids and the same TIME."""
    restrictions: dict[Index, Restriction] = {
        index: Discrete(values) for index, values in ids.items()
    }
    if coverage.time is not None:
        restrictions[Index.TIME] = coverage.time
    domain = Domain.of(restrictions)
    return FileDomain(
        tuple((name, domain) for name in names),
        frozenset() if coverage.time is not None else frozenset((Index.TIME,)),
        (coverage.warning,) if coverage.warning else (),
    )


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading; a symlink is refused (OSError)."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def read_head(path: Path) -> bytes:
    """Return the first `HEAD_BYTES` bytes."""
    with open_plain(path) as file:
        return file.read(HEAD_BYTES)


def checked_names(names: list[str], where: str) -> frozenset[str]:
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
