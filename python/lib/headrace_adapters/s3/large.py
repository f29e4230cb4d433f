"""Large objects of an S3 server: put and read part by part, several parts at a time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event

from headrace_adapters.s3.calls import Calls
from headrace_adapters.s3.parts import OrderedDigest, Part, cut, part_bytes
from headrace_adapters.s3.server import Reader, Server, read_at, write_at
from headrace_adapters.threads import Threads, to_end
from headrace_model.errors import HeadraceError, InvalidInput, Unavailable
from headrace_ports.arriving import Arriving


class LargeObjects:
    """Parts of `size_bytes` (more where there would be too many), `parallel` at a time.

    `small` and `bulk`: the threads for small calls and for parts.
    """

    def __init__(
        self,
        server: Server,
        calls: Calls,
        small: Threads,
        bulk: Threads,
        *,
        parallel: int,
        size_bytes: int,
    ) -> None:
        self._server = server
        self._calls = calls
        self._small = small
        self._bulk = bulk
        self._parallel = parallel
        self._size_bytes = size_bytes

    async def put(
        self,
        full: str,
        fd: int,
        size: int,
        sha256: str | None,
        key: str,
        file: Arriving | None = None,
    ) -> None:
        """Put the `size` bytes of the open file `fd`, those of `file` as they come."""
        begun: list[str] = []
        digest = OrderedDigest() if sha256 is not None else None
        parts = list(cut(size, part_bytes(size, self._size_bytes)))
        etags = [""] * len(parts)
        stop = Event()

        def put(part: Part) -> None:
            data = read_at(fd, part.offset, part.size)
            if len(data) != part.size:
                raise InvalidInput("the file became shorter while it was read")
            if digest is not None:
                digest.add(part.number, data, stop)
            etags[part.number - 1] = self._calls.again(
                lambda: self._server.put_part(full, begun[0], part.number, data), key, stop
            )

        try:
            # By a list: the id must be known for the abort although the caller was cancelled.
            await self._calls.in_thread(
                self._small, lambda: begun.append(self._server.begin(full)), key
            )
            await self._all(parts, put, stop, file)
            if file is not None:
                await file.whole()
            if sha256 is not None and digest is not None:
                check_digest(sha256, digest.hexdigest())
            await self._calls.in_thread(
                self._small, lambda: self._server.complete(full, begun[0], etags, size), key
            )
        except BaseException:
            # What can't be aborted now, the sweep finds.
            for upload in begun:
                with suppress(HeadraceError):
                    await to_end(
                        self._calls.in_thread(
                            self._small, partial(self._server.abort, full, upload), key
                        )
                    )
            raise

    async def get(self, full: str, fd: int, begun: Reader, key: str) -> None:
        """Read all parts of a large object; of the first one `begun` has read some."""
        stop = Event()

        def get(part: Part) -> None:
            reader = begun
            if part.number > 1:
                reader = Reader(self._server, full, part.offset, part.size, begun.etag)
            try:
                self.read_on(reader, fd, part.offset + part.size, key, stop)
            finally:
                reader.close()

        await self._all(list(cut(begun.size, self._size_bytes)), get, stop)

    def read_on(self, reader: Reader, fd: int, end: int, key: str, stop: Event) -> None:
        """Write what the reader reads to its places in a file. Blocking."""
        at = reader.offset
        while data := self._calls.again(reader.read, key, stop):
            write_at(fd, at, data)
            at = reader.offset
        if at != end:
            raise Unavailable(f"the object {key} was replaced while it was read; try again")

    async def _all(
        self,
        parts: list[Part],
        do: Callable[[Part], None],
        stop: Event,
        file: Arriving | None = None,
    ) -> None:
        """Do all parts, begun in order; the first error ends the others, then is raised."""
        room = asyncio.Semaphore(self._parallel)

        async def one(part: Part) -> None:
            try:
                await self._bulk.run(lambda: do(part), stop)
            finally:
                room.release()

        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    # So that a small file need not wait behind all parts of a large one.
                    await room.acquire()
                    if file is not None:
                        await file.until(part.offset + part.size)
                    group.create_task(one(part))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


def check_digest(wanted: str, found: str) -> None:
    """Raise `InvalidInput` where a file is not what was said."""
    if found != wanted:
        raise InvalidInput(f"the file has SHA-256 {found}, not {wanted} as was said")
