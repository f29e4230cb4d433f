"""Which addresses of the public API the GUI passes on: those of its table, no others."""

import re
from typing import Final

from headrace_wire.operations.parameters import ROOT
from headrace_wire.operations.table import OPERATIONS

# These make and end tokens that no page is to see: /session does it for them.
_OWN: Final = frozenset({f"{ROOT}/login", f"{ROOT}/logout"})


def _pattern(path: str) -> str:
    parts = re.split(r"(\{\w+\})", path)
    return "".join(
        (".+" if part == "{path}" else "[^/]+") if part.startswith("{") else re.escape(part)
        for part in parts
    )


_KNOWN: Final = re.compile(
    "|".join(
        sorted(
            {
                f"{each.method} {_pattern(each.path)}"
                for each in OPERATIONS
                if each.path.startswith(f"{ROOT}/") and each.path not in _OWN
            }
        )
    )
)


def is_public(method: str, path: str) -> bool:
    """Tell whether the public API has this method at this path (decoded, without its query)."""
    if any(part in (".", "..") for part in path.split("/")):
        return False
    return _KNOWN.fullmatch(f"{method} {path}") is not None
