"""Leadership of a role: a lease with a term that rises."""

from dataclasses import dataclass

from headrace_adapters.redis.connection import Redis
from headrace_model.status import Role


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer to an attempt to lead. `left_ms` is how long another's lease still runs."""

    term: int
    held: bool
    left_ms: int = 0


class LeaseStore:
    """Leases in Redis, timed by its clock."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def acquire(self, role: Role, holder: str, lease_ms: int) -> Lease:
        """Take or renew the lease; repeating it is renewing it."""
        args = {"role": role, "holder": holder, "lease_ms": lease_ms}
        term, held, *left = await self._redis.script("acquire_lease", args)
        return Lease(int(term), bool(held), int(left[0]) if left else 0)

    async def release(self, role: Role, holder: str) -> None:
        """Give it up; success when it was not held."""
        await self._redis.script("release_lease", {"role": role, "holder": holder})
