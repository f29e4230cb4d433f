"""Strangers' YAML, read safely into plain values, with the line on which each value stands.

Scalars follow the core schema of YAML 1.2, not 1.1: `on`, `yes` and `off` are text (else the key
of `retry.on` would be a bool), so are dates and `1:30`, and a number with a leading zero (a site
number) stays the text it is. Anchors, aliases, tags, duplicate keys, more than one document and
deep nesting are refused. Built from parser events, not by PyYAML's composer: that one recurses.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from headrace_model.errors import InvalidInput
from headrace_wire.jsontext import (
    DEFAULT_LIMITS,
    TextLimits,
    decode_text,
    parse_float,
    parse_integer,
)

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)")

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlText:
    """The value of a YAML text, and per path (keys and list positions) its line, from 1."""

    value: Any
    lines: dict[Path, int]


def parse_yaml(
    text: bytes | str, limits: TextLimits = DEFAULT_LIMITS, *, what: str = "YAML text"
) -> YamlText:
    """Read one YAML document from a stranger; raises `TooLarge`, `InvalidInput`."""
    decoded = decode_text(text, limits, what)
    try:
        return _Builder(limits.max_depth, what).build(yaml.parse(decoded, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise InvalidInput(f"this {what} is not valid YAML: {_reason(error)}") from None


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem


def _line(event: Event) -> int:
    """Lines count from 1 for people; every parser event has a mark, whatever its type says."""
    return event.start_mark.line + 1 if event.start_mark else 0


class _Open:
    """A list or mapping whose end has not come yet."""

    __slots__ = ("key", "path", "value")

    def __init__(self, value: list[Any] | dict[str, Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None  # of a mapping: the key that waits for its value


class _Builder:
    def __init__(self, max_depth: int, what: str) -> None:
        self._max_depth = max_depth
        self._what = what
        self._open: list[_Open] = []
        self._root: Any = None
        self._lines: dict[Path, int] = {}

    def build(self, events: Iterator[Event]) -> YamlText:
        documents = 0
        for event in events:
            match event:
                case DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise self._refuse(event, "a second document begins; one is expected")
                case AliasEvent():
                    raise self._refuse(event, "aliases (*name) can't be used here")
                case ScalarEvent():
                    self._on_scalar(event)
                case CollectionStartEvent():
                    self._on_collection(event)
                case MappingEndEvent() | SequenceEndEvent():
                    self._open.pop()
                case _:
                    pass
        return YamlText(self._root, self._lines)

    def _refuse(self, event: Event, why: str) -> InvalidInput:
        return InvalidInput(f"this {self._what}, line {_line(event)}: {why}")

    def _check_plain(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.anchor is not None:
            raise self._refuse(event, "anchors (&name) can't be used here")
        if event.tag not in (None, "!"):
            raise self._refuse(event, "tags (!name) can't be used here")

    def _on_scalar(self, event: ScalarEvent) -> None:
        self._check_plain(event)
        top = self._open[-1] if self._open else None
        if top and isinstance(top.value, dict) and top.key is None:
            if event.value in top.value:
                raise self._refuse(event, f"the key {event.value[:80]!r} stands twice")
            if event.value == "<<":
                raise self._refuse(event, "merge keys (<<) can't be used here")
            top.key = event.value
            self._lines[(*top.path, event.value)] = _line(event)
            return
        self._add(event, self._scalar(event))

    def _scalar(self, event: ScalarEvent) -> object:
        text: str = event.value
        # `style` is None or "" for a scalar without quotes, by parser.
        if event.style:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        reader: Callable[[str], object] | None = None
        if _INTEGER.fullmatch(text):
            reader = parse_integer
        elif _FLOAT.fullmatch(text):
            reader = parse_float
        elif _NOT_FINITE.fullmatch(text):
            raise self._refuse(event, f"{text} is not a number that can be used here")
        try:
            return reader(text) if reader else text
        except InvalidInput as error:
            raise self._refuse(event, error.message) from None

    def _on_collection(self, event: CollectionStartEvent) -> None:
        self._check_plain(event)
        top = self._open[-1] if self._open else None
        if top and isinstance(top.value, dict) and top.key is None:
            raise self._refuse(event, "a key must be text, not a list or mapping")
        if len(self._open) >= self._max_depth:
            raise self._refuse(event, f"nested deeper than {self._max_depth} levels")
        value: list[Any] | dict[str, Any] = {} if isinstance(event, MappingStartEvent) else []
        path = self._add(event, value)
        self._open.append(_Open(value, path))

    def _add(self, event: Event, value: object) -> Path:
        """Put a value where the text has it; gives its path."""
        if not self._open:
            self._root = value
            return ()
        top = self._open[-1]
        if isinstance(top.value, list):
            path: Path = (*top.path, len(top.value))
            self._lines[path] = _line(event)
            top.value.append(value)
        else:
            # A key is known to wait: `_on_scalar` and `_on_collection` saw to it.
            key = top.key or ""
            path = (*top.path, key)
            top.value[key] = value
            top.key = None
        return path
