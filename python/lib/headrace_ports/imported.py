"""Keys of objects that lie outside the store, in a place that an admin named, and stay there."""

from typing import Final

IMPORTED: Final = "imported/"
"""How such a key begins: `imported/<place>/<stamp>/<path>`. The object counts only while it has
the stamp (`Stat`) that it had when it was imported."""


def imported_key(place: str, stamp: str, path: str) -> str:
    """The key of an object outside."""
    return f"{IMPORTED}{place}/{stamp}/{path}"
