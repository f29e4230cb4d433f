"""What containers use: one look at each every few seconds."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from headrace_adapters.backends.containers import Known
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.backends.ends import Attempt
from headrace_model.errors import Unavailable
from headrace_model.usage import Sample
from headrace_model.worker import WorkerKey, WorkerUsage

_AT_ONCE: Final = 50  # an engine has each wait for up to a second, all of them together


class ContainerUsage:
    """The last sample of each container that was not forgotten, and its peak of memory.

    Of tasks that were forgotten what they used is kept with their rank, until its attempt is. What
    a container used after the last look at it is not known.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._samples: dict[WorkerKey, Sample] = {}
        self._peaks: dict[WorkerKey, int] = {}
        self._forgotten: dict[WorkerKey, Sample] = {}

    async def look(self, running: Collection[WorkerKey], here: Mapping[WorkerKey, Known]) -> None:
        """Look at each that is `running`, at some of them at a time.

        Both may change meanwhile: `here` is what was not forgotten.
        """
        few = asyncio.Semaphore(_AT_ONCE)

        async def one(key: WorkerKey, id_: str) -> None:
            async with few:
                with suppress(Gone, Unavailable):
                    sample = await self._engine.sample(id_)
                    if sample is not None and key in here:
                        self._samples[key] = sample
                        self._peaks[key] = max(sample.memory_bytes, self.peak(key))

        await asyncio.gather(*(one(key, here[key].id) for key in tuple(running) if key in here))

    def peak(self, key: WorkerKey) -> int:
        """The most memory that it was seen to use; 0: it was not seen."""
        return self._peaks.get(key, 0)

    def forget(self, key: WorkerKey) -> None:
        """Forget a container."""
        self._peaks.pop(key, None)
        sample = self._samples.pop(key, None)
        if sample is not None and key.is_task:
            _add(self._forgotten, key.of_rank, replace(sample, memory_bytes=0))

    def forget_attempt(self, attempt: Attempt) -> None:
        """Forget what its forgotten tasks used."""
        for rank in [rank for rank in self._forgotten if (rank.job, rank.attempt) == attempt]:
            del self._forgotten[rank]

    def tell(self, running: Collection[WorkerKey]) -> tuple[WorkerUsage, ...]:
        """What each rank has used; of those not `running` no memory."""
        found = dict(self._forgotten)
        for key, sample in self._samples.items():
            lives = key in running
            _add(found, key.of_rank, sample if lives else replace(sample, memory_bytes=0))
        return tuple(WorkerUsage(rank, sample) for rank, sample in found.items())


def _add(samples: dict[WorkerKey, Sample], rank: WorkerKey, sample: Sample) -> None:
    before = samples.get(rank)
    samples[rank] = before.plus(sample) if before else sample
