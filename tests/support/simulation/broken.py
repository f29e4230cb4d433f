"""How an invariant tells that it does not hold."""

from typing import Any


class Broken(AssertionError):
    """An invariant does not hold."""


def check(holds: bool, sentence: str) -> None:
    """Raise `Broken` unless something holds."""
    if not holds:
        raise Broken(sentence)


def hash_of(flat: Any) -> dict[str, str]:
    """A hash as Redis answers it."""
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
