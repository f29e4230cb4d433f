"""Archiving in Redis: which jobs are due, all that Redis has of them, and their removal."""

from collections.abc import Sequence
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId
from headrace_model.listing import Place
from headrace_model.status import Status
from headrace_wire.packs import Record

_FINAL = tuple(status for status in Status if status.final)


class PackStore:
    """What the data service and the readers of packs do in Redis. All of it may be repeated."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def due(self, before_ms: int, after: Place | None, limit: int) -> list[Place]:
        """Final jobs above a place that ended before a time: at most `limit`, oldest first."""
        least = after.entered_ms if after else "-inf"
        count = limit
        while True:
            replies = await self._redis.commands(
                [
                    ("ZRANGE", f"hr:status:{status}", least, before_ms, "BYSCORE",
                     "LIMIT", 0, count, "WITHSCORES")
                    for status in _FINAL
                ]
            )  # fmt: skip
            lists = [
                [Place(int(float(score)), JobId(job)) for job, score in _pairs(reply)]
                for reply in replies
            ]
            # Above the end of a list that was cut off nothing can be told yet.
            known = min((each[-1] for each in lists if len(each) == count), default=None)
            found = sorted(
                place
                for each in lists
                for place in each
                if (after is None or place > after) and (known is None or place <= known)
            )
            if found or known is None:
                return found[:limit]
            count *= 4  # so many jobs ended in one millisecond

    async def records(self, jobs: Sequence[JobId]) -> list[Record]:
        """All that Redis has of some jobs, of those that nothing live needs any more.

        Left out are jobs that others wait for, whose work an agent still has to do, whose
        files are to leave the store, arrays, and what can't be read.
        """
        replies = await self._redis.commands(
            [
                command
                for job in jobs
                for command in (
                    ("HGETALL", f"hr:job:{job}"),
                    ("LRANGE", f"hr:history:{job}", 0, -1),
                    ("EXISTS", f"hr:dependents:{job}", f"hr:array:{job}"),
                    ("ZSCORE", "hr:untidy", job),
                )
            ]
        )
        found = []
        for number, job in enumerate(jobs):
            fields, history, needed, untidy = replies[4 * number : 4 * number + 4]
            if (
                fields
                and not needed
                and untidy is None
                and (record := await self._record(job, fields, history))
            ):
                found.append(record)
        return found

    async def remove(self, pack: str, records: Sequence[Record], term: int) -> int:
        """Take the jobs of a pack that is whole in the store out of Redis; returns how many.

        Raises `Fenced`.
        """
        jobs = [
            {
                "id": job.id,
                "status": job.status,
                "version": job.version,
                "entered_ms": job.entered_ms,
                "shared": record.fields.get("shared", ""),
                "attempt": job.attempt,
                "work": [{"node": node, "run": run} for node, run in record.runs],
            }
            for record in records
            for job in (record.job,)
        ]
        newest_ms = max((int(str(job["entered_ms"])) for job in jobs), default=0)
        args: dict[str, Any] = {
            "term": term, "pack": pack, "newest_ms": newest_ms, "jobs": jobs,
        }  # fmt: skip
        (removed,) = await self._redis.script("archive_jobs", args)
        return int(removed)

    async def forget(self, pack: str, term: int) -> None:
        """Drop the name of a pack that has left the store. Raises `Fenced`."""
        await self._redis.script("forget_pack", {"term": term, "pack": pack})

    async def names(self, before_ms: int | None = None) -> list[str]:
        """The packs in the store, all or those whose jobs all ended before a time."""
        top = "+inf" if before_ms is None else f"({before_ms}"
        return list(await self._redis.command("ZRANGE", "hr:packs", "-inf", top, "BYSCORE"))

    async def held(self, jobs: Sequence[JobId]) -> set[JobId]:
        """Those of some jobs that Redis holds."""
        replies = await self._redis.commands([("EXISTS", f"hr:job:{job}") for job in jobs])
        return {job for job, there in zip(jobs, replies, strict=True) if there}

    async def _record(self, job: JobId, fields: Any, history: Any) -> Record | None:
        numbers = range(1, int(fields.get("attempt", "1")) + 1)
        attempts = await self._redis.commands(
            [("HGETALL", f"hr:attempt:{job}.{number}") for number in numbers]
        )
        record = Record(
            job,
            dict(fields),
            tuple(history),
            {n: dict(each) for n, each in zip(numbers, attempts, strict=True) if each},
        )
        try:
            if not record.job.status.final:
                return None
            work = await self._redis.commands(
                [("HEXISTS", f"hr:work:{node}", run) for node, run in record.runs]
            )
        except InvalidInput:
            return None  # it stays where somebody may look at it
        return None if any(work) else record


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    """RESP2 answers WITHSCORES flat, RESP3 in pairs."""
    if flat and isinstance(flat[0], list | tuple):
        return [(one, other) for one, other in flat]
    return list(zip(flat[::2], flat[1::2], strict=True))
