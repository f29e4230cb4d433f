"""The limits of the process that reads strangers' files."""

import json
import os
import resource
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Limits:
    """What one detection may use. `answer_bytes` caps what the child may write as its answer."""

    memory_bytes: int = 2 << 30
    cpu_s: int = 120
    wall_s: float = 300.0
    open_files: int = 64
    answer_bytes: int = 64 << 20

    def to_text(self) -> str:
        """Write them as an argument of the child."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text` back."""
        return cls(**json.loads(text))

    def apply(self) -> None:
        """Bind this process, for good: no file grows, no core, so much memory and CPU.

        The CPU limit kills at the soft limit, one second before the hard one.
        """
        for kind, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_AS, self.memory_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
        ):
            resource.setrlimit(kind, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_s, self.cpu_s + 1))


def allow_one_more_file() -> None:
    """Let this process hold one file open beside those it holds now.

    An HDF5 file may name other files that its reader opens for it (external links, external
    storage); their contents would show up as ids. While it is open itself there is no room.
    """
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, lowest_free + 1))
