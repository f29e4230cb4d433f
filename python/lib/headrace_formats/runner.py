"""Detect the format and domain of strangers' files, in a subprocess that can do no harm.

The child gets an empty environment, limits on memory, CPU, open files and time, and can write no
file. Whatever happens to it is a `FormatError` here that names the file it was reading.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from ast import literal_eval
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_formats.errors import FormatError
from headrace_formats.limits import Limits
from headrace_model.domain import Domain, check_format
from headrace_model.errors import HeadraceError, Unavailable

DEFAULT_LIMITS: Final = Limits()
_GENERIC: Final = "GENERIC"  # without the registry: it brings the readers
_CHUNK_BYTES: Final = 1 << 16
_TAIL_BYTES: Final = 8192
_ENVIRONMENT: Final = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "HDF5_USE_FILE_LOCKING": "FALSE",  # read-only stores refuse locks
    "OPENBLAS_NUM_THREADS": "1",  # each of its threads takes address space from the limit
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others take much of it at once
}


@dataclass(frozen=True, slots=True)
class Detected:
    """What the files of a dataset are, and cover; `notes` are sentences for people."""

    format: str
    domain: Domain
    notes: tuple[str, ...] = ()


async def detect_folder(
    folder: Path,
    format: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    inside: Sequence[str] = (),
) -> Detected:
    """Detect the files below `folder` as one dataset; with `format`, check that they are of it.

    `inside`: only those in these folders, by their paths below `folder`.

    Raises `FormatError` for files that are not of the format, or that crash, overfill or
    outlast the child; `Unavailable` when no child can be started. Files that outlast it are
    GENERIC, with a note, where no `format` is wanted. Cancelling kills the child. Repeating is
    harmless: nothing is written.
    """
    arguments = [limits.to_text(), os.fspath(folder), format or "", *inside]
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-B", "-m", "headrace_formats", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"no process could be started to read files: {error}") from error
    tail = bytearray()
    following = asyncio.create_task(_follow(child, tail))
    try:
        async with asyncio.timeout(limits.wall_s):
            answer = await _answer(child, limits.answer_bytes)
            code = await child.wait()
    except TimeoutError:
        said = f"{_reading(tail)}: reading took longer than {limits.wall_s:g} s"
        return _outlasted(said, format)
    finally:
        await asyncio.shield(_end(child, following))
    if code == -signal.SIGXCPU:
        said = f"{_reading(tail)}: reading took more than {limits.cpu_s} s of CPU"
        return _outlasted(said, format)
    if code != 0:
        raise FormatError(f"{_reading(tail)}: {_why(code, tail)}")
    return await asyncio.to_thread(_decode, answer)


def _outlasted(said: str, format: str | None) -> Detected:
    """Large files that nobody calls by a format are files all the same."""
    if format is not None:
        raise FormatError(said)
    return Detected(_GENERIC, Domain(), (f"{said}: taken as {_GENERIC}",))


async def _answer(child: asyncio.subprocess.Process, most_bytes: int) -> bytes:
    answer = bytearray()
    while child.stdout is not None and (chunk := await child.stdout.read(_CHUNK_BYTES)):
        answer += chunk
        if len(answer) > most_bytes:
            raise FormatError(
                f"the domain of these files takes more than {most_bytes:,} bytes to write down",
                hint="split the dataset, or declare its domain and the format GENERIC",
            )
    return bytes(answer)


async def _follow(child: asyncio.subprocess.Process, tail: bytearray) -> None:
    while child.stderr is not None and (chunk := await child.stderr.read(_CHUNK_BYTES)):
        tail += chunk
        del tail[:-_TAIL_BYTES]


async def _end(child: asyncio.subprocess.Process, following: asyncio.Task[None]) -> None:
    """Kill the child if it still runs, and wait until it and its pipes are gone."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    # A pipe that nobody reads keeps the child's end from being noticed (asyncio, some versions).
    while child.stdout is not None and await child.stdout.read(_CHUNK_BYTES):
        pass
    await following
    await child.wait()


def _reading(tail: bytes | bytearray) -> str:
    """The file that the child was reading last."""
    for line in reversed(tail.decode(errors="replace").splitlines()):
        if line.startswith("reading "):
            with contextlib.suppress(ValueError, SyntaxError):
                return str(literal_eval(line.removeprefix("reading ")))
    return "the folder"


def _why(code: int, tail: bytes | bytearray) -> str:
    if code == -signal.SIGKILL:
        return "the reader was killed: the machine may be out of memory"
    if code < 0:
        return f"the reader crashed ({_signal_name(-code)}): the file is damaged, or made to harm"
    lines = tail.decode(errors="replace").split("\n")
    said = next((line for line in reversed(lines) if line.strip()), "nothing")
    return f"the reader failed with exit code {code} and said {said[:200]!r}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _decode(answer: bytes) -> Detected:
    try:
        plain: dict[str, Any] = json.loads(answer)
        if "error" in plain:
            raise FormatError(str(plain["error"]), hint=plain["hint"])
        notes = tuple(str(note) for note in plain["notes"])
        return Detected(check_format(plain["format"]), Domain.from_plain(plain["domain"]), notes)
    except FormatError:
        raise
    except (ValueError, KeyError, TypeError, HeadraceError) as error:
        # A crafted file may have taken the child over: its answer is a stranger's too.
        raise FormatError(f"the reader's answer can't be read: {error!r}"[:500]) from None
