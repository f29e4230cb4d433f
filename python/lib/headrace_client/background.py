"""An event loop in a thread of its own, with a client: what the sync face runs on."""

import asyncio
import atexit
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from headrace_client.api import AsyncClient
from headrace_model.errors import HeadraceError

T = TypeVar("T")


class Background:
    """Runs calls of an async client for threads that have no event loop, or must not wait in it.

    It ends with `close`, with the program, or when nobody holds it any more.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._running = _Running(client)
        atexit.register(self._running.stop)
        weakref.finalize(self, self._running.let_go).atexit = False

    @property
    def is_usable(self) -> bool:
        """Whether calls can be run: not after `close`, nor in a process that was forked off."""
        return self._running.thread.is_alive()

    def close(self) -> None:
        """End what still runs, hang up all connections, end the thread; a repeat is success."""
        self._running.let_go()
        self._running.stop()

    def call(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Run a call to its end. Where its caller is interrupted (Ctrl-C) it is cancelled."""
        future = self._begin(work)
        try:
            return future.result()
        except CancelledError:
            raise HeadraceError("the client was closed meanwhile") from None
        except BaseException:
            future.cancel()
            raise

    def iterate(self, follow: Callable[[AsyncClient], AsyncGenerator[T, None]]) -> Iterator[T]:
        """Yield what an async generator does; it is closed when the iterator is."""
        told = follow(self._client)

        async def step(_: AsyncClient) -> tuple[T] | None:
            try:
                return (await anext(told),)
            except StopAsyncIteration:
                return None

        try:
            while found := self.call(step):
                yield found[0]
        finally:
            self._running.later(told.aclose)

    def _begin(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> "Future[T]":
        if threading.current_thread() is self._running.thread:
            raise HeadraceError(
                "the sync client can't be used on its own event loop",
                hint="await the async client that `call` hands over",
            )
        if not self.is_usable:
            raise HeadraceError(
                "this client is closed, or belongs to another process",
                hint="make another one: headrace.Client()",
            )
        return asyncio.run_coroutine_threadsafe(work(self._client), self._running.loop)


class _Running:
    """The thread. It does not know the `Background`, so that this can be let go."""

    def __init__(self, client: AsyncClient) -> None:
        self.loop = asyncio.new_event_loop()
        # Threads of its own: those of an event loop can't be ended while the program exits.
        self._workers = ThreadPoolExecutor(thread_name_prefix="headrace")
        self.loop.set_default_executor(self._workers)
        self._stopping = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()
        self._ready: Future[None] = Future()
        self.thread = threading.Thread(
            target=self._run, args=(client,), name="headrace", daemon=True
        )
        self.thread.start()
        self._ready.result()

    def let_go(self) -> None:
        """Have the thread end, without waiting: garbage is found in any thread, also in this."""
        atexit.unregister(self.stop)
        self._soon(self._stopping.set)

    def stop(self) -> None:
        """End the thread."""
        self._soon(self._stopping.set)
        self.thread.join()

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have something done without waiting for it."""

        def begin() -> None:
            task = self.loop.create_task(work())
            self._late.add(task)
            task.add_done_callback(self._late.discard)

        self._soon(begin)

    def _soon(self, work: Callable[[], None]) -> None:
        if self.thread.is_alive():
            with suppress(RuntimeError):  # it has ended meanwhile
                self.loop.call_soon_threadsafe(work)

    def _run(self, client: AsyncClient) -> None:
        try:
            self.loop.run_until_complete(self._serve(client))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
        finally:
            self._workers.shutdown()
            self.loop.close()

    async def _serve(self, client: AsyncClient) -> None:
        async with client:
            self._ready.set_result(None)
            await self._stopping.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
