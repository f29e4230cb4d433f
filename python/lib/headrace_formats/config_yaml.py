"""Reading strangers' YAML configs: keys by their paths, each with its line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_formats.base import open_plain
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.errors import HeadraceError
from headrace_wire.jsontext import TextLimits
from headrace_wire.yamlfile import parse_yaml

_LIMITS: Final = TextLimits(max_bytes=1 << 20, max_depth=32)


@dataclass(frozen=True, slots=True)
class Config:
    """A config as nested mappings, and the line of each key by its path."""

    value: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]

    def get(self, path: str) -> Any:
        """The value at `a.b.c`, or None."""
        found: Any = self.value
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def where(self, path: str) -> str:
        """The place of a key, with its line where it is there."""
        line = self.lines.get(tuple(path.split(".")))
        return f"line {line}, key {path}" if line else f"key {path}"

    def number(self, path: str, report: Report, *, needed: bool = True) -> int | None:
        """A whole number above 0; says what is wrong."""
        value = self.get(path)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9:
            return value
        if value is not None or needed:
            report.error(self.where(path), "it must be a whole number above 0")
        return None


def load_config(path: Path) -> Config:
    """Read a YAML file whose top is a mapping; raises `FormatError` that names the line."""
    with open_plain(path) as file:
        data = file.read(_LIMITS.max_bytes + 1)
    try:
        found = parse_yaml(data, _LIMITS, what="config")
    except HeadraceError as error:
        raise FormatError(error.message, hint=error.hint) from None
    if not isinstance(found.value, dict):
        raise FormatError("its top must be a mapping of keys")
    return Config(found.value, found.lines)


def begins_with_key(*keys: str) -> Callable[[bytes], bool]:
    """A sniffer of YAML: one of the keys stands at the begin of a line."""
    wanted = tuple(f"{key}:".encode() for key in keys)

    def sniff(head: bytes) -> bool:
        return b"\0" not in head and any(line.startswith(wanted) for line in head.splitlines())

    return sniff
