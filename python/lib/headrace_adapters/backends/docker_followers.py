"""Following containers: their output into files, then their ends to whoever listens."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace_adapters.backends import containers
from headrace_adapters.backends.containers import Known
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.backends.docker_usage import ContainerUsage
from headrace_adapters.backends.ends import Attempt, Ends
from headrace_model.errors import Unavailable
from headrace_model.worker import WorkerExit, WorkerKey, WorkerUsage

SAMPLE_S: Final = 5.0
_AGAIN_S: Final = 0.5
_TAIL_BYTES: Final = 500
_STREAMS: Final = ("out", "err")


class Followers:
    """One task a container that was started and not cleaned. `over` hears of each that ended."""

    def __init__(self, engine: Engine, ends: Ends, over: Callable[[Attempt], None]) -> None:
        self._engine = engine
        self._ends = ends
        self._over = over
        self._tasks: dict[WorkerKey, asyncio.Task[None]] = {}
        self._usage = ContainerUsage(engine)
        self._sampling: asyncio.Task[None] | None = None
        self.here: dict[WorkerKey, Known] = {}

    async def close(self) -> None:
        """Let go of all; the containers stay."""
        await _canceled([*self._tasks.values(), *([self._sampling] if self._sampling else [])])

    async def forget(self, key: WorkerKey) -> Known | None:
        """Follow it no longer, even where its output could not be written; what was known."""
        if task := self._tasks.get(key):
            await _canceled([task])
        self._usage.forget(key)
        return self.here.pop(key, None)

    def forget_attempt(self, attempt: Attempt) -> None:
        """Forget what its tasks used."""
        self._usage.forget_attempt(attempt)

    def usage(self) -> tuple[WorkerUsage, ...]:
        """What was last seen of each rank that was not forgotten."""
        return self._usage.tell(self._tasks)

    def follow(self, known: Known, *, seen: bool) -> None:
        """Take a worker's output and end from the engine, once. `seen`: it was just running."""
        if known.key not in self.here:
            self.here[known.key] = known
            self._tasks[known.key] = asyncio.create_task(self._to_end(known, seen))
            if self._sampling is None:
                self._sampling = asyncio.create_task(self._sample())

    async def _sample(self) -> None:
        """See now and then what the workers use."""
        while True:
            await self._usage.look(self._tasks, self.here)
            await asyncio.sleep(SAMPLE_S)

    async def _to_end(self, known: Known, seen: bool) -> None:
        try:
            while True:
                try:
                    found = await self._engine.inspect(known.id)
                    seen |= containers.runs(found)
                    ended = await self._look(known, found, seen)
                except Gone:
                    ended = containers.lost(known, _now_ms())
                except Unavailable:
                    seen, ended = False, None
                except OSError:  # no room for its output: the worker waits, or goes on
                    ended = None
                if ended is not None:
                    self._ends.learn(ended)
                    return
                await asyncio.sleep(_AGAIN_S)
        finally:
            self._tasks.pop(known.key, None)
            self._over((known.key.job, known.key.attempt))

    async def _look(self, known: Known, found: Mapping[str, Any], seen: bool) -> WorkerExit | None:
        """Copy its output until it ends; None: it goes on, or its log broke off."""
        if not containers.is_over(found):
            await self._copy(known, follow=True)
            found = await self._engine.inspect(known.id)
            if not containers.is_over(found):
                return None
        sizes = (0, 0)
        if await asyncio.to_thread(Path(known.stdout).parent.is_dir):
            sizes = await self._copy(known, follow=False)
        return containers.exit_of(
            known,
            found,
            ends=(known.begin("out") + sizes[0], known.begin("err") + sizes[1]),
            last_words=await asyncio.to_thread(_tail, known.stderr, known.begin("err")),
            seen=seen,
            peak_memory_bytes=self._usage.peak(known.key),
            now_ms=_now_ms(),
        )

    async def _copy(self, known: Known, *, follow: bool) -> tuple[int, int]:
        """How much it has printed, once that lies in its files."""

        async def one(stream: str) -> int:
            path, begin = known.path(stream), known.begin(stream)
            return await self._engine.copy_log(known.id, stream, path, begin, follow=follow)

        try:
            async with asyncio.TaskGroup() as group:
                out, err = (group.create_task(one(stream)) for stream in _STREAMS)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return out.result(), err.result()


async def _canceled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until it counts: a group whose child fails meanwhile forgets it (Python 3.11)."""
    while living := [each for each in tasks if not each.done()]:
        for each in living:
            each.cancel()
        await asyncio.wait(living, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tail(path: str, begin: int) -> str:
    """The last bytes of a file, as far as they lie behind `begin`; none where it is gone."""
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - _TAIL_BYTES))
        return file.read().decode(errors="replace")
