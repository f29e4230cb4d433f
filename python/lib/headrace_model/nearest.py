"""The known word that a wrong one was probably meant to be."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word most like `word`, case and dashes aside; None when none is like it."""
    plain = {each.lower().replace("-", "_"): each for each in known}
    # A stranger's word may be long, and difflib's time grows with the product of lengths.
    close = difflib.get_close_matches(word[:64].lower().replace("-", "_"), plain, 1, 0.6)
    return plain[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give `did you mean X?` when something is near, else `known are A, B, …`, else nothing."""
    words = sorted(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean {near}?"
    shown = ", ".join(words[:24]) + (", …" if len(words) > 24 else "")
    return f"known are {shown}" if words else "nothing is known here"
