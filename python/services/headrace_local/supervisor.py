"""Keeps Redis and the services of one home running: `python -m headrace_local.supervisor HOME`.

It ends what a killed supervisor left, except for the nest and its workers: they live on, and the
new agent adopts them. SIGTERM stops the services gracefully, then Redis. Exit status 75: another
supervisor serves this home.
"""

import asyncio
import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from headrace_adapters.backends.proc_tree import read_stat
from headrace_local import config as configs
from headrace_local import processes, redis_server
from headrace_local.ballast import Ballast
from headrace_local.child import Child, Log
from headrace_local.folders import find_home, prepare, write_private
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError

BUSY_STATUS: Final = 75
SERVICES_GRACE_S: Final = 20.0
REDIS_GRACE_S: Final = 30.0
_REDIS_POLL_S: Final = 0.005
_LONGEST_REDIS_POLL_S: Final = 0.25
_HOUSEKEEPING_S: Final = 10.0
_LOG_LIMIT_BYTES: Final = 32 * 2**20


class Supervisor:
    """The two processes of a home, and what they need around them."""

    def __init__(self, home: Home, config: configs.Config, server: Path, log: Log) -> None:
        self._home = home
        self._config = config
        self._log = log
        self._ballast = Ballast(home.redis, home.log("redis"))
        self._redis_log_from = 0
        self._redis = Child(
            "redis",
            lambda: self._redis_command(server),
            self._environ("redis"),
            home.log("redis"),
            changed=self._write_state,
            ended=self._redis_ended,
            log=log,
            grace_s=REDIS_GRACE_S,
        )
        self._services = Child(
            "services",
            lambda: [sys.executable, "-m", "headrace_local.services", str(home.root)],
            self._environ("services"),
            home.log("services"),
            changed=self._write_state,
            log=log,
            grace_s=SERVICES_GRACE_S,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run both until `stop`; returns when both have ended."""
        redis = asyncio.create_task(self._redis.keep())
        services = asyncio.create_task(self._serve())
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            stopped = asyncio.create_task(stop.wait())
            # The other three end only by a fault of ours, which must not go unseen.
            await asyncio.wait(
                {stopped, redis, services, housekeeping}, return_when=asyncio.FIRST_COMPLETED
            )
            stopped.cancel()
        finally:
            housekeeping.cancel()
            self._services.stop()
            await asyncio.wait({services})
            self._redis.stop()
            await asyncio.wait({redis})
        for task in (redis, services):
            task.result()
        if housekeeping.done() and not housekeeping.cancelled():
            housekeeping.result()

    async def _serve(self) -> None:
        pause_s = _REDIS_POLL_S
        while not self._services.stopping:
            if await asyncio.to_thread(redis_server.ask, self._home) is redis_server.Answer.PONG:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_REDIS_POLL_S)
        await self._services.keep()

    async def _keep_house(self) -> None:
        while True:
            with suppress(OSError):  # a disk in trouble: the next round tries again
                await asyncio.to_thread(self._ballast.make)
                await asyncio.to_thread(self._cut_logs)
            await asyncio.sleep(_HOUSEKEEPING_S)

    def _cut_logs(self) -> None:
        """Keep the newest part of each log, twice the limit at most; all are opened to append."""
        for path in self._home.logs.glob("*.log"):
            if path.stat().st_size > _LOG_LIMIT_BYTES:
                path.with_suffix(".log.1").write_bytes(path.read_bytes())
                os.truncate(path, 0)

    def _redis_command(self, server: Path) -> list[str]:
        self._redis_log_from = self._ballast.mark()
        return redis_server.command(server, self._home, self._config)

    def _redis_ended(self) -> None:
        with suppress(OSError):  # the disk itself may be the trouble
            if self._ballast.release_if_full(self._redis_log_from):
                self._log("the disk is full: its ballast is given to Redis")

    def _environ(self, name: str) -> dict[str, str]:
        # What the user's shell holds for the client is none of the services' business.
        ours = {key: value for key, value in os.environ.items() if key != "HEADRACE_TOKEN"}
        return {**ours, **processes.marks(self._home.id, name)}

    def _write_state(self) -> None:
        own = read_stat(os.getpid())
        state = {
            "supervisor": {"pid": os.getpid(), "start_time": own.start_time if own else None},
            "redis": self._redis.state(),
            "services": self._services.state(),
        }
        with suppress(OSError):  # a full disk must not end the supervisor
            write_private(self._home.state, json.dumps(state, indent=2) + "\n")


def lock(home: Home) -> int | None:
    """Take the home's lock until this process ends; None when another process holds it."""
    number = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


def end_leftovers(home: Home) -> int:
    """End services and Redis that run without a supervisor; returns how many there were.

    Call it with the lock held. Workers and their nest are left alone.
    """
    services = processes.find(home.id, "services")
    processes.end(services, SERVICES_GRACE_S)
    servers = processes.find(home.id, "redis")
    processes.end(servers, REDIS_GRACE_S)
    return len(services) + len(servers)


async def _run(home: Home, log: Log) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await asyncio.to_thread(redis_server.find_server)
    supervisor = Supervisor(home, configs.load(home), server, log)
    log(f"begins with {server}")
    await supervisor.run(stop)
    log("has stopped all")


def main(arguments: list[str]) -> int:
    """Supervise until SIGTERM."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m headrace_local.supervisor HOME\n")
        return 64
    log = Log(sys.stderr)
    os.umask(0o077)  # for what Redis makes too
    try:
        home = find_home(Path(arguments[0]))
        prepare(home)
        if lock(home) is None:
            log("another supervisor serves this home")
            return BUSY_STATUS
        if ended := end_leftovers(home):
            log(f"ended {ended} processes of a supervisor that was killed")
        asyncio.run(_run(home, log))
    except HeadraceError as error:
        log(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
