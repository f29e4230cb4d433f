"""Strangers' JSON, read within limits: size, depth, numbers that are numbers, keys that differ."""

import json
import re
from dataclasses import dataclass
from math import isinf
from typing import Any, NoReturn

from headrace_model.errors import InvalidInput, TooLarge

MAX_BYTES = 8 * 2**20
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1

# The closing quote is optional, so that a string that never ends is still consumed at once:
# otherwise each quote in it would be tried anew, in quadratic time.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_ONE_SORT = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How much of a stranger's text is read: bytes as sent, and levels of lists and mappings."""

    max_bytes: int = MAX_BYTES
    max_depth: int = MAX_DEPTH


DEFAULT_LIMITS = TextLimits()


def decode_text(text: bytes | str, limits: TextLimits, what: str) -> str:
    """Check size and UTF-8 of a text; raises `TooLarge`, `InvalidInput`.

    `what` names the text in messages: `job file`.
    """
    if len(text) > limits.max_bytes:
        raise TooLarge(
            f"this {what} has {len(text):,} bytes; at most {limits.max_bytes:,} are read",
            hint="put large data into a dataset and name it in `inputs`",
        )
    try:
        if isinstance(text, str):
            text.encode()
            return text
        return text.decode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InvalidInput(
            f"this {what} is not UTF-8 text (position {error.start})", hint="save it as UTF-8"
        ) from None


def _check_depth(raw: bytes, max_depth: int, what: str) -> None:
    """Peel off the innermost brackets, level by level: at C speed, unlike a loop over them.

    Which sort a bracket is does not matter: the parser itself stops at a pair that does not fit.
    """
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    brackets = _STRINGS.sub(b"", raw).translate(_ONE_SORT, _NO_BRACKET)
    for _ in range(max_depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    else:
        if b"[" in brackets:
            raise InvalidInput(f"this {what} is nested deeper than {max_depth} levels")
    if brackets.count(b"[") > max_depth:
        raise InvalidInput(f"this {what} is nested deeper than {max_depth} levels")


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidInput(f"the key {key[:80]!r} stands twice in one mapping")
            seen.add(key)
    return mapping


def parse_integer(text: str) -> int:
    """Read a decimal integer of at most 64 bits; raises `InvalidInput`."""
    if len(text) > 20 or abs(number := int(text)) > MAX_INTEGER:
        raise InvalidInput(f"the number {text[:24]}… is too large: 64 bits are the limit")
    return number


def parse_float(text: str) -> float:
    """Read a finite number; raises `InvalidInput`."""
    number = float(text)
    if isinf(number):
        raise InvalidInput(f"the number {text[:24]} is too large")
    return number


def _no_constant(text: str) -> NoReturn:
    raise InvalidInput(f"{text} is not a number that can be used here")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_mapping,
    parse_int=parse_integer,
    parse_float=parse_float,
    parse_constant=_no_constant,
)


def parse_json(
    text: bytes | str, limits: TextLimits = DEFAULT_LIMITS, *, what: str = "JSON text"
) -> Any:
    """Read JSON from a stranger; raises `TooLarge` and `InvalidInput`, never anything else.

    Refused besides broken syntax: duplicate keys, NaN and Infinity, integers over 64 bits,
    lone surrogates, more than `max_depth` levels (counted before parsing: the parser recurses).
    """
    decoded = decode_text(text, limits, what)
    raw = text if isinstance(text, bytes) else decoded.encode()
    _check_depth(raw, limits.max_depth, what)
    try:
        value = _DECODER.decode(decoded)
        if _SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"this {what} is not valid JSON: {error.msg} (line {error.lineno}, "
            f"column {error.colno})"
        ) from None
    except UnicodeEncodeError:
        raise InvalidInput(f"this {what} holds half of a surrogate pair (\\ud800…)") from None
    return value


def canonical_json(value: object) -> str:
    """Write a value the one way: keys sorted, no spaces, UTF-8; raises `ValueError` on NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
