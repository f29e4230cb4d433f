"""Traces in the Standard Workload Format (SWF), version 2.2: read and written.

The format is that of D. G. Feitelson's Parallel Workloads Archive,
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html: a line a job with 18 numbers, -1 where
one is not known; lines that begin with `;` are comments, those of the head are `; Name: value`.

What counts here of the fields: submit time (2), run time (4), processors asked (8) or else
allocated (5), time asked (9), memory asked (10, kB a processor) or else used (7), status (11),
user (12), application (14). The waiting time of the recorded machine is its own and not read;
that a job waited for another (17, 18) already shows in when it was submitted.
"""

import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Final

from headrace_local.simulate.trace import Trace, TraceJob
from headrace_model.errors import InvalidInput, TooLarge

MOST_JOBS: Final = 10_000_000
MOST_CPUS: Final = 1_000_000  # of one job; one CPU is 1000 millicpus, of which there are 10**9
LONGEST_LINE: Final = 4_096
_LARGEST: Final = 2.0**53
_FIELDS: Final = (
    "job number", "submit time", "wait time", "run time", "allocated processors",
    "average CPU time", "used memory", "requested processors", "requested time",
    "requested memory", "status", "user", "group", "application", "queue", "partition",
    "preceding job", "think time",
)  # fmt: skip
_WHOLE: Final = frozenset({0, 4, 7, 10, 11, 12, 13, 14, 15, 16})
_PARTS: Final = frozenset({2, 3, 4})  # statuses of a part of a job that has a line of its own
_CANCELED: Final = 5
_NEVER_RAN: Final = "never ran"
_PART: Final = "a part of another"
_NO_RUN_TIME: Final = "run time or processors unknown"
_HEAD: Final = re.compile(r";\s*(MaxNodes|MaxProcs)\s*:\s*([0-9]{1,9})\b")


def parse_swf(lines: Iterable[str], source: str, most: int | None = None) -> Trace:
    """Read a trace, of which the first `most` jobs count.

    Raises `InvalidInput`, which names the line, and `TooLarge`.
    """
    jobs: list[TraceJob] = []
    left_out: dict[str, int] = {}
    machine: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if most is not None and len(jobs) >= most:
            break
        if len(jobs) >= MOST_JOBS:
            raise TooLarge(f"{source} has more than {MOST_JOBS:,} jobs", hint="give --jobs")
        if len(line) > LONGEST_LINE:
            raise _wrong(source, number, f"it is longer than {LONGEST_LINE} characters")
        text = line.strip()
        if text.startswith(";"):
            if (said := _HEAD.match(text)) and int(said[2]):
                machine[said[1]] = int(said[2])
        elif text:
            found = _job(source, number, text.split())
            if isinstance(found, TraceJob):
                jobs.append(found)
            else:
                left_out[found] = left_out.get(found, 0) + 1
    if not jobs:
        raise InvalidInput(f"{source} holds no job that ran", hint="it must be a file in SWF")
    jobs.sort(key=lambda job: job.submit_ms)  # stable: of one moment in the order of the file
    return Trace(
        source,
        tuple(jobs),
        left_out,
        machine.get("MaxNodes"),
        machine.get("MaxProcs", machine.get("MaxNodes")),
    )


def _job(source: str, line: int, words: list[str]) -> TraceJob | str:
    """The job of a line, or why it has none."""
    if len(words) != len(_FIELDS):
        raise _wrong(source, line, f"it has {len(words)} fields, and a job has {len(_FIELDS)}")
    values = [_value(source, line, at, word) for at, word in enumerate(words)]
    (number, submit, _, run, allocated, _, used, wanted, limit, memory, status, user, _, app) = (
        values[:14]
    )
    if submit is None:
        raise _wrong(source, line, "the submit time (field 2) must be known")
    if status in _PARTS:
        return _PART
    cpus = wanted or allocated
    if status == _CANCELED and not run:
        return _NEVER_RAN
    if run is None or not cpus:
        return _NO_RUN_TIME
    if cpus > MOST_CPUS:
        raise _wrong(source, line, f"a job of more than {MOST_CPUS:,} processors")
    kilobytes = memory if memory is not None else used
    return TraceJob(
        number=int(number or 0),
        submit_ms=round(submit * 1000),
        run_ms=round(run * 1000),
        cpus=int(cpus),
        limit_ms=round(limit * 1000) if limit else None,
        memory_bytes=None if kilobytes is None else int(kilobytes * 1024),
        user="unknown" if user is None else f"u{user:.0f}",
        application="" if app is None else f"a{app:.0f}",
    )


def _value(source: str, line: int, at: int, word: str) -> float | None:
    """A number of a line; None: not known."""
    name = f"the {_FIELDS[at]} (field {at + 1})"
    try:
        value = float(word)
    except ValueError:
        raise _wrong(source, line, f"{name} is {word[:40]!r}, which is no number") from None
    if value == -1:
        return None
    if not isfinite(value) or not 0 <= value <= _LARGEST:
        raise _wrong(source, line, f"{name} is {word[:40]}; it must be 0 or more, or -1: unknown")
    if at in _WHOLE and value != int(value):
        raise _wrong(source, line, f"{name} is {word[:40]}; it must be a whole number")
    return value


def _wrong(source: str, line: int, why: str) -> InvalidInput:
    return InvalidInput(
        f"{source}, line {line}: {why}",
        hint="a line of SWF is 18 numbers with spaces between, or a comment that begins with ;",
    )


def write_swf(trace: Trace) -> Iterator[str]:
    """The lines of a trace; `parse_swf` reads the same trace from them, users and all.

    Times keep their milliseconds: SWF allows them. Users and applications are written as the
    numbers that they were read or made with.
    """
    yield "; Version: 2.2\n"
    yield f"; Note: {trace.source}\n"
    yield f"; MaxJobs: {len(trace.jobs)}\n"
    if trace.nodes:
        yield f"; MaxNodes: {trace.nodes}\n"
    if trace.cpus:
        yield f"; MaxProcs: {trace.cpus}\n"
    for job in trace.jobs:
        memory = -1 if job.memory_bytes is None else job.memory_bytes / 1024
        limit = -1 if job.limit_ms is None else job.limit_ms / 1000
        user = job.user[1:] if job.user[1:].isdigit() else "-1"
        application = job.application[1:] or "-1"
        yield (
            f"{job.number} {_plain(job.submit_ms / 1000)} -1 {_plain(job.run_ms / 1000)} "
            f"{job.cpus} -1 -1 {job.cpus} {_plain(limit)} {_plain(memory)} 1 {user} -1 "
            f"{application} -1 -1 -1 -1\n"
        )


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else repr(value)
