"""An event loop whose clock is simulated, on which whole processes crash, pause and go on.

Nothing sleeps: where nothing is to be done now, the clock is put to the next timer. What belongs
to which simulated process is told by the context that each callback carries.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

BEGIN_S = 1_700_000_000.0
"""The wall clock at the begin of each simulation, in seconds since 1970: long ago, so that real
files are never old."""


class Process:
    """One simulated process. Once it is dead none of its callbacks runs any more, as if it was
    killed between two of them; while it is paused they wait."""

    def __init__(self, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.skew_s = skew_s  # how much its wall clock is ahead
        self.alive = True
        self.paused = False
        self.parked: deque[_Handle] = deque()
        self.context = contextvars.Context()
        self.context.run(PROCESS.set, self)


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
WORLD = contextvars.Context()
"""What belongs to no process: the network, machines, users' hands."""


class _Numbered:
    """Hashed by a number: a set of tasks must have the same order each time."""

    _numbers = count(1)

    def __hash__(self) -> int:
        return self._number


class _Task(_Numbered, asyncio.Task):
    def __init__(self, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = next(self._numbers)
        # The library's default numbers all tasks that the program ever made.
        super().__init__(coro, name=f"t{self._number}", **options)


class _Future(_Numbered, asyncio.Future):
    def __init__(self, **options: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(**options)


def _task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> _Task:
    return _Task(coro, loop=loop, **options)


class _Handle:
    """A callback to come; `asyncio.Handle` does the same and costs twice as much."""

    __slots__ = ("_args", "_callback", "_cancelled", "_when", "context")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        when: float = 0.0,
    ) -> None:
        self._callback = callback
        self._args = args
        self.context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._when = when

    def cancel(self) -> None:
        """Let it never run."""
        self._cancelled = True
        self._callback, self._args = _nothing, ()

    def cancelled(self) -> bool:
        """Tell whether it is to run no more."""
        return self._cancelled

    def when(self) -> float:
        """The time of the loop at which it runs."""
        return self._when

    def run(self) -> None:
        """Call it in its context."""
        self.context.run(self._callback, *self._args)


def _nothing() -> None:
    pass


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs one callback a turn. `executor_delay` says how long a call in a thread takes (s)."""

    def __init__(self, executor_delay: Callable[[], float]) -> None:
        super().__init__()
        _Numbered._numbers = count(1)
        self.now_s = 0.0
        self.turns = 0
        self._executor_delay = executor_delay
        self._timers: list[tuple[float, int, _Handle]] = []
        self._order = count()
        self.set_task_factory(_task)

    def time(self) -> float:
        """Simulated seconds since the begin."""
        return self.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> _Handle:
        """As the base class; of two timers for one moment the earlier made comes first."""
        timer = _Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> _Handle:
        """As the base class."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> _Handle:
        """As the base class."""
        handle = _Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # there is no other thread

    def create_future(self) -> _Future:
        """As the base class."""
        return _Future(loop=self)

    def later(self, delay_s: float, call: Callable[..., object], *args: Any) -> _Handle:
        """Call something that belongs to no process."""
        return self.call_at(self.now_s + delay_s, call, *args, context=WORLD)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Call it in this thread, a moment later."""
        future = self.create_future()

        def call() -> None:
            try:
                result = func(*args)
            except BaseException as error:
                if not future.done():
                    future.set_exception(error)
                return
            if not future.done():
                future.set_result(result)

        self.call_later(self._executor_delay(), call)
        return future

    def start(self, process: Process, coro: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine as (part of) a process."""
        return self.create_task(coro, context=process.context.copy())

    def resume(self, process: Process) -> None:
        """Let a paused process go on with all that has come meanwhile."""
        process.paused = False
        self._ready.extend(process.parked)
        process.parked.clear()

    def forget(self) -> None:
        """Let nothing happen any more."""
        self._ready.clear()
        self._timers.clear()

    def _run_once(self) -> None:
        """Run callbacks, one a turn, until the loop is told to stop."""
        ready = self._ready
        while not self._stopping:
            if not ready:
                self._advance()
                if not ready:
                    raise AssertionError("nothing is left to happen, and somebody still waits")
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle.context.get(PROCESS)
            if process is not None:
                if not process.alive:
                    continue
                if process.paused:
                    process.parked.append(handle)
                    continue
            self.turns += 1
            try:
                handle.run()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                told = {"message": "a callback failed", "exception": error}
                self.call_exception_handler(told)

    def _advance(self) -> None:
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if timer._cancelled:
                continue
            process = timer.context.get(PROCESS)
            if process is not None and not process.alive:
                continue
            self.now_s = max(self.now_s, when)
            self._ready.append(timer)
            return

    def _write_to_self(self) -> None:
        pass  # there is no other thread

    def _process_events(self, event_list: Any) -> None:
        pass
