"""The secrets of users in Redis: boxes that only the data service can open."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import Conflict, InvalidInput

MOST_SECRETS = 100


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret as Redis holds it; `changed_ms` since 1970, UTC. No `repr` shows the box."""

    name: str
    changed_ms: int
    box: str

    def __repr__(self) -> str:
        return f"KeptSecret({self.name!r}, {self.changed_ms})"


class SecretStore:
    """All that the data service does with secrets in Redis. Every method may be repeated."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, user: str, name: str, box: str) -> int:
        """Keep or replace a secret; returns the time of the change in ms.

        Raises `Conflict` above 100 secrets.
        """
        args = {"user": user, "name": name, "most": MOST_SECRETS, "box": box}
        try:
            (changed_ms,) = await self._redis.script("put_secret", args)
        except Conflict as error:
            raise Conflict(error.message, hint="remove one that no job needs any more") from None
        return int(changed_ms)

    async def remove(self, user: str, name: str) -> None:
        """Remove a secret; success if there is none."""
        args = {"user": user, "name": name, "most": MOST_SECRETS}
        await self._redis.script("put_secret", args)

    async def of(self, user: str) -> list[KeptSecret]:
        """All secrets of a user, by name."""
        found = await self._redis.command("HGETALL", f"hr:secrets:{user}")
        return [_kept(user, name, found[name]) for name in sorted(found)]

    async def named(self, user: str, names: Sequence[str]) -> dict[str, KeptSecret]:
        """Those of some names that there are."""
        if not names:
            return {}
        texts = await self._redis.command("HMGET", f"hr:secrets:{user}", *names)
        return {
            name: _kept(user, name, text) for name, text in zip(names, texts, strict=True) if text
        }


def _kept(user: str, name: str, text: str) -> KeptSecret:
    try:
        plain = json.loads(text)
        return KeptSecret(name, int(plain["changed_ms"]), str(plain["box"]))
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"hr:secrets:{user} is damaged at {name}") from None
