"""How large files are cut into parts, and a hash over parts that several threads read."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from threading import Condition, Event
from typing import Final

from headrace_adapters.s3.calls import Stopped

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_PARTS: Final = 10_000
SMALLEST_PART_BYTES: Final = 5 * 2**20
_MIB: Final = 2**20
_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Part:
    """One part; numbers begin at 1."""

    number: int
    offset: int
    size: int


def part_bytes(size: int, wanted: int) -> int:
    """The size of all parts but the last: `wanted`, more only where there would be too many."""
    least = -(-size // MOST_PARTS)
    return max(wanted, -(-least // _MIB) * _MIB)


def cut(size: int, part: int) -> Iterator[Part]:
    """The parts of `size` bytes; none of an empty file."""
    for number, offset in enumerate(range(0, size, part), 1):
        yield Part(number, offset, min(part, size - offset))


class OrderedDigest:
    """SHA-256 over parts that come from several threads, taken in order of their numbers.

    The parts must be begun in order, so that the one which is waited for always runs.
    """

    def __init__(self) -> None:
        self._digest = sha256()
        self._next = 1
        self._turn = Condition()

    def add(self, number: int, data: bytes, stop: Event) -> None:
        """Take a part when its turn comes; raises `Stopped` when `stop` is set before."""
        with self._turn:
            while self._next != number:
                if stop.is_set():
                    raise Stopped
                self._turn.wait(_LOOK_S)
            self._digest.update(data)
            self._next += 1
            self._turn.notify_all()

    def hexdigest(self) -> str:
        """The SHA-256 of the parts so far."""
        return self._digest.hexdigest()
