"""Nodes in Redis: registration, their living counter, the free ledger."""

from collections.abc import Iterable
from dataclasses import dataclass

from headrace_adapters.redis.connection import Redis
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Resources
from headrace_model.status import Role


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as Redis holds it; `free` is None while it has no ledger line."""

    id: NodeId
    capacity: Resources
    free: Resources | None
    state: NodeState
    backends: frozenset[str]
    counter: str
    registered_ms: int
    held: tuple[str, ...]  # "<job>.<attempt>" of each share it gives


class NodeStore:
    """All that the services do with nodes in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ids: list[str] = []  # of the last reading

    async def register(
        self,
        node: NodeId,
        incarnation: str,
        capacity: Resources,
        backends: frozenset[str],
        *,
        has_state_lock: bool,
        seen_counter: str | None = None,
        living: Iterable[str] = (),
    ) -> str | None:
        """Take up service; returns None, or a counter that must stand still for a lease first.

        `living`: the attempts "<job>.<attempt>" whose workers live on the node. Raises `Stale`
        where one of them is over, `Conflict` where another agent's counter moved.
        """
        args = {
            "node": node,
            "incarnation": incarnation,
            "millicpus": capacity.millicpus,
            "memory_bytes": capacity.memory_bytes,
            "backends": " ".join(sorted(backends)),
            "has_state_lock": has_state_lock,
            "living": sorted(living),
        }
        if seen_counter is not None:
            args["seen_counter"] = seen_counter
        answer, *counter = await self._redis.script("register_node", args)
        return None if answer == "REGISTERED" else str(counter[0])

    async def renew(self, node: NodeId, incarnation: str) -> NodeState:
        """Raise the counter; raises `Fenced` where another agent serves the node now."""
        args = {"node": node, "incarnation": incarnation}
        _, state = await self._redis.script("renew_node", args)
        return NodeState(state)

    async def lose(self, node: NodeId, counter: str, term: int) -> bool:
        """Call a node lost unless its counter moved; tells whether it was done now."""
        args = {"role": Role.MONITOR, "term": term, "node": node, "counter": counter}
        (lost,) = await self._redis.script("lose_node", args)
        return bool(lost)

    async def all(self) -> list[NodeRecord]:
        """All nodes, sorted by id; one round trip unless a node came or went meanwhile."""
        while True:
            ids = self._ids
            members, free, *rest = await self._redis.commands(
                [("SMEMBERS", "hr:nodes"), ("HGETALL", "hr:free")]
                + [("HGETALL", f"hr:node:{node}") for node in ids]
                + [("HKEYS", f"hr:held:{node}") for node in ids]
            )
            if set(members) == set(ids):
                break
            self._ids = sorted(members)
        hashes, held = rest[: len(ids)], rest[len(ids) :]
        return [
            NodeRecord(
                id=NodeId(node),
                capacity=Resources(int(h["millicpus"]), int(h["memory_bytes"])),
                free=_amount(free.get(node)),
                state=NodeState(h["state"]),
                backends=frozenset(h["backends"].split()),
                counter=h["counter"],
                registered_ms=int(h["registered_ms"]),
                held=tuple(runs),
            )
            for node, h, runs in zip(ids, hashes, held, strict=True)
        ]

    async def ledger_errors(self) -> list[str]:
        """Compare the ledger with what attempts hold; one sentence a difference, none is right."""
        wrong = []
        for node in await self.all():
            shares = await self._redis.command("HVALS", f"hr:held:{node.id}")
            held = sum((_amount(share) or NOTHING for share in shares), NOTHING)
            if node.free is not None and node.free + held != node.capacity:
                wrong.append(f"{node.id}: free {node.free} + held {held} ≠ {node.capacity}")
            if not held.fits_in(node.capacity):
                wrong.append(f"{node.id} is over-booked: {held} of {node.capacity}")
        return wrong


def _amount(text: str | None) -> Resources | None:
    if text is None:
        return None
    millicpus, memory = text.split()
    return Resources(int(millicpus), int(memory))
