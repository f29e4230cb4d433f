"""What a client asks for that moves a large file to or from the object store itself."""

import re
from dataclasses import dataclass, field
from typing import Final

from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput
from headrace_wire.dataschema import says

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DirectUpload:
    """POST /datasets/{name}:direct-upload. An empty file goes another way."""

    path: str
    size_bytes: int = field(metadata=says(minimum=1))
    sha256: str = field(metadata=says(pattern="^[0-9a-f]{64}$"))

    def __post_init__(self) -> None:
        check_item_path(self.path)
        if self.size_bytes < 1:
            raise InvalidInput(f"size_bytes is {self.size_bytes}, not a number from 1 on")
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidInput(
                f"sha256 is {self.sha256[:80]!r}, not 64 hexadecimal digits in lower case"
            )


@dataclass(frozen=True, slots=True)
class DirectDownload:
    """POST /datasets/{name}:direct-download."""

    path: str

    def __post_init__(self) -> None:
        check_item_path(self.path)
