"""Joining the pieces of a log file: nothing twice, and what is missing is said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace_model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Piece:
    """An agent's answer: bytes `offset` to `end` of the file as text.

    `eof`: the file ends here, as far as the agent knows. `gone`: the node has no such file.
    Of a search `data` are the lines that were found, and `line` and `told` where it goes on; of
    all tasks of an array the bytes are those of the logs of two runs, `begun` and `run`.
    """

    offset: int
    end: int
    data: str
    eof: bool
    gone: bool
    line: int | None = None
    told: int = 0
    begun: tuple[int, int] = (0, 0)
    run: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Joined:
    """What of a piece is new: `skipped` bytes are missing before `data`; read on at `at`."""

    data: str
    skipped: int
    at: int


def read_piece(text: str) -> Piece:
    """Read an agent's answer; raises `InvalidInput`.

    `end` is needed where bytes that are no UTF-8 were replaced, and else follows from the data.
    """
    try:
        plain = json.loads(text)
        offset, data = int(plain["offset"]), str(plain["data"])
        return Piece(
            offset=offset,
            end=int(plain.get("end", offset + len(data.encode()))),
            data=data,
            eof=bool(plain["eof"]),
            gone=plain.get("state") == "gone",
            line=int(plain["line"]) if "line" in plain else None,
            told=int(plain.get("told", 0)),
            begun=_run(plain.get("from", (0, 0))),
            run=_run(plain.get("run", (0, 0))),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(f"this is no piece of a log: {text[:80]!r}") from None


def _run(plain: Sequence[Any]) -> tuple[int, int]:
    task, lease = plain
    return int(task), int(lease)


def join(at: int, piece: Piece) -> Joined:
    """Put a piece behind what was read up to byte `at`."""
    if piece.end <= at:
        return Joined("", 0, at)
    if piece.offset < at:
        # Sent twice in part. Cut by bytes; where bytes were replaced the cut may be off by a few.
        data = piece.data.encode()[at - piece.offset :].decode(errors="replace")
        return Joined(data, 0, piece.end)
    return Joined(piece.data, piece.offset - at, piece.end)


def gap_mark(skipped: int) -> str:
    """The line that stands where bytes of a followed log were left out."""
    return f"\n[headrace: {skipped:,} bytes left out here; read the whole log without --follow]\n"
