"""The nest: a small process that starts workers, watches them and outlives every service.

`python -m headrace_adapters.backends.nest FOLDER [--sampled]` returns when the nest serves
the socket in FOLDER: status 0, or 75 when another nest holds the folder. The nest itself is
then a detached process in its own session. It ignores SIGTERM, SIGHUP and SIGINT (a service's
stop is no reason to end workers) and ends by the `shutdown` message, when it holds no living
worker, or by SIGKILL. `--sampled` forgoes control groups.

FOLDER holds `lock`, `journal`, `socket` and `log`.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import sys
import time
import traceback
from typing import Final

from headrace_adapters.backends import proc_tree
from headrace_adapters.backends.nest_clients import Client, Clients
from headrace_adapters.backends.nest_journal import Journal, Record
from headrace_adapters.backends.nest_memory import MemoryGroups, find_memory_groups
from headrace_adapters.backends.nest_queue import Queue
from headrace_adapters.backends.nest_wire import LOCKED_STATUS, SOCKET_NAME, Message
from headrace_adapters.backends.nest_worker import SAMPLED
from headrace_adapters.backends.nest_workers import Workers
from headrace_model.errors import Conflict, InvalidInput

_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
_MAX_PAGE: Final = 1000
_BACKLOG: Final = 64


class Nest:
    """Answers requests out of the workers it holds."""

    def __init__(self, listener: socket.socket, journal: Journal, groups: MemoryGroups | None):
        self._boot = proc_tree.boot_id()
        self._groups = groups
        self._clients = Clients(listener, self._answer)
        self._workers = Workers(journal, groups, self._boot, self._tell)
        self._workers.restore(journal.read().values())
        self._queue = Queue(self._workers)
        self._ending = False

    def run(self, wakeup: socket.socket) -> None:
        """Serve until a `shutdown`."""
        self._clients.watch(wakeup)
        while not self._ending:
            self._workers.reap()
            self._workers.tick(time.monotonic())
            self._queue.fill(time.monotonic())
            due = min(self._workers.next_due(), self._queue.next_due())
            wait_s = due - time.monotonic()
            self._clients.serve(None if wait_s == float("inf") else max(0.0, wait_s))
        self._clients.close()
        if self._groups is not None:
            self._groups.remove()

    def _tell(self, record: Record) -> None:
        self._clients.push({"exit": record})
        self._queue.slot_free()

    def _answer(self, client: Client, request: Message) -> Message:
        match request.get("op"):
            case "spawn":
                return {"worker": self._workers.spawn(request)}
            case "queue":
                self._queue.add(request)
                return {}
            case "stop":
                job, attempt = str(request["job"]), int(request["attempt"])
                self._queue.drop(job, attempt)
                grace_s = max(0, int(request["grace_ms"])) / 1000
                return {"left": self._workers.stop(job, attempt, grace_s, time.monotonic())}
            case "signal":
                job, attempt = str(request["job"]), int(request["attempt"])
                return {"sent": self._workers.signal(job, attempt, int(request["number"]))}
            case "forget":
                return self._forget(
                    str(request["job"]), int(request["attempt"]), request.get("keys")
                )
            case "list":
                most = min(_MAX_PAGE, int(request["most"]))
                workers, last, more = self._workers.page(int(request["after"]), most)
                return {"workers": workers, "last": last, "more": more}
            case "usage":
                return {"usage": self._workers.usage()}
            case "subscribe":
                client.subscribed = True
                return {}
            case "ping":
                return {
                    "boot": self._boot,
                    "pid": os.getpid(),
                    "living": self._workers.living,
                    "memory_limit_by": self._groups.dialect.name if self._groups else SAMPLED,
                    "sample_ms": self._workers.sample_ms,
                }
            case "shutdown":
                return self._shutdown()
            case unknown:
                raise InvalidInput(f"the nest knows no {unknown!r}")

    def _forget(self, job: str, attempt: int, keys: list[str] | None) -> Message:
        forgot = self._workers.forget(job, attempt, None if keys is None else frozenset(keys))
        if forgot is None:
            raise Conflict(
                f"attempt {attempt} of job {job} can't be forgotten while a worker of it lives",
                hint="stop it first",
            )
        if forgot:
            self._clients.push({"forgot": forgot})
        return {"forgot": forgot}

    def _shutdown(self) -> Message:
        if self._workers.living:
            raise Conflict(
                f"the nest holds {self._workers.living} living workers and doesn't end",
                hint="stop them first",
            )
        self._ending = True
        return {}


def _lock(folder: str) -> bool:
    # Held by this process and inherited by the fork of it that stays, until that one's death.
    file = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listen() -> socket.socket:
    # Relative to the folder: a path of more than 107 bytes is no socket address (unix(7)).
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET_NAME)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET_NAME)
    os.chmod(SOCKET_NAME, 0o600)
    listener.listen(_BACKLOG)
    return listener


def _detach() -> None:
    """Go on in a grandchild in its own session; the caller's child ends with status 0."""
    for _ in range(2):
        if os.fork():
            os._exit(0)
        if os.getpid() != os.getsid(0):
            os.setsid()


def _become_subreaper() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def _take_signals() -> socket.socket:
    """Let SIGCHLD wake the loop, and SIGTERM, SIGHUP, SIGINT do nothing.

    Handlers and not SIG_IGN: an ignored signal stays ignored in the workers, a handled one is
    back to its default after the exec.
    """
    wakeup, sender = socket.socketpair()
    wakeup.setblocking(False)
    sender.setblocking(False)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The sender's file number outlives the object; it is needed until the process ends.
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    return wakeup


def _redirect_to_log() -> None:
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)


def main(arguments: list[str]) -> int:
    """Start a nest; returns only in the caller's child, or when the nest has ended."""
    options = [word for word in arguments if word.startswith("--")]
    folders = [word for word in arguments if not word.startswith("--")]
    if len(folders) != 1 or set(options) - {"--sampled"}:
        sys.stderr.write("usage: python -m headrace_adapters.backends.nest FOLDER [--sampled]\n")
        return 64
    folder = os.path.realpath(folders[0])
    os.umask(0o077)
    os.chdir(folder)
    if not _lock(folder):
        return LOCKED_STATUS
    name = "headrace-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    groups = None if "--sampled" in options else find_memory_groups(name)
    journal = Journal(f"{folder}/journal")
    listener = _listen()
    _detach()
    try:
        _redirect_to_log()
        _become_subreaper()
        Nest(listener, journal, groups).run(_take_signals())
    except BaseException:
        # Nobody reads the status of a detached process: the log is all there is.
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
