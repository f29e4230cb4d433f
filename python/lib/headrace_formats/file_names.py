"""What is taken from the name of a file: ids that stand nowhere in it, and documentation."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

_CATCHMENT: Final = re.compile(r"(?<![A-Za-z0-9])(cat-\d{1,15})(?!\d)")
_NEXUS: Final = re.compile(r"(?<![A-Za-z0-9])((?:nex|tnx|cnx|inx)-\d{1,15})(?!\d)")

_PROSE: Final = ("readme*", "license*", "changelog*", "*.md", "*.rst", "*.log", "*.png")
_DOCUMENTATION: Final = (*_PROSE, "*.txt", "*.json")


def catchment_in(name: str) -> str | None:
    """The id of a catchment in a file's name, such as `cat-27_2015-12-01.csv`."""
    found = _CATCHMENT.search(name)
    return found[1] if found else None


def nexus_in(name: str) -> str | None:
    """The id of a nexus in a file's name, such as `nex-26_output.csv`."""
    found = _NEXUS.search(name)
    return found[1] if found else None


def is_documentation(name: str) -> bool:
    """Tell whether a file is named like documentation, so that it may stand beside data."""
    return _is_named(name, _DOCUMENTATION)


def is_prose(name: str) -> bool:
    """Tell whether a file is named as no data is: what looks like data in it is chance."""
    return _is_named(name, _PROSE)


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    last = name.rpartition("/")[2].lower()
    return any(fnmatchcase(last, pattern) for pattern in patterns)
