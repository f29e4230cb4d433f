"""Searching logs on the node where they lie, for who asked by a want.

A piece of a file at a time, on a thread, and not faster than workers can spare the disk.
"""

import asyncio
import json
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from headrace_agent import tasklogs
from headrace_wire.logsearch import PIECE_BYTES, Line, Place, search, write_lines

Run = tuple[tuple[int, int], tasklogs.Place]

_MOST_LINES = 50  # an answer: 50 kB at the most
_ANSWER_S = 0.5  # how long nothing is said while nothing is found
_READ_BYTES_PER_S = 256 * 2**20
_SAID_BYTES_PER_S = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and from where on."""

    text: bytes
    begin: Place
    all_tasks: bool = False


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


async def answer_tasks(
    asked: Search,
    read_runs: Callable[[], Sequence[Run]],
    say: Callable[[str], Awaitable[object]],
    wanted: Callable[[], bool],
) -> None:
    """Answer what is found in the logs of an array's tasks, as `TaskLogs.runs` gives them.

    It takes long to read where those of a large array are: meanwhile it says that it is there.
    """
    place, ended = asked.begin, False
    reading = asyncio.ensure_future(asyncio.to_thread(read_runs))
    try:
        while not reading.done():
            if not (wanted() and await say(_answer(place, place, "", eof=False))):
                return
            await asyncio.wait({reading}, timeout=_ANSWER_S)
        runs = reading.result()
    finally:
        reading.cancel()
    said, said_s = place, time.monotonic()
    while wanted() and not ended:
        found, now, read = await asyncio.to_thread(look_through, runs, place, asked.text)
        ended = now is None
        place = place if now is None else now
        text = write_lines(found)
        if text or ended or time.monotonic() - said_s >= _ANSWER_S:
            if not await say(_answer(said, place, text, eof=ended)):
                return
            said, said_s = place, time.monotonic()
        await asyncio.sleep(len(text) / _SAID_BYTES_PER_S + read / _READ_BYTES_PER_S)


def look_through(
    runs: Sequence[Run], place: Place, text: bytes, limit: int = _MOST_LINES
) -> tuple[list[Line], Place | None, int]:
    """Look through the logs of runs from `place` on: a piece's worth of bytes, `limit` lines.

    Gives what was found, where to go on (None: it was the last), and how much was read.
    """
    found: list[Line] = []
    read, begun_s = 0, time.monotonic()
    at = bisect_left(runs, place.run, key=lambda run: run[0])
    while at < len(runs):
        key, log = runs[at]
        if key != place.run:
            place = Place(run=key)
        if len(found) >= limit or read >= PIECE_BYTES or time.monotonic() - begun_s > _ANSWER_S:
            return found, place, read
        data = tasklogs.read(log, place.offset, PIECE_BYTES) or b""
        read += len(data)
        last = len(data) < PIECE_BYTES
        some, now = search(place, data, text, last=last, limit=limit - len(found))
        found += [replace(each, task=key[0], lease=key[1]) for each in some]
        if last and now.offset >= place.offset + len(data):
            at += 1
        else:
            place = replace(now, run=key)
    return found, None, read


def _answer(place: Place, now: Place, data: str, *, eof: bool, gone: bool = False) -> str:
    return json.dumps(
        {
            "offset": place.offset,
            "end": now.offset,
            "line": now.line,
            "told": now.told,
            "from": place.run,
            "run": now.run,
            "data": data,
            "eof": eof,
            "state": "gone" if gone else "running",
        }
    )
