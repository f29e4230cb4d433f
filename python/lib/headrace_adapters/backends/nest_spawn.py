"""Starting one worker's process: a session of its own, nothing inherited, nothing in doubt."""

import contextlib
import errno
import os
import signal
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


def _program(name: str, env: Mapping[str, str]) -> str:
    """Find a program as execvp(3) does, in the PATH of `env`; raises OSError."""
    if "/" in name:
        return name
    number = errno.ENOENT
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        if os.path.exists(path):
            number = errno.EACCES
    raise OSError(number, os.strerror(number), name)


def spawn(
    key: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    outputs: tuple[str, str],
) -> int:
    """Start a worker and give its pid; the caller has to reap it.

    Returns after the exec has succeeded (the parent is held by vfork until then, about 1 ms).
    The program is looked up in the PATH of `env`. Raises `NotStarted`. Not by `subprocess`, which
    costs twice the CPU; posix_spawn takes neither folder nor umask, so that ours change meanwhile.
    """
    with contextlib.ExitStack() as opened:
        stdout, stderr = (_open_output(path, opened) for path in outputs)
        home = os.open(".", os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, home)
        umask = os.umask(_UMASK)
        try:
            os.chdir(cwd)
            pid = os.posix_spawn(
                _program(argv[0], env),
                tuple(argv),
                {**env, MARKER: key},
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, stdout, 1),
                    (os.POSIX_SPAWN_DUP2, stderr, 2),
                ),
                setsid=True,
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        except OSError as error:
            raise NotStarted(_sentence(error, argv, cwd)) from error
        except (ValueError, IndexError) as error:  # NUL bytes, '=' in a name, no argument at all
            raise NotStarted(f"the command can't be executed: {_reason(error)}") from error
        finally:
            os.fchdir(home)
            os.umask(umask)
    with (
        contextlib.suppress(OSError),  # the worker may have ended already
        open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as score,
    ):
        score.write(str(_OOM_SCORE))
    return pid
