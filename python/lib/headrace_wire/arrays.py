"""The record of an array as Redis holds it: `lua/_arrays.lua` says what its fields are."""

from collections.abc import Mapping
from typing import Final

from headrace_model.array import ArrayRecord, OutputPart, TaskCounts, TaskFailure
from headrace_model.cause import Cause
from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId

CHUNK_TASKS: Final = 768
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# The states of the three tasks in each letter, the first one in the lowest bits.
_STATES: Final = {
    letter: bytes((value & 3, value >> 2 & 3, value >> 4)) for value, letter in enumerate(_LETTERS)
}


def read_counts(fields: Mapping[str, str | None]) -> TaskCounts:
    """Read the counts; raises `ValueError`, `KeyError`."""
    names = ("total", "waiting", "running", "done", "failed")
    return TaskCounts(*(int(fields[name] or "") for name in names))


def read_array(job: JobId, fields: Mapping[str, str]) -> ArrayRecord:
    """Read `hr:array:<job>`; raises `InvalidInput` for a hash that is not an array."""
    try:
        counts = read_counts(fields)
        states = bytearray(counts.total)
        failures: dict[int, TaskFailure] = {}
        parts: dict[int, OutputPart] = {}
        for name, value in fields.items():
            kind, number = name[0], name[1:]
            if not number.isdigit():
                continue
            if kind == "c":
                begin = int(number) * CHUNK_TASKS
                chunk = b"".join(_STATES[letter] for letter in value)
                room = min(len(chunk), counts.total - begin)
                states[begin : begin + room] = chunk[:room]
            elif kind == "f":
                failures[int(number)] = _failure(int(number), value)
            elif kind == "p":
                parts[int(number)] = _part(value)
        return ArrayRecord(
            counts=counts,
            states=bytes(states),
            failures=failures,
            parts=tuple(parts[number] for number in sorted(parts)),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInput(f"hr:array:{job} is damaged: {error!r}") from None


def _failure(index: int, text: str) -> TaskFailure:
    tries, cause, code, detail = text.split(" ", 3)
    exit_code = None if code == "-" else int(code)
    return TaskFailure(index, int(tries), Cause(cause), exit_code, detail)


def _part(text: str) -> OutputPart:
    digest, spans = text.split(" ")
    pairs = (span.split("-") for span in spans.split(","))
    return OutputPart(digest, tuple((int(begin), int(end)) for begin, end in pairs))
