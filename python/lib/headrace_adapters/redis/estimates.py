"""What earlier runs tell: read from Redis, where the script that ends a run keeps it."""

import time
from collections.abc import Iterable, Mapping, Set

from headrace_adapters.redis.connection import Redis
from headrace_model.estimate import Estimate, Likeness, Run, estimate_of
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_wire.records import decode_runs

_FRESH_S = 30.0


class EstimateStore:
    """Estimates of jobs. What was read is used again for half a minute: many jobs are alike."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._runs: dict[str, tuple[Run, ...]] = {}
        self._made: dict[tuple[str, ...], Estimate | None] = {}
        self._read_at = 0.0

    async def of(self, jobs: Iterable[Job]) -> Mapping[JobId, Estimate]:
        """The estimates of those jobs of which there are some; alike jobs share one."""
        found = [job for job in jobs if job.likeness]
        keys_of = {job.id: job.likeness.keys(job.input_bytes) for job in found if job.likeness}
        await self._read({key for keys in keys_of.values() for key in keys})
        told = {}
        for job in found:
            if job.likeness and (made := self._estimate(job.likeness, job.input_bytes)):
                told[job.id] = made
        return told

    async def like(self, likeness: Likeness | None, input_bytes: int) -> Estimate | None:
        """The estimate of a job that is like that, with so much input."""
        if likeness is None:
            return None
        await self._read(set(likeness.keys(input_bytes)))
        return self._estimate(likeness, input_bytes)

    def forget(self, keys: Set[str]) -> None:
        """Read these anew the next time."""
        for key in keys:
            self._runs.pop(key, None)
        self._made = {each: made for each, made in self._made.items() if keys.isdisjoint(each)}

    async def _read(self, keys: Set[str]) -> None:
        if time.monotonic() - self._read_at > _FRESH_S:
            self._runs, self._made, self._read_at = {}, {}, time.monotonic()
        if missing := sorted(keys - self._runs.keys()):
            texts = await self._redis.command("HMGET", "hr:estimates", *missing)
            for key, text in zip(missing, texts, strict=True):
                self._runs[key] = decode_runs(text) if text else ()

    def _estimate(self, likeness: Likeness, input_bytes: int) -> Estimate | None:
        keys = likeness.keys(input_bytes)
        if keys not in self._made:
            self._made[keys] = estimate_of(likeness, input_bytes, self._runs)
        return self._made[keys]
