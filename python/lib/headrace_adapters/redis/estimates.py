"""What earlier runs tell: read from Redis, where the script that ends a run keeps it."""

import time
from collections.abc import Iterable, Mapping

from headrace_adapters.redis.connection import Redis
from headrace_model.estimate import Estimate, Run, estimate_of
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
        if time.monotonic() - self._read_at > _FRESH_S:
            self._runs, self._made, self._read_at = {}, {}, time.monotonic()
        found = [job for job in jobs if job.likeness]
        keys_of = {job.id: job.likeness.keys(job.input_bytes) for job in found if job.likeness}
        missing = sorted({key for keys in keys_of.values() for key in keys} - self._runs.keys())
        if missing:
            texts = await self._redis.command("HMGET", "hr:estimates", *missing)
            for key, text in zip(missing, texts, strict=True):
                self._runs[key] = decode_runs(text) if text else ()
        told = {}
        for job in found:
            keys = keys_of[job.id]
            if job.likeness and keys not in self._made:
                self._made[keys] = estimate_of(job.likeness, job.input_bytes, self._runs)
            if estimate := self._made[keys]:
                told[job.id] = estimate
        return told
