"""The maintenance switch in Redis."""

from headrace_adapters.redis.connection import Redis
from headrace_model.maintenance import Maintenance


class MaintenanceStore:
    """Whether new work is kept away; it outlives every service."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self) -> Maintenance | None:
        """Who keeps new work away, or None."""
        found = await self._redis.command("HGETALL", "hr:maintenance")
        return Maintenance(found["since"], found["by"], found["why"]) if found else None

    async def begin(self, said: Maintenance) -> bool:
        """Take and start nothing new from now on; tells whether anything changed.

        Said again for the same reason it changes nothing, for another one it is said anew.
        """
        args = {"on": True, "since": said.since, "by": said.by, "why": said.why}
        (changed,) = await self._redis.script(
            "set_maintenance", args | {"sentence": said.sentence}
        )
        return bool(changed)

    async def end(self) -> bool:
        """Take and start new work again; tells whether that is new."""
        (changed,) = await self._redis.script("set_maintenance", {"on": False})
        return bool(changed)
