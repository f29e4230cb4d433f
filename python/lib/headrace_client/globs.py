"""Patterns for paths: `*`, `?` and `[…]` within a folder, `**` for folders too.

A pattern that fits a folder stands for all that lies below it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from headrace_model.errors import InvalidInput

_MAGIC: Final = re.compile(r"[*?[]")
_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^]]*\]|.", re.DOTALL)


def has_magic(text: str) -> bool:
    """Tell whether a text is a pattern, not a plain path."""
    return _MAGIC.search(text) is not None


def fits(path: str, pattern: str) -> bool:
    """Tell whether an item path, or a folder that it lies in, fits a pattern."""
    return _compiled(pattern).fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Excluded:
    """What `--exclude` leaves out; raises `InvalidInput` for a pattern that could fit nothing.

    A pattern with a slash counts from the top; one without fits at any depth: `*.tmp`, `.git`.
    """

    patterns: Sequence[str] = ()

    def __post_init__(self) -> None:
        for each in self.patterns:
            if not each.strip("/") or each.startswith(("/", "./", "../")):
                raise InvalidInput(
                    f"{each!r} excludes nothing: paths are those within the dataset",
                    hint="'*.tmp' fits in every folder, 'raw/*.tmp' in the folder raw",
                )

    def __contains__(self, path: object) -> bool:
        return any(_leaves_out(str(path), each.rstrip("/")) for each in self.patterns)


NOTHING: Final = Excluded()


def _leaves_out(path: str, pattern: str) -> bool:
    return fits(path, pattern if "/" in pattern else f"**/{pattern}")


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        text = "".join(map(_part, _TOKEN.findall(pattern)))
        return re.compile(f"{text}(?:/.*)?", re.DOTALL)
    except re.error:
        raise InvalidInput(f"{pattern[:80]!r} is not a pattern: a range in [] is wrong") from None


def _part(token: str) -> str:
    match token:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    negated, inner = token[1:2] == "!", token[1:-1].removeprefix("!")
    if not inner:  # a letter, or brackets around nothing
        return re.escape(token)
    inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    return f"(?!/)[{'^' if negated else ''}{inner}]"
