"""How a worker's end becomes a fact, with a cause and a sentence that a user understands."""

from typing import assert_never

from headrace_model.cause import Cause
from headrace_model.units import rough_size
from headrace_model.work import Fact, FactKind, Work
from headrace_model.worker import ExitCause, WorkerExit

WATCHDOG_KILLED = "killed: exclusive, and Redis was out of reach"


def exit_fact(work: Work, ended: WorkerExit, *, watchdog: bool) -> Fact:
    """The EXITED fact; `watchdog` tells that the agent itself killed an exclusive worker."""
    limit = work.resources.memory_bytes if work.resources else None
    cause, detail = exit_cause(ended, f"worker {work.rank}", limit)
    if watchdog and ended.signal is not None:
        cause, detail = Cause.ATTEMPT_LOST, WATCHDOG_KILLED
    return Fact(
        node=work.node,
        job=work.job,
        attempt=work.attempt,
        kind=FactKind.EXITED,
        cause=cause,
        detail=detail,
        exit_code=ended.exit_code,
        signal=ended.signal,
        peak_memory_bytes=ended.peak_memory_bytes or None,
        at_ms=ended.at_ms,
    )


def exit_cause(ended: WorkerExit, who: str, memory_bytes: int | None) -> tuple[Cause | None, str]:
    """Why an end was no good one (None: it was), and a sentence about `who` and its limit."""
    match ended.cause:
        case ExitCause.EXITED if ended.exit_code == 0:
            return None, ""
        case ExitCause.EXITED:
            return Cause.EXIT_CODE, f"{who} left with exit code {ended.exit_code}"
        case ExitCause.SIGNALED:
            return Cause.EXIT_CODE, f"{who} was ended by {_signal_name(ended.signal)}"
        case ExitCause.OOM:
            asked = "what it asked" if memory_bytes is None else rough_size(memory_bytes)
            return Cause.OOM, f"{who} used more memory than {asked}: ask for more"
        case ExitCause.NOT_STARTED:
            return Cause.NOT_STARTED, f"{who} could not be started: {ended.message}"
        case ExitCause.LOST:
            return Cause.ATTEMPT_LOST, f"what watched over {who} died, so its end is not known"
    assert_never(ended.cause)


# The signals that end a worker in practice, by their numbers on Linux (signal(7)).
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}


def _signal_name(number: int | None) -> str:
    return _SIGNALS.get(number or 0, f"signal {number}")
