"""What the data service hands out for one object: a path on this machine, or presigned URLs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace_model.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Grant:
    """Just one of `path`, `url` and `parts` is given. URLs are secrets: `repr` leaves them out."""

    path: Path | None = None
    url: str = field(default="", repr=False)
    # To write a large object: a URL for each part, of `part_bytes` each but for the last, and the
    # one that makes an object of them. `upload` names the upload when URLs are asked for anew.
    parts: tuple[str, ...] = field(default=(), repr=False)
    part_bytes: int = 0
    complete: str = field(default="", repr=False)
    upload: str = ""


Renew = Callable[[Grant], Awaitable[Grant]]
"""Asks for a grant again whose URLs are no longer valid."""


def read_grant(plain: Mapping[str, Any]) -> Grant:
    """Read a grant from an answer; raises `Unavailable` for one that this agent can't use."""
    match plain:
        case {"path": str(path)}:
            return Grant(path=Path(path))
        case {"url": str(url)}:
            return Grant(url=url)
        case {
            "upload": str(upload),
            "part_bytes": int(size),
            "parts": [*urls],
            "complete": str(complete),
        } if size > 0:
            parts = tuple(str(url) for url in urls)
            return Grant(parts=parts, part_bytes=size, complete=complete, upload=upload)
    raise Unavailable(
        f"the data service grants what this agent does not know: {', '.join(plain)[:80]}",
        hint="bring agent and data service to the same version",
    )
