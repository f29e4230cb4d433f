"""The maintenance switch: everybody sees it, admins turn it."""

import time
from typing import TYPE_CHECKING

from headrace_model.maintenance import Maintenance, check_reason
from headrace_model.people import Act, User, check_may
from headrace_model.status import HAS_ATTEMPT, Status
from headrace_model.times import Instant, format_instant
from headrace_service.logs import logger
from headrace_wire.maintenance import MaintenanceView

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.maintenance import MaintenanceStore


class MaintenanceDesk:
    """Reads and turns the switch."""

    def __init__(self, store: "MaintenanceStore", jobs: "JobStore") -> None:
        self._store = store
        self._jobs = jobs
        self._log = logger("request")

    async def show(self, user: User) -> MaintenanceView:
        """Tell whether it is on, and what is still to finish. Raises `Forbidden`."""
        check_may(user, Act.SEE_MAINTENANCE)
        return await self._view()

    async def _view(self) -> MaintenanceView:
        said, counts = await self._store.get(), await self._jobs.counts()
        under_way = sum(counts.get(status, 0) for status in (*HAS_ATTEMPT, Status.STOPPING))
        if said is None:
            return MaintenanceView(False, None, None, None, under_way)
        return MaintenanceView(True, said.since, said.by, said.why, under_way)

    async def turn(self, user: User, *, on: bool, why: str) -> MaintenanceView:
        """Turn it on or off; a repeat is success. Raises `Forbidden`, `InvalidInput`."""
        check_may(user, Act.MANAGE_MAINTENANCE)
        now = format_instant(Instant(int(time.time()) * 1000))
        if on:
            changed = await self._store.begin(Maintenance(now, user.name, check_reason(why)))
        else:
            changed = await self._store.end()
        if changed:
            turned = "on" if on else "off"
            self._log.info(f"maintenance is {turned}", action="maintenance", user=user.name)
        return await self._view()
