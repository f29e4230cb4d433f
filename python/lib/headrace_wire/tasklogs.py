"""Which part of a node's log files a task of an array has written: lines of `<rank>.index`.

The tasks of one slot write one after another into `<rank>.<slot>.out` and `.err`, so that 100,000
tasks make a handful of files. A line is `<task> <lease> <stream> <slot> <offset> <bytes>`.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One log: of which run of which task, and its place."""

    index: int
    lease: int
    stream: str
    slot: int
    offset: int
    size_bytes: int


def index_name(rank: int) -> str:
    """The index of a node's task logs."""
    return f"{rank}.index"


def slot_name(rank: int, slot: int, stream: str) -> str:
    """The file that the tasks of one slot write to."""
    return f"{rank}.{slot}.{stream}"


def write_line(line: IndexLine) -> str:
    """Write one line of the index."""
    return f"{line.index} {line.lease} {line.stream} {line.slot} {line.offset} {line.size_bytes}\n"


def find_line(text: str, index: int, stream: str) -> IndexLine | None:
    """The log of a task's newest run; lines that are torn or damaged are passed over."""
    found: IndexLine | None = None
    start = f"{index} "
    for text_line in text.splitlines():
        if not text_line.startswith(start):
            continue
        line = _read(text_line, stream)
        if line is not None and (found is None or line.lease >= found.lease):
            found = line
    return found


def all_lines(text: str, stream: str) -> Iterator[IndexLine]:
    """The logs of all runs of all tasks, as they ended."""
    for text_line in text.splitlines():
        if line := _read(text_line, stream):
            yield line


def _read(text: str, stream: str) -> IndexLine | None:
    words = text.split(" ")
    numbers = (*words[:2], *words[3:])
    if len(words) != 6 or words[2] != stream or not all(map(_is_number, numbers)):
        return None
    index, lease, slot, offset, size_bytes = (int(word) for word in numbers)
    return IndexLine(index, lease, stream, slot, offset, size_bytes)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 20
