"""What a failed attempt most likely failed of: a class, the last lines that it wrote, a hint.

Pure rules, tried in order; the first that fits tells. A rule may ask for a cause, for exit codes
(-n: signal n; a shell says 128 + n) and for words at the end of the log.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from headrace_model.cause import Cause

LINES: Final = 8
"""Last lines that are shown."""
_WIDEST: Final = 300
_LOOKED_AT: Final = 60  # lines from the end in which words are looked for


class Fault(StrEnum):
    """What kind of failure it was."""

    MEMORY = "MEMORY"
    TIME_LIMIT = "TIME_LIMIT"
    MACHINE = "MACHINE"
    IMAGE = "IMAGE"
    DISK_FULL = "DISK_FULL"
    MPI = "MPI"
    PYTHON = "PYTHON"
    MISSING_FILE = "MISSING_FILE"
    MISSING_DATA = "MISSING_DATA"
    NO_COMMAND = "NO_COMMAND"
    NOT_EXECUTABLE = "NOT_EXECUTABLE"
    KILLED = "KILLED"
    CRASHED = "CRASHED"
    OUTPUT = "OUTPUT"
    TASKS = "TASKS"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Triage:
    """`line`: the line of the log that tells most, of the last `lines`; empty: none does."""

    fault: Fault
    hint: str
    line: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """`words` are looked for in the detail and at the end of the log; `{0}` in the hint stands for
    the first group that they match, JOB for the job's id; `arrays`: it is for arrays alone."""

    fault: Fault
    hint: str
    causes: frozenset[Cause] = frozenset()  # none: any
    codes: frozenset[int] = frozenset()  # none: any
    words: re.Pattern[str] | None = field(default=None)
    arrays: bool = False


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_EXITED: Final = frozenset({Cause.EXIT_CODE, Cause.NOT_STARTED})
_RULES: Final = (
    _Rule(
        Fault.MEMORY,
        "it needs more memory than it asked for: raise `resources.memory`, or let attempts raise "
        "it (`retry.memory_limit`)",
        causes=frozenset({Cause.OOM}),
    ),
    _Rule(
        Fault.TIME_LIMIT,
        "raise `limits.time`, which bounds all of its tasks together; with TIME_LIMIT in "
        "`retry.on` the next attempt runs the tasks that have not ended",
        causes=frozenset({Cause.TIME_LIMIT}),
        arrays=True,
    ),
    _Rule(
        Fault.TIME_LIMIT,
        "raise `limits.time`; of a job on one node `checkpoint` and TIME_LIMIT in `retry.on` let "
        "the next attempt go on where this one was",
        causes=frozenset({Cause.TIME_LIMIT}),
    ),
    _Rule(
        Fault.MACHINE,
        "machines were lost, not the command: where it happens again and again it may be what "
        "ends them; `headrace nodes list` shows them",
        causes=frozenset({Cause.NODE_LOST, Cause.ATTEMPT_LOST, Cause.RESTORED, Cause.POISON}),
    ),
    _Rule(
        Fault.TASKS,
        "`headrace jobs tasks JOB --state failed` tells which tasks, `headrace jobs logs JOB "
        "--task N` what one wrote",
        causes=frozenset({Cause.TASKS}),
    ),
    _Rule(
        Fault.IMAGE,
        "the image can't be had: see its name and tag, and whether the nodes may log in at its "
        "registry",
        causes=frozenset({Cause.NOT_STARTED, Cause.STAGING}),
        words=_words(r"\bimage\b|\bmanifest unknown|\bpull access denied|\bregistry\b"),
    ),
    _Rule(
        Fault.DISK_FULL,
        "a disk was full: write less, or have an admin make room (`headrace nodes list` shows the "
        "nodes' disks)",
        words=_words(r"no space left on device|disk quota exceeded|\bENOSPC\b"),
    ),
    _Rule(
        Fault.MISSING_DATA,
        "its inputs could not be had: `headrace dataset match FILE` tells what each would get",
        causes=frozenset({Cause.STAGING}),
    ),
    _Rule(
        Fault.OUTPUT,
        "it ended well, but what it left below {output} is not what `outputs` declares",
        causes=frozenset({Cause.COLLECTION}),
    ),
    _Rule(
        Fault.MEMORY,
        "the program itself ran out of memory: raise `resources.memory`, or let it hold less at a "
        "time",
        causes=_EXITED,
        words=_words(
            r"\bMemoryError\b|std::bad_alloc|cannot allocate memory|out of memory|"
            r"virtual memory exhausted|Unable to allocate [\d.]+ [KMGT]iB"
        ),
    ),
    _Rule(
        Fault.MISSING_FILE,
        "it misses a file: {0} (inputs lie in the folders that their names stand for, what "
        "`files` names in the working folder)",
        causes=_EXITED,
        words=_words(
            r"FileNotFoundError:.*?'([^']+)'|[:'\"] ?([^\s:'\"]+)['\"]?: No such file or directory"
        ),
    ),
    _Rule(
        Fault.PYTHON,
        "Python lacks the module {0}: name its package in `environment.pip`, or use an image that "
        "has it",
        causes=_EXITED,
        words=_words(r"\bNo module named ['\"]?(\w+(?:\.\w+)*)"),
    ),
    _Rule(
        Fault.MPI,
        "a rank gave up and took the others along: the lines of the rank that was first tell why "
        "(`headrace jobs logs JOB --rank N`)",
        causes=_EXITED,
        words=_words(
            r"MPI_ABORT was invoked|\bmpirun (?:noticed|detected)|PRTE?.*ABORT|MPI_Abort"
        ),
    ),
    _Rule(
        Fault.NO_COMMAND,
        "a command is not found: see how it is spelt, and that the image or environment has it",
        causes=_EXITED,
        codes=frozenset({127}),
    ),
    _Rule(
        Fault.NO_COMMAND,
        "the program is not there: see how it is spelt, and that the image or environment has it",
        causes=frozenset({Cause.NOT_STARTED}),
        words=_words(r"no such file|not found|executable file"),
    ),
    _Rule(
        Fault.NOT_EXECUTABLE,
        "the program is there and may not be run: name its interpreter (`[sh, run.sh]`), or set "
        "its x bit",
        causes=_EXITED,
        codes=frozenset({126}),
    ),
    _Rule(
        Fault.PYTHON,
        "Python raised {0}: its traceback is in the log",
        causes=_EXITED,
        words=re.compile(r"^((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b.*)", re.M),
    ),
    _Rule(
        Fault.KILLED,
        "SIGKILL came from outside of Headrace, or from the command itself; where the machine ran "
        "out of memory its kernel does that",
        causes=_EXITED,
        codes=frozenset({137, -9}),
    ),
    _Rule(
        Fault.CRASHED,
        "the program crashed: most often a bug of a compiled model or library, or a stack that is "
        "too small (`ulimit -s unlimited` in a shell)",
        causes=_EXITED,
        codes=frozenset({134, 135, 136, 139, -4, -6, -7, -8, -11}),
    ),
)
_OTHER: Final = "the last lines of its log may tell; all of it: `headrace jobs logs JOB`"


def triage(
    cause: Cause,
    exit_code: int | None,
    detail: str,
    log: str,
    nodes: Sequence[str] = (),
    *,
    job: str = "JOB",
    is_array: bool = False,
) -> Triage:
    """Judge a failed attempt by how it ended and by the end of what its worker wrote.

    `job`: its id, which hints name. `nodes`: machines on which attempts of the job ended by the
    same cause and exit code: where they are several it is no machine's fault.
    """
    lines = [line.rstrip()[:_WIDEST] for line in log.splitlines() if line.strip()]
    end = "\n".join([detail, *lines[-_LOOKED_AT:]])
    shown = tuple(lines[-LINES:])
    for rule in _RULES:
        if (rule.causes and cause not in rule.causes) or (rule.arrays and not is_array):
            continue
        if rule.codes and exit_code not in rule.codes:
            continue
        last: re.Match[str] | None = None
        if rule.words is not None:
            last = next(reversed(list(rule.words.finditer(end))), None)
            if last is None:
                continue
        group = next((each for each in last.groups() if each), "") if last else ""
        hint = _naming(job, rule.hint)
        if rule.words and rule.words.groups:
            hint = hint.format(group)
        return Triage(rule.fault, hint + _everywhere(cause, nodes), _line_of(last, lines), shown)
    hint = _naming(job, _OTHER)
    return Triage(Fault.OTHER, hint + _everywhere(cause, nodes), "", shown)


def _naming(job: str, hint: str) -> str:
    return re.sub(r"\bJOB\b", job, hint)


def _line_of(found: re.Match[str] | None, lines: Sequence[str]) -> str:
    if found is None:
        return ""
    words = found.group(0).splitlines()[-1].strip()
    return next((line for line in reversed(lines) if words in line), "")


def _everywhere(cause: Cause, nodes: Sequence[str]) -> str:
    different = sorted(set(nodes))
    if len(different) < 2 or cause in (Cause.NODE_LOST, Cause.ATTEMPT_LOST, Cause.POISON):
        return ""
    return f"; it ended so on {' and '.join(different[:3])}, so it is the job, not a machine"
