"""The errors of the client: what a server's problem says, as an exception.

Unavailable (headrace_model)
└── Unreachable         no server answers at the address
HeadraceError (headrace_model)
└── Untrusted           its TLS certificate is not one that we trust, or of another host
Conflict (headrace_model)
└── WrongOffset         an upload went on at another byte than the server has; it says at which
"""

from collections.abc import Mapping
from typing import Any, Final

from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    InvalidDomain,
    InvalidInput,
    InvalidName,
    InvalidSpec,
    NeverFits,
    NotFound,
    RateLimited,
    Stale,
    TooLarge,
    Unauthorized,
    Unavailable,
)


class Unreachable(Unavailable):
    """No server answers at the address."""

    code = "UNREACHABLE"


class Untrusted(HeadraceError):
    """The server's TLS certificate proves nothing, or what answers does not speak TLS."""

    code = "UNTRUSTED"


class WrongOffset(Conflict):
    """The server has another number of bytes of a file than the upload went on at."""

    code = "WRONG_OFFSET"

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


_BY_CODE: Final[Mapping[str, type[HeadraceError]]] = {
    kind.code: kind
    for kind in (
        Conflict, Forbidden, InvalidDomain, InvalidInput, InvalidName, InvalidSpec, NeverFits,
        NotFound, Stale, TooLarge, Unauthorized, Unavailable,
    )
}  # fmt: skip
_BY_STATUS: Final[Mapping[int, type[HeadraceError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidInput,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}

_USUAL_AFTER_S: Final = 2


def error_of(status: int, problem: object, *, after_s: int | None = None) -> HeadraceError:
    """Turn an answer of 400 or above into the error that it means; `after_s`: its Retry-After."""
    plain: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    message = str(plain.get("detail") or f"the server answered {status}")
    hint = str(plain["hint"]) if plain.get("hint") else None
    if status == 429:
        after_s = _USUAL_AFTER_S if after_s is None else after_s
        return RateLimited(message, after_s=after_s, hint=hint)
    kind = _BY_CODE.get(str(plain.get("code"))) or _BY_STATUS.get(status, HeadraceError)
    return kind(message, hint=hint)
