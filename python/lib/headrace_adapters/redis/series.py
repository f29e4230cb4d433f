"""The series of the cluster in Redis: rings that the leading monitor writes."""

from collections.abc import Mapping

from headrace_adapters.redis.connection import Redis
from headrace_model.series import Point, Resolution, in_order, slot_of
from headrace_model.status import Role
from headrace_wire.series import read_point, write_point


class SeriesStore:
    """A hash a resolution; its fields are the slots."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def record(self, points: Mapping[Resolution, Point], term: int) -> None:
        """Keep what each ring holds now. Raises `Fenced` for a late leader."""
        told = [
            {"ring": ring, "slot": slot_of(ring, point.at_ms), "text": write_point(point)}
            for ring, point in points.items()
        ]
        args = {"role": Role.MONITOR, "term": term, "points": told}
        await self._redis.script("record_series", args)

    async def read(self, resolution: Resolution, since_ms: int = 0) -> tuple[Point, ...]:
        """The points of a ring after `since_ms`, in the order of time."""
        time, kept = await self._redis.commands(
            [("TIME",), ("HGETALL", f"hr:series:{resolution}")]
        )
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        points = (read_point(text) for text in dict(kept).values())
        return in_order(resolution, (each for each in points if each), now_ms, since_ms)
