"""Sizes, durations and CPU counts as people write them, and as exact integers.

Nothing is rounded: a text that is no whole number of bytes, milliseconds or millicpus is refused,
so that what a job asked for is what its record holds. `*_text` functions write the shortest text
that `parse_*` reads back as the same integer; `rough_size` is for people only.
"""

import re
from fractions import Fraction

from headrace_model.errors import InvalidInput

_SIZE_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
    "PIB": 2**50,
}
_BINARY = (("PiB", 2**50), ("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_DECIMAL = (("PB", 10**15), ("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_DURATION_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

# Twenty digits before the point are enough for 2**60 bytes, and bound the work.
_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,12})?"
_PLAIN = re.compile(_NUMBER)
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]{{1,3}})")
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|[dhms])")
_CPUS = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,18}))?")
_MILLICPUS = re.compile(r"([0-9]{1,12})m")

MAX_SIZE_BYTES = 2**60
MAX_DURATION_MS = 3_660 * 86_400_000
MAX_MILLICPUS = 10**9


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def parse_size(text: str) -> int:
    """Read `4GiB`, `500MB` or `1.5 GiB` as bytes; case does not matter. Raises `InvalidInput`."""
    if _PLAIN.fullmatch(text):
        raise InvalidInput(f"{_shown(text)} has no unit; write for example {text}MiB or {text}GiB")
    match = _SIZE.fullmatch(text)
    if not match:
        raise InvalidInput(
            f"{_shown(text)} is not a size; write a number and a unit, for example 4GiB or 500MB"
        )
    factor = _SIZE_UNITS.get(match[2].upper())
    if factor is None:
        # k8s's "4Gi" and "4G" are two different sizes to different tools: we ask, not guess.
        raise InvalidInput(
            f"{_shown(text)}: {match[2]!r} is not a unit of size; use KiB, MiB, GiB, TiB "
            "(powers of 1024) or kB, MB, GB, TB (powers of 1000)"
        )
    size_bytes = Fraction(match[1]) * factor
    if size_bytes.denominator != 1:
        raise InvalidInput(f"{_shown(text)} is not a whole number of bytes")
    if size_bytes > MAX_SIZE_BYTES:
        raise InvalidInput(f"{_shown(text)} is more than {size_text(MAX_SIZE_BYTES)}")
    return int(size_bytes)


def size_text(size_bytes: int) -> str:
    """Write bytes exactly, with the largest unit that divides them: `4GiB`, `500MB`, `1537B`."""
    if size_bytes:
        for name, factor in _BINARY:
            if size_bytes % factor == 0:
                return f"{size_bytes // factor}{name}"
        for name, factor in _DECIMAL:
            if size_bytes % factor == 0:
                return f"{size_bytes // factor}{name}"
    return f"{size_bytes}B"


def rough_size(size_bytes: int) -> str:
    """Write bytes for people, rounded to one decimal: `1.5 GiB`."""
    for name, factor in _BINARY:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {name}"
    return f"{size_bytes} B"


def parse_duration(text: str) -> int:
    """Read `30m`, `10s`, `1h30m`, `250ms` or `2d` as milliseconds. Raises `InvalidInput`.

    Parts go from the longest unit to the shortest, each at most once.
    """
    if _PLAIN.fullmatch(text):
        raise InvalidInput(f"{_shown(text)} has no unit; write for example {text}s or {text}m")
    total_ms = Fraction(0)
    position = 0
    smallest = MAX_DURATION_MS
    while position < len(text):
        match = _DURATION_PART.match(text, position)
        factor = _DURATION_UNITS[match[2]] if match else 0
        if not match or factor >= smallest:
            break
        total_ms += Fraction(match[1]) * factor
        smallest = factor
        position = match.end()
    if position == 0 or position < len(text):
        raise InvalidInput(
            f"{_shown(text)} is not a duration; write for example 30m, 10s, 1h30m, 250ms or 2d"
        )
    if total_ms.denominator != 1:
        raise InvalidInput(f"{_shown(text)} is not a whole number of milliseconds")
    if total_ms > MAX_DURATION_MS:
        raise InvalidInput(f"{_shown(text)} is more than {duration_text(MAX_DURATION_MS)}")
    return int(total_ms)


def duration_text(duration_ms: int) -> str:
    """Write milliseconds exactly: `1h30m`, `10s`, `250ms`, `0s`."""
    parts = []
    rest = duration_ms
    for name, factor in _DURATION_UNITS.items():
        count, rest = divmod(rest, factor)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"


def parse_cpus(value: int | float | str) -> int:
    """Read `2`, `0.5` or `'500m'` as millicpus. Raises `InvalidInput`.

    A float counts as the shortest decimal that means it (its `repr`), so 0.1 is 100 exactly.
    """
    text = value if isinstance(value, str) else repr(value)
    if milli := _MILLICPUS.fullmatch(text):
        millicpus = int(milli[1])
    elif match := _CPUS.fullmatch(text):
        decimals = (match[2] or "").rstrip("0")
        if len(decimals) > 3:
            raise InvalidInput(
                f"{_shown(value)} is finer than a thousandth of a CPU: three decimals at most"
            )
        millicpus = int(match[1]) * 1000 + int(decimals.ljust(3, "0"))
    else:
        raise InvalidInput(
            f"{_shown(value)} is not a number of CPUs; write for example 2, 0.5 or 500m"
        )
    if millicpus > MAX_MILLICPUS:
        raise InvalidInput(f"{_shown(value)} is more than {cpus_text(MAX_MILLICPUS)} CPUs")
    return millicpus


def cpus_text(millicpus: int) -> str:
    """Write millicpus exactly: `2` for whole CPUs, else `1500m`."""
    whole, rest = divmod(millicpus, 1000)
    return f"{millicpus}m" if rest else str(whole)
