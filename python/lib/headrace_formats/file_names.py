"""Ids that stand in the name of a file and nowhere in it."""

import re
from typing import Final

_CATCHMENT: Final = re.compile(r"(?<![A-Za-z0-9])(cat-\d{1,15})(?!\d)")
_NEXUS: Final = re.compile(r"(?<![A-Za-z0-9])((?:nex|tnx|cnx|inx)-\d{1,15})(?!\d)")


def catchment_in(name: str) -> str | None:
    """The id of a catchment in a file's name, such as `cat-27_2015-12-01.csv`."""
    found = _CATCHMENT.search(name)
    return found[1] if found else None


def nexus_in(name: str) -> str | None:
    """The id of a nexus in a file's name, such as `nex-26_output.csv`."""
    found = _NEXUS.search(name)
    return found[1] if found else None
