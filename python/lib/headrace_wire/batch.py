"""A batch: several small files of a dataset in one body, up or down.

A line of JSON that names them, then their bytes, one after the other:

    {"items": [{"path": "a.csv", "size_bytes": 3, "sha256": "…"}, …]}\\n
    <3 bytes><the bytes of the next>…
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput, TooLarge
from headrace_wire.dataschema import says
from headrace_wire.jsontext import TextLimits, parse_json

BATCH_FILES: Final = 256
BATCH_BYTES: Final = 2 * 2**20
"""Of all files of a batch together; the line that names them comes on top."""
TAKE_BYTES: Final = 2**30
"""Of all items that one request takes from another dataset, where the store has to copy them."""
_LINE_BYTES: Final = 2**20
BODY_BYTES: Final = BATCH_BYTES + _LINE_BYTES
_LIMITS: Final = TextLimits(max_bytes=_LINE_BYTES, max_depth=4)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset({"path", "size_bytes", "sha256"})


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a batch. Nobody has compared `sha256` with `data` yet."""

    path: str
    sha256: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """POST /datasets/{name}:take: items of another dataset become items of this one."""

    dataset: str
    paths: tuple[str, ...] = field(metadata=says(minItems=1, maxItems=BATCH_FILES))

    def __post_init__(self) -> None:
        _check_paths(self.paths)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """POST /datasets/{name}:download."""

    paths: tuple[str, ...] = field(metadata=says(minItems=1, maxItems=BATCH_FILES))

    def __post_init__(self) -> None:
        _check_paths(self.paths)


def encode_batch(files: Sequence[BatchFile]) -> bytes:
    """Write a batch."""
    named = [
        {"path": each.path, "size_bytes": len(each.data), "sha256": each.sha256} for each in files
    ]
    line = json.dumps({"items": named}, ensure_ascii=False).encode()
    return b"".join([line, b"\n", *(each.data for each in files)])


def decode_batch(body: bytes) -> list[BatchFile]:
    """Read a batch from a stranger; raises `InvalidInput`, `InvalidName`, `TooLarge`."""
    line, newline, _ = body[: _LINE_BYTES + 1].partition(b"\n")
    if not newline:
        if len(body) > _LINE_BYTES:
            raise TooLarge(f"the first line of a batch has at most {_LINE_BYTES:,} bytes")
        raise InvalidInput(
            "a batch begins with a line of JSON that names its files",
            hint='{"items": [{"path": …, "size_bytes": …, "sha256": …}, …]}, then their bytes',
        )
    named = _named(parse_json(line, _LIMITS, what="first line of a batch"))
    _check_paths([each["path"] for each in named])
    check_batch_bytes(size := sum(each["size_bytes"] for each in named))
    at = len(line) + 1
    if at + size != len(body):
        raise InvalidInput(
            f"the files of this batch have {size:,} bytes as its first line says, but "
            f"{len(body) - at:,} came",
            hint="nothing of it was kept; send it again",
        )
    files = []
    for each in named:
        end = at + each["size_bytes"]
        files.append(BatchFile(each["path"], each["sha256"], body[at:end]))
        at = end
    return files


def check_batch_bytes(size: int) -> None:
    """Raise `TooLarge` for files that have too many bytes together."""
    if size > BATCH_BYTES:
        raise TooLarge(
            f"the files of this batch have {size:,} bytes together; {BATCH_BYTES:,} is the most",
            hint="make several batches; a large file goes by itself: /items/{path}",
        )


def _check_paths(paths: Sequence[str]) -> None:
    if not paths:
        raise InvalidInput("a batch names one file at least")
    if len(paths) > BATCH_FILES:
        raise TooLarge(f"a batch has at most {BATCH_FILES} files, not {len(paths):,}")
    for path in paths:
        check_item_path(path)
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise InvalidInput(f"the batch names {twice[:200]!r} twice")


def _named(plain: Any) -> list[dict[str, Any]]:
    items = plain.get("items") if type(plain) is dict and len(plain) == 1 else None
    if type(items) is not list:
        raise InvalidInput('the first line of a batch is not {"items": […]}')
    for number, each in enumerate(items):
        if not (
            type(each) is dict
            and each.keys() == _KEYS
            and type(each["path"]) is str
            and type(each["size_bytes"]) is int
            and each["size_bytes"] >= 0
            and type(each["sha256"]) is str
            and _SHA256.fullmatch(each["sha256"])
        ):
            raise InvalidInput(
                f"file {number} of the batch is not described by path, size_bytes (from 0 on) and "
                "sha256 (64 hexadecimal digits in lower case), and by nothing else"
            )
    return items
