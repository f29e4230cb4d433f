"""The index of a pack of task logs: where in `<rank>.tasks` each log lies (`<rank>.index`)."""

from dataclasses import dataclass
from typing import Final

TASK_LOGS: Final = "tasks"
INDEX: Final = "index"


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One log: of which run of which task, and its place in the pack."""

    index: int
    lease: int
    stream: str
    offset: int
    size_bytes: int


def write_line(line: IndexLine) -> str:
    """Write one line of the index."""
    return f"{line.index} {line.lease} {line.stream} {line.offset} {line.size_bytes}\n"


def find_line(text: str, index: int, stream: str) -> IndexLine | None:
    """The last log of a task's newest run; lines that are torn or damaged are passed over."""
    found: IndexLine | None = None
    start = f"{index} "
    for line in text.splitlines():
        if not line.startswith(start):
            continue
        words = line.split(" ")
        if (
            len(words) == 5
            and words[2] == stream
            and all(word.isascii() and word.isdigit() for word in (words[1], *words[3:]))
        ):
            this = IndexLine(index, int(words[1]), stream, int(words[3]), int(words[4]))
            if found is None or this.lease >= found.lease:
                found = this
    return found
