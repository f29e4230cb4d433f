"""Python programs of ours as processes of their own that need not import anything.

A service imports for half a second of CPU, a command for a third, and tests start thousands. Here
one process has imported it all; each program is a fork of it, with its own words, environment,
folder and files. That the programs also start without this is shown by the tests of pages, of
`headrace local` and of images.
"""

import atexit
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_PROJECT: Final = Path(__file__).parents[2]
_LONGEST: Final = 2**20
_COMMANDS: Final = ("headrace_client", "headrace_local")
_SERVICES: Final = ("agent", "cluster", "data", "monitor", "request", "scheduler")
_FILES: Final = ("p2cread", "c2pwrite", "errwrite")  # as Popen calls the ends of a child

Done = subprocess.CompletedProcess[str]


class Preloaded(subprocess.Popen[Any]):
    """As `subprocess.Popen`, for `[sys.executable, "-c", CODE, …]` and `[…, "-m", MODULE, …]`.

    Of Popen's options only those for files, text, environment and folder. The process is no child
    of this one but of the one that it is a fork of, which tells how it ended.
    """

    def _execute_child(self, *given: Any) -> None:
        start = inspect.signature(subprocess.Popen._execute_child)
        asked = start.bind(self, *given).arguments
        files = [number if asked[end] == -1 else asked[end] for number, end in enumerate(_FILES)]
        environ: Mapping[str, str] = os.environ if asked["env"] is None else asked["env"]
        request = {
            "words": [os.fspath(word) for word in asked["args"]][1:],
            "environ": {name: os.fspath(value) for name, value in environ.items()},
            "folder": os.fspath(asked["cwd"] or os.getcwd()),
            "umask": _umask(),
        }
        self._told, theirs = socket.socketpair()
        with theirs:
            message = json.dumps(request).encode()
            socket.send_fds(_server(), [message], [*files, theirs.fileno()])
        self.pid = _number(self._told)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[end] for end in ends))

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        try:
            self._told.setblocking(wait_flags != os.WNOHANG)
            status = _number(self._told)
        except BlockingIOError:
            return 0, 0
        self._told.close()
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def run(command: Sequence[str], *, typed: str = "", timeout: float, **how: Any) -> Done:
    """Run a program to its end, with what it is given as standard input; gives what it said."""
    pipe = subprocess.PIPE
    with Preloaded(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **how) as process:
        try:
            out, err = process.communicate(typed, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Done(command, process.returncode, out, err)


def end() -> None:
    """End the process that forks, where there is one. Its forks go on."""
    if _running:
        server, control = _running.pop()
        control.close()
        server.wait()


_running: list[tuple["subprocess.Popen[bytes]", socket.socket]] = []


def _server() -> socket.socket:
    """Where forks are asked for; the process that makes them is started the first time."""
    if not _running:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LONGEST)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            server = subprocess.Popen(
                command, cwd=_PROJECT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        _running.append((server, ours))
    return _running[0][1]


def _number(told: socket.socket) -> int:
    data = told.recv(8, socket.MSG_WAITALL)
    if len(data) < 8:
        raise RuntimeError("the process that forks programs has ended; what it said stands above")
    return int.from_bytes(data)


# ---- the process that forks


def _preload() -> None:
    for name in _COMMANDS:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for service in _SERVICES:
        importlib.import_module(f"headrace_{service}.main")
    importlib.import_module("tests.support.crash_points")
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork whenever asked to, until nobody can ask any more; a fork returns what it is to run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    told: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _tell_ends(told)
        if control not in ready:
            continue
        message, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
        if not message:
            sys.exit()
        if pid := os.fork():
            report = told[pid] = socket.socket(fileno=files.pop())
            report.sendall(pid.to_bytes(8))
            for file in files:
                os.close(file)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in (control, woken, wake, *told.values()):
            each.close()
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
        for file in files:
            os.close(file)
        return dict(json.loads(message))


def _tell_ends(told: dict[int, socket.socket]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with told.pop(pid) as report:
            try:
                report.sendall(status.to_bytes(8))
            except BrokenPipeError:
                continue  # nobody waits for it


def _live(request: dict[str, Any]) -> None:
    """Run the program and end as it does, but without taking apart what all forks share."""
    code: object = None
    try:
        _become(request)
    except SystemExit as ended:
        code = ended.code
    if not (code is None or isinstance(code, int)):
        sys.exit(str(code))
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _become(request: dict[str, Any]) -> None:
    """Run the program as if it had been started by itself."""
    way, what, *words = request["words"]
    os.chdir(request["folder"])
    os.umask(request["umask"])
    before = os.environ.get("PYTHONPATH", "")
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.path[0] = "" if way == "-c" else os.getcwd()
    if (more := os.environ.get("PYTHONPATH", "")) != before:
        sys.path[1:1] = more.split(os.pathsep)
        importlib.invalidate_caches()
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        how = "r" if number == 0 else "w"
        buffering = 1 if number == 2 or os.isatty(number) else -1
        setattr(sys, name, os.fdopen(number, how, buffering, encoding="utf-8", closefd=False))
    sys.argv = [way, *words]
    if way == "-m":
        sys.modules.pop(what, None)
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(what, vars(program))  # noqa: S102 - what a test has written


if __name__ == "__main__":
    _preload()
    _live(_serve(socket.socket(fileno=int(sys.argv[1]))))
