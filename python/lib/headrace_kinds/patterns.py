"""Progress patterns of users: a part of regular expressions that never searches for long.

One worker's pattern must not stop the agent that reads for all. So a repeat stands behind one
character (or class) only, takes all it can and gives nothing back, and is refused where it could
take what comes after it. Matching a line costs its length times that of the pattern, at the most.
"""

import re
from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput

MOST_PATTERN: Final = 200
GROUPS: Final = frozenset({"percent", "fraction", "step", "of", "time"})
_TOKEN: Final = re.compile(
    r"(?P<open>\(\?P<(?P<name>[A-Za-z_]+)>)|(?P<close>\))|(?P<edge>[\^$])"
    r"|(?P<atom>\\[dwsDWS]|\\[^\w\s]|\[\^?[^\]\[\\]*(?:\\.[^\]\[\\]*)*\]|[^\\()\[\]{}*+?|^$])"
    r"(?P<quant>[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})?"
)
_HINT: Final = (
    "write for example 'step (?P<step>\\d+)/(?P<of>\\d+)': characters, classes ([0-9.], \\d, .), "
    "repeats of one of these (+, *, ?, {2,5}), and the groups percent, fraction, step, of, time"
)


@dataclass(frozen=True, slots=True)
class _Item:
    atom: str
    quant: str
    place: int

    @property
    def varies(self) -> bool:
        return self.quant in ("*", "+", "?") or "," in self.quant

    @property
    def may_be_absent(self) -> bool:
        return self.quant in ("*", "?") or self.quant.startswith("{0")


def compile_pattern(text: str) -> re.Pattern[str]:
    """Make a user's pattern one that may be searched for; raises `InvalidInput`."""
    if not text or len(text) > MOST_PATTERN:
        raise InvalidInput(f"a pattern has 1 to {MOST_PATTERN} characters", hint=_HINT)
    written, items = _read(text)
    for place, item in enumerate(items):
        if item.varies and (other := _taken(item, items[place + 1 :], text)):
            raise InvalidInput(
                f"{item.atom}{item.quant} at character {item.place + 1} could take what is for "
                f"{other.atom} after it; name what it may take, as in [^,]* before a comma",
                hint=_HINT,
            )
    try:
        made = re.compile(written, re.ASCII)
    except re.error as error:
        raise InvalidInput(f"this is no pattern: {error}", hint=_HINT) from None
    _check_groups(frozenset(made.groupindex))
    return made


def check_pattern(text: str) -> str:
    """Give a user's pattern as it is; raises `InvalidInput`."""
    compile_pattern(text)
    return text


def _read(text: str) -> tuple[str, list[_Item]]:
    """The pattern for `re`, with repeats that give nothing back, and its items in order."""
    at, inside, written = 0, False, ""
    items: list[_Item] = []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found or (found["open"] and inside) or (found["close"] and not inside):
            raise InvalidInput(
                f"{text[at : at + 10]!r} at character {at + 1} can't stand in a pattern",
                hint=_HINT,
            )
        if found["atom"]:
            atom, quant = found["atom"], found["quant"] or ""
            if any(two in atom for two in ("--", "&&", "||", "~~")):
                raise InvalidInput(f"{atom} is no plain class of characters", hint=_HINT)
            items.append(_Item(atom, quant, at))
            written += atom + quant + ("+" if items[-1].varies else "")
        else:
            inside = bool(found["open"]) or (inside and not found["close"])
            written += found[0]
        at = found.end()
    return written, items


def _taken(item: _Item, after: list[_Item], text: str) -> _Item | None:
    """The first item after a repeat that begins with what the repeat takes, too."""
    signs = {chr(code) for code in range(256)} | set(text)
    takes = _members(item.atom, signs)
    for other in after:
        if takes & _members(other.atom, signs):
            return other
        if not other.may_be_absent:
            return None
    return None


def _members(atom: str, signs: set[str]) -> set[str]:
    try:
        made = re.compile(atom, re.ASCII)
    except re.error as error:
        raise InvalidInput(f"{atom} is no class of characters: {error}", hint=_HINT) from None
    return {sign for sign in signs if made.fullmatch(sign)}


def _check_groups(names: frozenset[str]) -> None:
    if unknown := sorted(names - GROUPS):
        raise InvalidInput(f"nothing is known of a group {unknown[0]!r}", hint=_HINT)
    if not names:
        raise InvalidInput("a pattern has a group that tells how far it is", hint=_HINT)
    if "of" in names and "step" not in names:
        raise InvalidInput("the group `of` tells of how many; `step` is missing", hint=_HINT)
