"""How a worker's end becomes a fact, with a cause and a sentence that a user understands."""

from typing import assert_never

from headrace_agent.core.parallel import LOST_CODE
from headrace_model.cause import Cause
from headrace_model.units import rough_size
from headrace_model.work import Fact, FactKind, Work
from headrace_model.worker import ExitCause, WorkerExit

WATCHDOG_KILLED = "killed: exclusive, and Redis was out of reach"


def exit_fact(
    work: Work, ended: WorkerExit, *, watchdog: bool = False, spread: bool = False
) -> Fact:
    """The EXITED fact; `watchdog` tells that the agent itself killed an exclusive worker, `spread`
    that the worker has others on other nodes to work with."""
    limit = work.resources.memory_bytes if work.resources else None
    cause, detail = exit_cause(ended, f"worker {work.rank}", limit)
    if spread and (lost := _lost(work, ended)):
        cause, detail = Cause.ATTEMPT_LOST, lost
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


def _lost(work: Work, ended: WorkerExit) -> str:
    """How the end of a worker that has others is no fault of the command; empty: it is one.

    Only the first runs the command, and it finds out when another one is away. The others end
    when they are told to, and then nobody asks why.
    """
    if work.rank == 0:
        away = ended.exit_code == LOST_CODE
        return "worker 0 lost the worker of another rank (its log tells which)" if away else ""
    match ended.cause:
        case ExitCause.SIGNALED:
            return f"worker {work.rank} on {work.node} was ended by {_signal_name(ended.signal)}"
        case ExitCause.EXITED if ended.exit_code == 0:
            return f"worker {work.rank} on {work.node} ended before the command did"
        case _:
            return ""


def exit_cause(ended: WorkerExit, who: str, memory_bytes: int | None) -> tuple[Cause | None, str]:
    """Why an end was no good one (None: it was), and a sentence about `who` and its limit."""
    match ended.cause:
        case ExitCause.EXITED if ended.exit_code == 0:
            return None, ""
        case ExitCause.EXITED:
            return Cause.EXIT_CODE, f"{who} left with {exit_code_text(ended.exit_code)}"
        case ExitCause.SIGNALED:
            return Cause.EXIT_CODE, f"{who} was ended by {_signal_name(ended.signal)}"
        case ExitCause.OOM:
            asked = "what it asked" if memory_bytes is None else rough_size(memory_bytes)
            return Cause.OOM, f"{who} used more memory than {asked}: ask for more"
        case ExitCause.NOT_STARTED:
            return Cause.NOT_STARTED, f"{who} could not be started: {ended.message}"
        case ExitCause.LOST:
            why = ended.message or "what watched over it died, so its end is not known"
            return Cause.ATTEMPT_LOST, f"{who} was lost: {why}"
    assert_never(ended.cause)


def exit_code_text(code: int | None) -> str:
    """An exit code, with what shells mean by it where they mean something."""
    text = f"exit code {code}"
    if code is None or code <= 125:
        return text
    if code in _OF_SHELLS:
        return f"{text}: to a shell that is {_OF_SHELLS[code]}"
    if code - 128 in _SIGNALS:
        return f"{text}: to a shell that is a program ended by {_signal_name(code - 128)}"
    return text


_OF_SHELLS = {126: "a program that it may not execute", 127: "a command that it does not find"}

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
