"""Searching logs on the node where they lie, for who asked by a want.

A piece of a file at a time, on a thread, and not faster than workers can spare the disk.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from headrace_wire.logsearch import PIECE_BYTES, Place, search, write_lines

_MOST_LINES = 50  # an answer: 50 kB at the most
_ANSWER_S = 0.5  # how long nothing is said while nothing is found
_READ_BYTES_PER_S = 256 * 2**20
_SAID_BYTES_PER_S = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and from where on."""

    text: bytes
    begin: Place


async def answer_search(
    asked: Search,
    read: Callable[[int, int], Awaitable[bytes | None]],
    say: Callable[[str], Awaitable[object]],
    wanted: Callable[[], bool],
) -> None:
    """Answer what is found, until the end of the file or until nobody hears it.

    `read(offset, size)` gives a piece of the file, None where there is none; `say` publishes
    and tells whether somebody heard it.
    """
    place, said_s = asked.begin, time.monotonic()
    while wanted():
        data = await read(place.offset, PIECE_BYTES)
        if data is None:
            await say(_answer(place, place, "", eof=True, gone=True))
            return
        last = len(data) < PIECE_BYTES
        found, now = await asyncio.to_thread(
            search, place, data, asked.text, last=last, limit=_MOST_LINES
        )
        ended = last and now.offset >= place.offset + len(data)
        text = write_lines(found)
        if text or ended or time.monotonic() - said_s >= _ANSWER_S:
            if not await say(_answer(place, now, text, eof=ended)):
                return
            said_s = time.monotonic()
        if ended:
            return
        await asyncio.sleep(
            len(text) / _SAID_BYTES_PER_S + (now.offset - place.offset) / _READ_BYTES_PER_S
        )
        place = now


def _answer(place: Place, now: Place, data: str, *, eof: bool, gone: bool = False) -> str:
    return json.dumps(
        {
            "offset": place.offset,
            "end": now.offset,
            "line": now.line,
            "told": now.told,
            "data": data,
            "eof": eof,
            "state": "gone" if gone else "running",
        }
    )
