"""Searching a log for a text: what is found where the log lies, and how it is told.

The text is fixed, no pattern: what is looked for costs the same whatever it is. A line is told
once. Pieces may be searched one after another, each from the place where the last one ended.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace_model.errors import InvalidInput
from headrace_wire.api import read_view

MOST_FOUND: Final = 1_000
"""Most lines that one search tells."""
MOST_TEXT: Final = 200
PIECE_BYTES: Final = 1 << 20
"""How much of a file is searched at a time."""
_SHOWN_BYTES: Final = 1_000
_BEFORE_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search goes on: the byte, the number of its line, and the last line that was told.
    Lines count from 1. Where all tasks of an array are searched, it is a place in the log of a
    `run`: the task and the number of its lease."""

    offset: int = 0
    line: int = 1
    told: int = 0
    run: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that holds the text. Of a long one there is a part, around the text.

    Of an array the task that wrote it, and the number of the lease that this run of it had.
    """

    line: int
    text: str
    task: int | None = None
    lease: int | None = None


@dataclass(frozen=True, slots=True)
class LogFound:
    """A line of a worker's output, or of a task's, that holds the text that was looked for."""

    attempt: int
    rank: int
    stream: str
    line: int
    text: str
    task: int | None = None


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What closes a search. `cut`: why not all was looked through, else empty. `unread`: files
    (`<attempt>/<rank>.<stream>`) that neither their node nor the store would tell."""

    found: int
    cut: str = ""
    unread: tuple[str, ...] = ()


def check_text(text: str) -> bytes:
    """The bytes to look for; raises `InvalidInput`."""
    if not text or len(text) > MOST_TEXT or "\n" in text or "\0" in text:
        raise InvalidInput(
            f"search: a text of 1 to {MOST_TEXT} characters within a line is expected",
            hint="it is found as it stands: no pattern, upper and lower case are different",
        )
    return text.encode(errors="surrogateescape")


def search(
    place: Place, data: bytes, text: bytes, *, last: bool, limit: int
) -> tuple[list[Line], Place]:
    """Look through `data`, which lies at `place`; gives what was found and where to go on.

    An unfinished line at the end is looked through when `last`, or when it is all there is.
    """
    end = len(data) if last else data.rfind(b"\n") + 1
    if not end:  # a line longer than a piece: what may be the text's beginning is looked at again
        end = max(0, len(data) - len(text) + 1)
    found: list[Line] = []
    at, line, told = 0, place.line, place.told
    while at < end:
        hit = data.find(text, at)
        if hit < 0 or hit >= end:
            break
        if len(found) >= limit:
            return found, Place(place.offset + at, line, told)
        line += data.count(b"\n", at, hit)
        begin, stop = data.rfind(b"\n", 0, hit) + 1, data.find(b"\n", hit)
        if line != told:
            found.append(
                Line(line, _shown(data[begin : stop if stop >= 0 else None], hit - begin))
            )
            told = line
        if stop < 0:
            return found, Place(place.offset + end, line, told)
        at, line = stop + 1, line + 1
    line += data.count(b"\n", at, end)
    return found, Place(place.offset + max(at, end), line, told)


class Searcher:
    """Looks through a log that comes in parts, and keeps what of them is not looked through."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._place, self._rest = Place(), b""

    @property
    def waiting_bytes(self) -> int:
        """How much has come and is not looked through."""
        return len(self._rest)

    def take(self, part: bytes) -> None:
        """Keep a part that has come, for the next `look`."""
        self._rest += part

    def look(self, *, last: bool, limit: int = MOST_FOUND + 1) -> list[Line]:
        """Give what is found of what has come, as `search` does; `last`: nothing more comes.

        A piece's worth is waited for: of a line that has come in part a part would be told.
        """
        if not last and len(self._rest) < PIECE_BYTES:
            return []
        found, now = search(self._place, self._rest, self._text, last=last, limit=limit)
        self._rest, self._place = self._rest[now.offset - self._place.offset :], now
        return found


def _shown(line: bytes, at: int) -> str:
    if len(line) > _SHOWN_BYTES:
        begin = max(0, min(at - _BEFORE_BYTES, len(line) - _SHOWN_BYTES))
        line = line[begin : begin + _SHOWN_BYTES]
    return line.decode(errors="replace").rstrip("\r")


def write_lines(lines: list[Line]) -> str:
    """Write lines, as an agent or the data service answers them: one JSON text each."""
    told = ([each.line, each.text, *_run(each)] for each in lines)
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in told)


def _run(line: Line) -> tuple[int, ...]:
    return tuple(each for each in (line.task, line.lease) if each is not None)


def read_lines(text: str) -> list[Line]:
    """Read what `write_lines` wrote; raises `InvalidInput`."""
    try:
        # Not `splitlines`: what it takes for a line's end may stand in a JSON text.
        told = [json.loads(each) for each in text.split("\n") if each]
        return [Line(int(line), str(said), *map(int, run)) for line, said, *run in told]
    except (ValueError, TypeError):
        raise InvalidInput(f"these are no lines that were found: {text[:80]!r}") from None


def found_line(found: LogFound) -> bytes:
    """Write a line of the public answer."""
    plain: dict[str, Any] = {
        "attempt": found.attempt, "rank": found.rank, "stream": found.stream,
        "line": found.line, "text": found.text,
    }  # fmt: skip
    if found.task is not None:
        plain["task"] = found.task
    return json.dumps(plain, ensure_ascii=False).encode(errors="replace") + b"\n"


def end_line(end: SearchEnd) -> bytes:
    """Write the last line of the public answer."""
    plain = {"end": True, "found": end.found, "cut": end.cut, "unread": list(end.unread)}
    return json.dumps(plain).encode() + b"\n"


def read_found(line: bytes) -> LogFound | SearchEnd:
    """Read a line of the public answer; raises `InvalidInput`."""
    try:
        plain: Mapping[str, Any] = json.loads(line)
        kind = SearchEnd if plain.get("end") else LogFound
    except (ValueError, AttributeError):
        raise InvalidInput(f"the server's answer is no line of a search: {line[:80]!r}") from None
    return read_view(kind, plain)  # type: ignore[return-value] # it is one of both
