"""The errors of the client: what a server's problem says, as an exception.

Unavailable (headrace_model)
└── Unreachable         no server answers at the address
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
    Stale,
    TooLarge,
    Unauthorized,
    Unavailable,
)


class Unreachable(Unavailable):
    """No server answers at the address."""

    code = "UNREACHABLE"


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
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, problem: object) -> HeadraceError:
    """Turn an answer of 400 or above into the error that it means."""
    plain: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    kind = _BY_CODE.get(str(plain.get("code"))) or _BY_STATUS.get(status, HeadraceError)
    message = str(plain.get("detail") or f"the server answered {status}")
    hint = plain.get("hint")
    return kind(message, hint=str(hint) if hint else None)
