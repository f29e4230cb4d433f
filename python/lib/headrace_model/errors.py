"""The errors that every part of Headrace may raise.

HeadraceError
├── InvalidInput            what was sent is wrong; sending it again can't help
│   ├── InvalidName         a name or id with forbidden characters
│   ├── InvalidSpec         a job file with a wrong key, type, unit or value
│   └── InvalidDomain       a domain that contradicts itself
├── NotFound                the job, dataset or node is not known
├── Conflict                it is known, but its state forbids what was asked
│   ├── IllegalTransition   the status table has no such edge
│   ├── OverQuota           a user's or group's quota has no room for it
│   ├── Stale               decided from an older version; read again and decide anew
│   └── Fenced              a late leader, attempt, agent or epoch
├── NeverFits               no node or pool could ever hold the job
├── Unauthorized            no token, or one that is unknown or expired
├── Forbidden               a known user who may not do this
├── TooLarge                over a size limit
├── InMaintenance           an admin keeps new work away for a while (retryable)
└── Unavailable             a server or disk is down or full (retryable)
    └── RateLimited         too many requests in too short a time (retryable)

Each has a `code` for programs, a sentence for people (the message: what and why) and an optional
`hint` (what to do next). `retryable` tells whether the same call may succeed later.
"""

from typing import ClassVar


class HeadraceError(Exception):
    """Base of all errors that Headrace raises on purpose."""

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidInput(HeadraceError):
    """What was sent is wrong; sending it again can't help."""

    code = "INVALID_INPUT"


class InvalidName(InvalidInput):
    """A name or id holds forbidden characters."""

    code = "INVALID_NAME"


class InvalidSpec(InvalidInput):
    """A job file has a wrong key, type, unit or value; `path` names it, `reason` the rest."""

    code = "INVALID_SPEC"

    def __init__(self, message: str, *, path: str = "", hint: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path
        self.reason = message


class InvalidDomain(InvalidInput):
    """A domain contradicts itself, or an index has a value of the wrong type."""

    code = "INVALID_DOMAIN"


class NotFound(HeadraceError):
    """The job, dataset or node is not known."""

    code = "NOT_FOUND"


class Conflict(HeadraceError):
    """The thing is known, but its state forbids what was asked."""

    code = "CONFLICT"


class IllegalTransition(Conflict):
    """The status table has no such edge; `history` holds the job's way so far."""

    code = "ILLEGAL_TRANSITION"

    def __init__(self, message: str, *, history: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.history = history


class OverQuota(Conflict):
    """A user's or group's quota has no room for it."""

    code = "OVER_QUOTA"


class Stale(Conflict):
    """Decided from an older version: read again and decide anew."""

    code = "STALE"


class Fenced(Conflict):
    """A late leader, attempt, agent or epoch; whoever gets this must stop acting."""

    code = "FENCED"


class NeverFits(HeadraceError):
    """No node or pool could ever hold the job, even when it is empty."""

    code = "NEVER_FITS"


class Unauthorized(HeadraceError):
    """No token was sent, or it is unknown or expired."""

    code = "UNAUTHORIZED"


class Forbidden(HeadraceError):
    """A known user who may not do this."""

    code = "FORBIDDEN"


class TooLarge(HeadraceError):
    """Something is over a size limit."""

    code = "TOO_LARGE"


class InMaintenance(HeadraceError):
    """An admin keeps new work away; nobody knows for how long, so nobody waits for it."""

    code = "MAINTENANCE"
    retryable = True

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        usual = "reading goes on; submit again when it is over (`headrace maintenance show`)"
        super().__init__(message, hint=hint or usual)


class Unavailable(HeadraceError):
    """A server or disk is down or full; the same call may succeed later."""

    code = "UNAVAILABLE"
    retryable = True


class RateLimited(Unavailable):
    """Too many requests in too short a time; try again after `after_s` seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, after_s: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.after_s = after_s
