"""When the disk of the state folder is too full for new attempts."""

from dataclasses import dataclass
from typing import Final

_AGAIN: Final = 1.25  # so much more than the limit lets attempts come again: no flicker


@dataclass(frozen=True, slots=True)
class Spare:
    """What must stay free: this share of the disk, and no more than so many bytes."""

    percent: int
    most_bytes: int

    def limit_bytes(self, size_bytes: int) -> int:
        """What must stay free of a disk of this size."""
        return min(size_bytes * self.percent // 100, self.most_bytes)


def is_full(free_bytes: int, size_bytes: int, spare: Spare, *, was: bool) -> bool:
    """Tell whether new attempts must not come; `was`: whether that was so before."""
    limit = spare.limit_bytes(size_bytes)
    return free_bytes < (limit * _AGAIN if was else limit)
