"""Webhooks in Redis: the rules of each user, and the messages that are still to be delivered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import InvalidInput
from headrace_model.status import Role
from headrace_model.webhook import Delivery, Webhook
from headrace_wire.webhooks import (
    decode_delivery,
    decode_webhook,
    encode_delivery,
    encode_webhook,
)

MOST_HOOKS = 20
MOST_WAITING = 5_000
_DISABLED = "disabled"  # the mark that stands among webhooks while their user may not come in


@dataclass(frozen=True, slots=True)
class Waiting:
    """The last event that was read ("": none was), and the messages that wait by their id."""

    at: str
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)


class WebhookStore:
    """A hash of rules a user; one of messages for all."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(self, user: str, hook: Webhook) -> None:
        """Keep a user's webhook; raises `Conflict` when they have enough."""
        args = {"user": user, "id": hook.id, "most": MOST_HOOKS, "doc": encode_webhook(hook)}
        await self._redis.script("put_webhook", args)

    async def remove(self, user: str, hook: str) -> bool:
        """Remove a webhook; tells whether there was one."""
        args = {"user": user, "id": hook, "most": MOST_HOOKS}
        (changed,) = await self._redis.script("put_webhook", args)
        return bool(int(changed))

    async def of(self, users: Iterable[str]) -> dict[str, list[Webhook]]:
        """The webhooks of some users; none of who is disabled, and damaged ones are left out."""
        names = sorted(set(users))
        kept = await self._redis.commands([("HGETALL", f"hr:webhooks:{name}") for name in names])
        return {
            name: [hook for text in each.values() if (hook := _hook(text))]
            if _DISABLED not in each
            else []
            for name, each in zip(names, map(dict, kept), strict=True)
        }

    async def waiting(self) -> Waiting:
        """What is to be delivered; damaged ones are left out."""
        kept = dict(await self._redis.command("HGETALL", "hr:deliveries"))
        at = str(kept.pop("at", ""))
        return Waiting(at, {id_: each for id_, text in kept.items() if (each := _delivery(text))})

    async def write(
        self,
        term: int,
        *,
        at: str | None = None,
        new: Sequence[Delivery] = (),
        put: Sequence[Delivery] = (),
        gone: Sequence[str] = (),
    ) -> int:
        """Keep what changed, whole or not at all; tells how many new ones found no room.

        Raises `Fenced` for a late leader.
        """
        args = {
            "role": Role.MONITOR,
            "term": term,
            "most": MOST_WAITING,
            "new": {each.id: encode_delivery(each) for each in new},
            "put": {each.id: encode_delivery(each) for each in put},
            "gone": list(gone),
            **({} if at is None else {"at": at}),
        }
        (passed,) = await self._redis.script("write_deliveries", args)
        return int(passed)


def _hook(text: str) -> Webhook | None:
    try:
        return decode_webhook(text)
    except InvalidInput:
        return None


def _delivery(text: str) -> Delivery | None:
    try:
        return decode_delivery(text)
    except InvalidInput:
        return None
