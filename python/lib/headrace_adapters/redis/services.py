"""Services in Redis: what agents wish for their nodes, and what the cluster agent refuses."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import Fenced, InvalidInput
from headrace_model.ids import NodeId
from headrace_model.service import ServiceRefusal, ServiceWish, Wished
from headrace_model.status import Role
from headrace_model.work import Verb
from headrace_wire.records import decode, decode_work, encode

_LOG = logging.getLogger(__name__)


class ServiceStore:
    """All that agents do with services in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @property
    def epoch(self) -> str:
        """Which Redis this is."""
        return self._redis.epoch

    async def wish(self, node: NodeId, wish: ServiceWish) -> None:
        """Wish for a service, until that is dropped; the first wish of a name counts."""
        args = {"node": node, "name": wish.name, "doc": encode(wish)}
        await self._redis.script("wish_service", args)

    async def drop(self, node: NodeId, names: Iterable[str]) -> None:
        """Wish no longer; what was refused is forgotten as well. Unknown names are success."""
        if listed := sorted(names):
            await self._redis.script("drop_services", {"node": node, "names": listed})

    async def names(self, node: NodeId) -> frozenset[str]:
        """The names of a node's wishes."""
        return frozenset(await self._redis.command("HKEYS", f"hr:services:{node}"))

    async def wishes(self, node: NodeId) -> list[Wished]:
        """A node's wishes, by name. Raises `Fenced` where Redis was restored or rebuilt: what it
        does not wish for may still be wanted."""
        texts, refused = await self._read(
            [("HGETALL", f"hr:services:{node}"), ("HKEYS", f"hr:refusals:{node}")]
        )
        wishes = {name: _wish_of(name, text) for name, text in sorted(texts.items())}
        runs = sorted({wish.run for wish in wishes.values() if wish})
        if not runs:
            return [Wished(name, None, name in refused) for name in wishes]
        # After the wishes: a record that is replaced meanwhile can only ask for less.
        records, shares = await self._read(
            [("HMGET", f"hr:work:{node}", *runs), ("HMGET", f"hr:held:{node}", *runs)]
        )
        found = {
            run: (text, share) for run, text, share in zip(runs, records, shares, strict=True)
        }
        return [
            Wished(name, wish, name in refused, *_owed(*found[wish.run]))
            if wish
            else Wished(name, None, name in refused)
            for name, wish in wishes.items()
        ]

    async def owed(self, nodes: Iterable[NodeId], runs: Sequence[str]) -> frozenset[str]:
        """Those of the attempts ("<job>.<attempt>") that a node still has a record of. Raises
        `Fenced` as `wishes` does."""
        if not runs:
            return frozenset()
        found = await self._read([("HMGET", f"hr:work:{node}", *runs) for node in nodes])
        return frozenset(
            run for records in found for run, text in zip(runs, records, strict=True) if text
        )

    async def _read(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        # In this order: what a restored Redis holds never comes with the epoch from before.
        *found, epoch = await self._redis.commands([*commands, ("GET", "hr:epoch")])
        if epoch != self.epoch:
            raise Fenced("this Redis was restored or rebuilt")
        return found

    async def refuse(self, node: NodeId, name: str, refusal: ServiceRefusal, term: int) -> None:
        """Refuse a wish; success where it was dropped meanwhile. Raises `Fenced`."""
        args: dict[str, Any] = {
            "role": Role.CLUSTER,
            "term": term,
            "node": node,
            "name": name,
            "doc": encode(refusal),
        }
        await self._redis.script("refuse_service", args)

    async def refusals(self, node: NodeId) -> dict[str, ServiceRefusal]:
        """Why wishes of a node can't be met, by name."""
        texts: dict[str, str] = await self._redis.command("HGETALL", f"hr:refusals:{node}")
        return {name: decode(ServiceRefusal, text) for name, text in texts.items()}


def _owed(record: str | None, share: str | None) -> tuple[bool, bool]:
    """Whether the worker of an attempt may start, and whether the attempt is over.

    The record may be of the node's own agent, who has a share of the attempt only if the
    scheduler gave it.
    """
    if record is None:
        return False, True
    try:
        verb = decode_work(record).verb
    except InvalidInput as error:
        _LOG.error("a work record can't be read: %s", error)
        return False, False
    return verb is Verb.LAUNCH and share is not None, False


def _wish_of(name: str, text: str) -> ServiceWish | None:
    try:
        wish = decode(ServiceWish, text)
    except InvalidInput as error:
        _LOG.error("the wish for service %s can't be read: %s", name, error)
        return None
    return wish if wish.name == name else None
