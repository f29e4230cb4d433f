"""How services start, run and stop, alone or several in one process.

A `Service` is a name, some loops that run until they are cancelled, and perhaps an HTTP app.
A loop that fails is started again after a pause; the others go on.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from headrace_model.errors import HeadraceError, InvalidInput
from headrace_service.logs import configure, logger
from headrace_service.settings import AnySettings, read
from headrace_service.sockets import PublicSite, Sockets

Loop = Callable[[], Awaitable[None]]
S = TypeVar("S", bound=AnySettings)
_RESTART_PAUSE_S = 0.5
_STOP_GRACE_S = 10.0
_IDLE_S = 3630.0  # for the services among themselves, as aiohttp has it


@dataclass(frozen=True, slots=True)
class Service:
    """One service, wired and ready to run."""

    name: str
    open: Sequence[Loop] = ()  # awaited in order before the loops start
    loops: Sequence[Loop] = ()
    app: web.Application | None = None
    listen: str = ""
    sockets: Sockets | None = None  # for a public address: its limits, its TLS
    close: Sequence[Loop] = field(default=())  # awaited in order at the end


async def run(services: Sequence[Service], *, ready: Callable[[], None] = lambda: None) -> None:
    """Run services until SIGTERM or SIGINT, then stop them gracefully, last first."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running: list[_Running] = []
    try:
        for service in services:
            one = _Running(service)
            running.append(one)
            opened = asyncio.ensure_future(one.start())
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if stop.is_set():
                opened.cancel()
                with suppress(asyncio.CancelledError):
                    await opened
                return
            await opened
        # What was made so far stays: a collector that looks at all of it again and again stops
        # the program for tens of milliseconds each time.
        gc.collect()
        gc.freeze()
        ready()
        await stop.wait()
    finally:
        for one in reversed(running):
            await one.stop()


class _Running:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._log = logger(service.name)

    async def start(self) -> None:
        service = self._service
        for step in service.open:
            await step()
        if service.app and service.listen:
            self._runner = web.AppRunner(
                service.app,
                access_log=None,
                handler_cancellation=True,
                auto_decompress=False,
                shutdown_timeout=5.0,
                keepalive_timeout=service.sockets.idle_s if service.sockets else _IDLE_S,
            )
            await self._runner.setup()
            await _listen(self._runner, service.listen, service.sockets)
        self._tasks = [asyncio.create_task(self._forever(each)) for each in service.loops]
        self._log.info(f"{service.name} runs", action="start", listen=service.listen)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_GRACE_S)
        if self._runner:
            await self._runner.cleanup()
        for step in self._service.close:
            await step()
        self._log.info(f"{self._service.name} has stopped", action="stop")

    async def _forever(self, loop: Loop) -> None:
        while True:
            try:
                await loop()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                # One broken turn must not end the service: say it and begin anew.
                self._log.error(
                    f"a loop failed and starts again: {error!r}", action="restart", exc_info=True
                )
            await asyncio.sleep(_RESTART_PAUSE_S)


async def _listen(runner: web.AppRunner, listen: str, sockets: Sockets | None) -> None:
    if listen.startswith("unix:"):
        path = listen.removeprefix("unix:")
        with suppress(FileNotFoundError):
            os.unlink(path)  # a socket left by a killed service can't be bound again
        # The folder's mode protects the socket; this keeps it so where the folder's is wide.
        old = os.umask(0o177)
        try:
            await web.UnixSite(runner, path).start()
        finally:
            os.umask(old)
        return
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidInput(f"listen={listen!r}: host:port or unix:/path is expected")
    site = (
        PublicSite(runner, host.strip("[]"), int(port), sockets)
        if sockets
        else web.TCPSite(runner, host.strip("[]"), int(port), reuse_address=True)
    )
    await site.start()


def main_of(settings_class: type[S], build: Callable[[S], Service]) -> None:
    """Run one service as a program: settings from the environment, exit 2 when they are wrong."""
    try:
        settings = read(settings_class, os.environ)
        configure(settings.log_level)
    except HeadraceError as error:
        sys.exit(f"{error}")
    asyncio.run(run([build(settings)]))
