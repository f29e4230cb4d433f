"""Exit codes of `headrace`, and how an error is said: in one place."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from headrace_client.errors import Untrusted
from headrace_model.errors import (
    Conflict,
    Forbidden,
    HeadraceError,
    InMaintenance,
    InvalidInput,
    NeverFits,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from headrace_model.status import Status

if TYPE_CHECKING:
    from headrace_wire.api import JobView
    from headrace_wire.why import Outcome

OK: Final = 0
JOB_FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 4
UNAVAILABLE: Final = 5
NOT_AUTHENTICATED: Final = 6
ENDED_BY_WISH: Final = 7
WAITS: Final = 8
NEVER: Final = 9
NO_DATA: Final = 10
INTERNAL: Final = 70
INTERRUPTED: Final = 130

TABLE: Final = """\b
Exit codes:
  0    done; with --follow, the job has completed
  1    the job failed (with --follow: its worker's own exit code, if it had one)
  2    the command line is wrong
  3    the job, dataset, node, user or group is not known
  4    refused: you may not, or the job file or the state of things forbids it
  5    Headrace does not answer, takes nothing new now (no room, maintenance), or its
       certificate is not to be trusted
  6    not logged in: a wrong password, or the token is missing, unknown or expired
  7    the job was canceled or stopped
  8    of `exec plan`: the job would wait
  9    of `exec plan`: the job could never start, whatever the reason: nodes, labels, pool, quota,
       deadline, or a job in `after` that failed
  10   of `exec plan`: data is missing
  70   an error inside headrace
  130  interrupted; a followed job goes on"""

_CODES: Final[tuple[tuple[type[HeadraceError], int], ...]] = (
    (Unauthorized, NOT_AUTHENTICATED),
    (NotFound, NOT_FOUND),
    (Unavailable, UNAVAILABLE),
    (InMaintenance, UNAVAILABLE),
    (Untrusted, UNAVAILABLE),
    (Forbidden, REFUSED),
    (Conflict, REFUSED),
    (NeverFits, REFUSED),
    (TooLarge, REFUSED),
    (InvalidInput, REFUSED),
)


class Interrupted(Exception):
    """Ctrl-C ended a command in the middle; what is left of it, and how to go on."""

    def __init__(self, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_step = next_step


def detached(command: str) -> Interrupted:
    """Ctrl-C ended the following of a job, not the job; `command` follows it again."""
    return Interrupted("detached; the job goes on", f"follow it again with `{command}`")


@contextmanager
def resumable(next_step: str = "the same command takes it up again") -> Iterator[None]:
    """Say after Ctrl-C how a transfer goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what has arrived is kept", next_step) from None


def code_of(error: HeadraceError) -> int:
    """The exit code that an error means."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL)


def code_of_job(job: "JobView") -> int:
    """The exit code that stands for how a job ended."""
    if job.status is Status.COMPLETED:
        return OK
    if job.status in (Status.CANCELED, Status.STOPPED):
        return ENDED_BY_WISH
    code = job.exit_code or 0
    if code < 0:  # ended by a signal: what a shell would say
        code = 128 - code
    return code if 0 < code < 256 else JOB_FAILED


def code_of_outcome(outcome: "Outcome") -> int:
    """The exit code of what would come of a submit."""
    return {"STARTS": OK, "WAITS": WAITS, "DATA_MISSING": NO_DATA, "NEVER": NEVER}[outcome.value]


def say(error: HeadraceError) -> None:
    """Say an error on standard error: what and why, then what to do next."""
    print_error(error.message, error.hint)


def print_error(sentence: str, next_step: str | None) -> None:
    """Write a sentence and the next step to standard error."""
    sys.stderr.write(f"headrace: {sentence}\n")
    if next_step:
        sys.stderr.write(f"  next: {next_step}\n")
