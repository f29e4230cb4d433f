"""Starting one worker's process: a session of its own, nothing inherited, nothing in doubt."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from headrace_adapters.backends.proc_tree import MARKER

_UMASK: Final = 0o022
_OOM_SCORE: Final = 500
"""The kernel, out of memory, shall take workers before the services of the machine."""


class NotStarted(Exception):
    """The worker could not be executed; the message is a sentence that says why."""


def _open_output(path: str, opened: contextlib.ExitStack) -> int:
    # O_NONBLOCK: a pipe without a reader must refuse here and not hold up the nest.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, 0o644)
    except (OSError, ValueError) as error:
        raise NotStarted(f"the output file {path} can't be opened: {_reason(error)}") from error
    opened.callback(os.close, file)
    os.set_blocking(file, True)
    return file


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or type(error).__name__


def _sentence(error: OSError, argv: Sequence[str], cwd: str) -> str:
    if error.filename == cwd:
        return f"the working directory {cwd} can't be used: {_reason(error)}"
    if error.errno == errno.ENOENT:
        return f"there is no program {argv[0]!r} (nor the interpreter that it names)"
    if error.errno == errno.EACCES:
        return f"the program {argv[0]!r} may not be executed"
    if error.errno == errno.ENOEXEC:
        return f"the program {argv[0]!r} has a format that this machine can't execute"
    if error.errno == errno.E2BIG:
        return "the arguments and the environment together are too long"
    return f"the program {argv[0]!r} can't be started: {_reason(error)}"


def spawn(
    key: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    outputs: tuple[str, str],
) -> int:
    """Start a worker and give its pid; the caller has to reap it.

    Returns after the exec has succeeded (the parent is held by vfork until then, about 1 ms).
    The program is looked up in the PATH of `env`. Raises `NotStarted`.
    """
    with contextlib.ExitStack() as opened:
        stdout, stderr = (_open_output(path, opened) for path in outputs)
        try:
            process = subprocess.Popen(  # noqa: S603 - running what users ask for is its purpose
                argv,
                env={**env, MARKER: key},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                umask=_UMASK,
            )
        except OSError as error:
            raise NotStarted(_sentence(error, argv, cwd)) from error
        except (ValueError, IndexError) as error:  # NUL bytes, '=' in a name, no argument at all
            raise NotStarted(f"the command can't be executed: {_reason(error)}") from error
    # The nest reaps all children by one wait; Popen must not wait for this one a second time.
    process.returncode = 0
    with (
        contextlib.suppress(OSError),  # the worker may have ended already
        open(f"/proc/{process.pid}/oom_score_adj", "w", encoding="ascii") as score,
    ):
        score.write(str(_OOM_SCORE))
    return process.pid
