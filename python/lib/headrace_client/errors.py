"""The errors of the client: what a server's problem says, as an exception.

Unavailable (headrace_model)
├── Unreachable         no server answers at the address
└── Broken              a live connection broke; who follows comes again and resumes
    └── Behind          it was let go because its reader is slow
HeadraceError (headrace_model)
├── Untrusted           its TLS certificate is not one that we trust, or of another host
├── NotCompleted        a job whose result was asked for was canceled or stopped
│   └── JobFailed       or has failed
└── StillRunning        (a TimeoutError too) it is not over in the time that was given
Conflict (headrace_model)
└── WrongOffset         an upload went on at another byte than the server has; it says at which
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from headrace_model.cause import Cause, next_step
from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    InMaintenance,
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
from headrace_model.status import Status

if TYPE_CHECKING:  # the command's help must not wait for the wire
    from headrace_wire.api import JobView


class Unreachable(Unavailable):
    """No server answers at the address."""

    code = "UNREACHABLE"


class Untrusted(HeadraceError):
    """The server's TLS certificate proves nothing, or what answers does not speak TLS."""

    code = "UNTRUSTED"


class Broken(Unavailable):
    """A live connection broke: come again and resume."""

    code = "BROKEN"


class Behind(Broken):
    """A live subscription was let go because its reader is slow: come again and resume."""

    code = "BEHIND"


class NotCompleted(HeadraceError):
    """A job whose result was asked for ended by wish: `job` is its last view."""

    code = "NOT_COMPLETED"

    def __init__(self, job: "JobView") -> None:
        super().__init__(how_it_ended(job), hint=_next_step(job))
        self.job = job


class JobFailed(NotCompleted):
    """A job whose result was asked for has failed; `job.cause` and `job.exit_code` tell why."""

    code = "JOB_FAILED"


class StillRunning(HeadraceError, TimeoutError):
    """A job is not over in the time that was given; the job goes on."""

    code = "STILL_RUNNING"


class WrongOffset(Conflict):
    """The server has another number of bytes of a file than the upload went on at."""

    code = "WRONG_OFFSET"

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def how_it_ended(job: "JobView") -> str:
    """Tell how a job ended, and why."""
    why = f" ({job.cause})" if job.cause else ""
    detail = f": {job.detail}" if job.detail else ""
    return f"job {job.id} is {job.status.partition(':')[2]}{why}{detail}"


def check_completed(job: "JobView") -> None:
    """Raise `JobFailed` for a closed job that has failed, `NotCompleted` for one ended by wish."""
    if job.status in (Status.CANCELED, Status.STOPPED):
        raise NotCompleted(job)
    if job.status is not Status.COMPLETED:
        raise JobFailed(job)


def _next_step(job: "JobView") -> str:
    if job.cause is not None:
        return next_step(job.cause, job.id)
    match job.status:
        case Status.STOPPED:
            return next_step(Cause.STOPPED, job.id)
        case Status.CANCELED:
            return next_step(Cause.CANCELED, job.id)
    return f"`headrace jobs history {job.id}` tells its way"


_BY_CODE: Final[Mapping[str, type[HeadraceError]]] = {
    kind.code: kind
    for kind in (
        Conflict, Forbidden, InMaintenance, InvalidDomain, InvalidInput, InvalidName, InvalidSpec,
        NeverFits, NotFound, Stale, TooLarge, Unauthorized, Unavailable,
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
