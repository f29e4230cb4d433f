"""The client's end of a nest's socket, and how a nest is started when there is none."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from headrace_adapters.backends.nest_wire import (
    LOCKED_STATUS,
    MAX_MESSAGE_BYTES,
    SOCKET_NAME,
    Message,
    decode,
    encode,
)
from headrace_model.errors import Conflict, HeadraceError, InvalidInput, Unavailable

_START_S: Final = 15.0
_RETRY_S: Final = 0.02
_LOG_TAIL_BYTES: Final = 2000


class LinkLost(Exception):
    """The nest, or the connection to it, is gone; whether the request was heard is not known."""


class NestLink:
    """One connection to a living nest: requests with replies, and what the nest pushes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_push: Callable[[Message], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_push = on_push
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._last_id = 0
        self.lost = asyncio.Event()
        self._receiver = asyncio.create_task(self._receive())

    @classmethod
    async def connect(cls, folder: Path, on_push: Callable[[Message], None]) -> Self:
        """Connect to the nest of a folder; raises OSError when none listens."""
        # By way of the folder's file number: a path over 107 bytes is no socket address.
        number = await asyncio.to_thread(os.open, folder, os.O_PATH | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(
                f"/proc/self/fd/{number}/{SOCKET_NAME}", limit=MAX_MESSAGE_BYTES
            )
        finally:
            os.close(number)
        return cls(reader, writer, on_push)

    async def call(self, op: str, **fields: object) -> Message:
        """Send one request and wait for its reply.

        Raises `LinkLost`, or what the nest answers: `InvalidInput`, `Conflict`, `Unavailable`.
        """
        if self.lost.is_set():
            raise LinkLost
        line = encode({"id": self._last_id + 1, "op": op, **fields})
        if len(line) > MAX_MESSAGE_BYTES:
            raise InvalidInput(f"a {op} request of {len(line)} bytes is too long for the nest")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(line)
            # Only the receiver tells of a loss: it says so in `lost` first, so that who hears of
            # it takes another link. A write fails before the receiver has run.
            with contextlib.suppress(OSError):
                await self._writer.drain()
            reply = await future
        finally:
            self._waiting.pop(number, None)
        if refused := reply.get("error"):
            raise _error(refused["code"], refused["message"])
        return reply

    async def close(self) -> None:
        """Leave the nest; pending calls raise `LinkLost`."""
        self._receiver.cancel()
        await asyncio.gather(self._receiver, return_exceptions=True)

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                message = decode(line)
                if "id" not in message:
                    self._on_push(message)
                elif (future := self._waiting.get(message["id"])) and not future.done():
                    future.set_result(message)
        except (OSError, ValueError, HeadraceError):
            pass  # ValueError: a line over the limit. In each case this connection is of no use
        finally:
            self.lost.set()
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LinkLost())


def _error(code: str, message: str) -> HeadraceError:
    for kind in (InvalidInput, Conflict):
        if kind.code == code:
            return kind(message)
    return Unavailable(message)


async def connect_or_start(
    folder: Path,
    python: str,
    use_cgroups: bool,
    on_push: Callable[[Message], None],
) -> NestLink:
    """Connect to the nest of a folder, which is made, as is the nest, where it is missing.

    Several clients may try this at once: one nest wins. Raises `Unavailable`.
    """
    await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
    deadline = asyncio.get_running_loop().time() + _START_S
    while True:
        try:
            return await NestLink.connect(folder, on_push)
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"the nest in {folder} can't be reached: {error}") from error
        if await _start(folder, python, use_cgroups) == LOCKED_STATUS:
            # Another nest holds the folder and isn't listening yet, or is just dying.
            await asyncio.sleep(_RETRY_S)


async def _start(folder: Path, python: str, use_cgroups: bool) -> int:
    """Run a nest until it serves; its exit status then is 0. Raises `Unavailable`."""
    words = [python, "-P", "-m", "headrace_adapters.backends.nest", str(folder)]
    if not use_cgroups:
        words.append("--sampled")
    # The nest needs its modules where this process has them, installed or not.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=env,
        )
    except OSError as error:
        raise Unavailable(f"the nest can't be started with {python}: {error}") from error
    try:
        _, said = await asyncio.wait_for(process.communicate(), _START_S)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise Unavailable(f"the nest did not come up within {_START_S:g} s") from error
    if process.returncode not in (0, LOCKED_STATUS):
        tail = said[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        raise Unavailable(f"the nest ended with status {process.returncode}: {tail}")
    return process.returncode or 0
