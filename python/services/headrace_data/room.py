"""The room on the disk of the data service's own files: parts of uploads, folders being read."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from headrace_model.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Room:
    """Under `headrace local` Redis writes to the same disk, and ends when that is full."""

    folder: Path
    free_limit_bytes: int

    def check(self, coming_bytes: int) -> None:
        """Raise `Unavailable` where so many more bytes would leave too little free. It blocks."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free - coming_bytes < self.free_limit_bytes:
            raise Unavailable(
                "the disk of the data service has too little room for this file",
                hint="try again when there is room on the disk of its state_dir; what came of an "
                "upload is kept",
            )
