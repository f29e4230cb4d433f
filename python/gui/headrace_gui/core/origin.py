"""Whether a request comes from a page of this very GUI, by what only the browser can say.

A page of another site can make the browser send requests here, with the cookie or (SameSite)
without. It can't set `X-Headrace-GUI` without asking first, which nobody answers, nor forge
`Origin` and `Sec-Fetch-Site`.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

MARK: Final = "X-Headrace-GUI"
"""The header that our pages send with every request that changes something."""

_READS: Final = frozenset({"GET", "HEAD"})


def why_foreign(method: str, headers: Mapping[str, str], *, socket: bool = False) -> str | None:
    """Say why a request is not taken for one of our pages' own; None: it is.

    `socket`: it asks for a WebSocket, which lets its sender do what a POST does, and for which
    pages can set no header.
    """
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    reads = method in _READS and not socket
    if origin is not None and urlsplit(origin).netloc != headers.get("Host"):
        return f"it comes from a page of {origin[:100]}"
    if site not in (None, "same-origin") and not (site == "none" and reads):
        return f"it comes from another site ({site[:20]})"
    if reads:
        return None
    if origin is None and site is None:
        return "it does not say which page it comes from (Origin)"
    if not socket and headers.get(MARK) is None:
        return f"the header {MARK} is missing"
    return None
