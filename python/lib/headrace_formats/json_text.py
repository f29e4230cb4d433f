"""Reading strangers' JSON files: bounded, strict, with the place of what is wrong.

Twice the same key, NaN and Infinity are no JSON that two programs read alike: errors here.
"""

import codecs
import json
from pathlib import Path
from typing import Any, Final, NoReturn

from headrace_formats.base import open_plain
from headrace_formats.errors import FormatError

CONFIG_BYTES: Final = 64 << 20


class _Twice(ValueError):
    """A key stands twice in an object."""


def load_json(path: Path, most_bytes: int = CONFIG_BYTES) -> Any:
    """Read a JSON file; raises `FormatError` that names the line."""
    with open_plain(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise FormatError(f"it is larger than {most_bytes:,} bytes, too large to read as JSON")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormatError(f"line {line} is not valid UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise FormatError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise FormatError("it is nested too deeply") from None
    except ValueError as error:  # twice the same key, NaN, a whole number of too many digits
        raise FormatError(str(error)) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Twice(f"the key {key[:80]!r} stands twice in one object")
            seen.add(key)
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def mapping(value: object, where: str) -> dict[str, Any]:
    """Check that a value is an object; raises `FormatError`."""
    if not isinstance(value, dict):
        raise FormatError(f"{where} must be an object")
    return value


def listed(value: object, where: str) -> list[Any]:
    """Check that a value is a list; raises `FormatError`."""
    if not isinstance(value, list):
        raise FormatError(f"{where} must be a list")
    return value


def begins_as_json(head: bytes) -> bool:
    """Tell whether the first letter that is no blank opens an object."""
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
