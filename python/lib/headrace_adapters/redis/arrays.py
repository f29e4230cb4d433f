"""Arrays in Redis: nodes take ranges of tasks and tell how they ended; others read the record."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.array import ArrayRecord, RangeLease, Span, Taken, TaskCounts, TaskReport
from headrace_model.ids import JobId, NodeId
from headrace_wire.arrays import read_array, read_counts

_COUNTS = ("total", "waiting", "running", "done", "failed")


class ArrayStore:
    """All that is done with `hr:array:<job>`, but for what moves a job as a whole."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(
        self, node: NodeId, incarnation: str, job: JobId, attempt: int, *, most: int, known: int
    ) -> Taken:
        """Take up to `most` tasks; first of all what the node holds above the lease `known`.

        A repeat takes nothing more. Raises `Stale` where the node has no part in the attempt,
        and `Fenced`.
        """
        args = {
            "node": node,
            "incarnation": incarnation,
            "job": job,
            "attempt": attempt,
            "most": most,
            "known": known,
        }
        counts, leases = await self._redis.script("take_tasks", args)
        return Taken(
            TaskCounts(*counts),
            tuple(
                RangeLease(number, (lo, hi), _pairs(left))
                for number, lo, hi, left in json.loads(leases)
            ),
        )

    async def finish(
        self,
        node: NodeId,
        incarnation: str,
        job: JobId,
        attempt: int,
        reports: Sequence[TaskReport],
        *,
        limit: int,
    ) -> TaskCounts:
        """Tell how tasks ended; each counts once, under its open lease, or not at all.

        A failed one waits again `limit` times at most. Raises `Fenced`, `NotFound`.
        """
        args = {
            "node": node,
            "incarnation": incarnation,
            "job": job,
            "attempt": attempt,
            "limit": limit,
            "reports": [_report(each) for each in reports],
        }
        (counts,) = await self._redis.script("finish_tasks", args)
        return TaskCounts(*counts)

    async def counts(self, jobs: Iterable[JobId]) -> dict[JobId, TaskCounts]:
        """The counts of those jobs that are arrays."""
        ids = list(jobs)
        found = await self._redis.commands([("HMGET", f"hr:array:{job}", *_COUNTS) for job in ids])
        return {
            job: read_counts(dict(zip(_COUNTS, values, strict=True)))
            for job, values in zip(ids, found, strict=True)
            if values[0] is not None
        }

    async def read(self, job: JobId) -> ArrayRecord | None:
        """The whole record; None where the job is no array."""
        fields: Mapping[str, str] = await self._redis.command("HGETALL", f"hr:array:{job}")
        return read_array(job, fields) if fields else None


def _pairs(flat: Any) -> tuple[Span, ...]:
    """Lua writes an empty list as `{}`."""
    return tuple(zip(flat[::2], flat[1::2], strict=True)) if flat else ()


def _report(report: TaskReport) -> dict[str, object]:
    return {
        "lease": report.lease,
        "done": [bound for span in report.done for bound in span],
        "failed": [
            {
                "index": one.index,
                "cause": one.cause,
                "again": one.again,
                "code": "" if one.exit_code is None else str(one.exit_code),
                "detail": one.detail,
            }
            for one in report.failed
        ],
        "part": report.part,
    }
