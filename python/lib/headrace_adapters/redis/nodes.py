"""Nodes in Redis: registration, their living counter, the free ledger."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from headrace_adapters.redis.connection import Redis
from headrace_model.ids import DatasetId, NodeId
from headrace_model.node import MOST_LABELS, Inventory, NodeState
from headrace_model.resources import NOTHING, Resources, generic, parse_pieces, pieces_text
from headrace_model.status import Role
from headrace_wire.records import decode, encode

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SwarmClaim:
    """What an agent says of its engine: its id in its swarm, and what it calls the folder that
    the agent's files lie in."""

    node: str
    state_source: str


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
    labels: Mapping[str, str]
    confirmed: bool  # it is lost, and an admin said that it is gone
    swarm: "SwarmClaim | None" = None
    left: bool = False  # its agent ended in good order, and no other one has come


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """What plans look at of a node; `free` is None while it has no ledger line."""

    id: NodeId
    capacity: Resources
    free: Resources | None
    state: NodeState
    backends: frozenset[str]
    labels: Mapping[str, str]


class NodeStore:
    """All that the services do with nodes in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ids: list[str] = []  # of the last reading
        self._offers: dict[Sequence[str], NodeOffer | None] = {}  # of the last reading, by texts

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
        swarm: SwarmClaim | None = None,
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
            "generic": pieces_text(capacity.generic),
            "backends": " ".join(sorted(backends)),
            "has_state_lock": has_state_lock,
            "living": sorted(living),
            "swarm_node": swarm.node if swarm else "",
            "state_source": swarm.state_source if swarm else "",
        }
        if seen_counter is not None:
            args["seen_counter"] = seen_counter
        answer, *counter = await self._redis.script("register_node", args)
        return None if answer == "REGISTERED" else str(counter[0])

    async def renew(
        self, node: NodeId, incarnation: str, *, full: bool = False, leaving: bool = False
    ) -> NodeState:
        """Raise the counter, and tell whether the node's disk is too full for new attempts.

        `leaving`: for the last time; the agent ends in good order, and another one is to come.
        Until then the node offers nothing.
        Raises `Fenced` where another agent serves the node now.
        """
        args = {"node": node, "incarnation": incarnation, "full": full, "leaving": leaving}
        _, state = await self._redis.script("renew_node", args)
        return NodeState(state)

    async def lose(self, node: NodeId, counter: str, term: int) -> bool:
        """Call a node lost unless its counter moved; tells whether it was done now."""
        args = {"role": Role.MONITOR, "term": term, "node": node, "counter": counter}
        (lost,) = await self._redis.script("lose_node", args)
        return bool(lost)

    async def drain(self, node: NodeId, *, drained: bool) -> bool:
        """Keep new attempts from a node, or let them come; tells whether that is new.

        Raises `NotFound`.
        """
        (changed,) = await self._redis.script("drain_node", {"node": node, "drained": drained})
        return bool(changed)

    async def confirm_lost(self, node: NodeId) -> bool:
        """Say that a lost node is gone with its workers; tells whether that is new.

        Raises `NotFound`, and `Conflict` while it is not lost.
        """
        (changed,) = await self._redis.script("confirm_node", {"node": node})
        return bool(changed)

    async def label(self, node: NodeId, labels: Mapping[str, str], remove: Sequence[str]) -> bool:
        """Give a node labels and take others away; tells whether that is new.

        Raises `NotFound`, `TooLarge`.
        """
        args = {"node": node, "set": dict(labels), "remove": list(remove), "most": MOST_LABELS}
        (changed,) = await self._redis.script("label_node", args)
        return bool(changed)

    async def describe(
        self,
        node: NodeId,
        incarnation: str,
        inventory: Inventory,
        held: Mapping[DatasetId, int],
    ) -> None:
        """Tell what a node has, and the bytes of datasets that it holds whole.

        Raises `Fenced` where another agent serves the node now.
        """
        args = {
            "node": node,
            "incarnation": incarnation,
            "inventory": encode(inventory),
            "held": {dataset: str(size_bytes) for dataset, size_bytes in held.items()},
        }
        await self._redis.script("describe_node", args)

    async def holders(
        self, nodes: Sequence[NodeId], datasets: Sequence[DatasetId]
    ) -> dict[DatasetId, dict[NodeId, int]]:
        """Of datasets the nodes that hold them whole, and how many bytes that is."""
        fields = [f"held:{dataset}" for dataset in datasets]
        answers = await self._redis.commands(
            [("HMGET", f"hr:inventory:{node}", *fields) for node in nodes] if fields else []
        )
        found: dict[DatasetId, dict[NodeId, int]] = {dataset: {} for dataset in datasets}
        for node, sizes in zip(nodes, answers, strict=True):
            for dataset, size in zip(datasets, sizes, strict=True):
                if size is not None and size.isdecimal():
                    found[dataset][node] = int(size)
        return found

    async def inventories(self, nodes: Sequence[NodeId]) -> dict[NodeId, Inventory]:
        """What these nodes have, as far as their agents have told."""
        texts = await self._redis.commands(
            [("HGET", f"hr:inventory:{node}", "record") for node in nodes]
        )
        return {
            node: decode(Inventory, text) for node, text in zip(nodes, texts, strict=True) if text
        }

    async def forget(self, node: NodeId) -> bool:
        """Take a lost node out of the list; tells whether it was there. Raises `Conflict`."""
        (there,) = await self._redis.script("forget_node", {"node": node})
        return bool(there)

    async def tell_quarantine(
        self, node: NodeId, incarnation: str, runs: Iterable[str]
    ) -> frozenset[str]:
        """Tell which attempts are kept that Redis does not know; gives those that may go."""
        args = {"node": node, "incarnation": incarnation, "runs": sorted(runs)}
        return frozenset(await self._redis.script("tell_quarantine", args))

    async def discard(self, node: NodeId, runs: Iterable[str] = ()) -> bool:
        """Let attempts go that a node keeps though Redis does not know them; none: all of them.

        Tells whether any was kept before. Raises `NotFound`.
        """
        args = {"node": node, "runs": sorted(runs)}
        (new,) = await self._redis.script("discard_quarantined", args)
        return bool(new)

    async def quarantined(self, nodes: Iterable[NodeId]) -> dict[NodeId, tuple[str, ...]]:
        """What each node keeps though Redis does not know it."""
        ids = list(nodes)
        found = await self._redis.commands([("HKEYS", f"hr:quarantine:{node}") for node in ids])
        return {node: tuple(sorted(runs)) for node, runs in zip(ids, found, strict=True)}

    async def all(self) -> list[NodeRecord]:
        """All nodes, sorted by id; one round trip unless a node came or went meanwhile."""
        while True:
            ids = self._ids
            members, *rest = await self._redis.commands(
                [("SMEMBERS", "hr:nodes")]
                + [("HGETALL", f"hr:node:{node}") for node in ids]
                + [("HGET", f"hr:free:{node}", "room") for node in ids]
                + [("HKEYS", f"hr:held:{node}") for node in ids]
            )
            count = len(ids)
            hashes, free, held = rest[:count], rest[count : 2 * count], rest[2 * count :]
            if set(members) == set(ids):
                break
            self._ids = sorted(members)
        # One that was forgotten in the middle of it has no fields.
        there = [each for each in zip(ids, hashes, held, free, strict=True) if each[1]]
        read = [_record(*each) for each in there]
        return [record for record in read if record]

    async def offers(self) -> list[NodeOffer]:
        """What all nodes offer, sorted by id: one answer, of which only what is new is read."""
        texts = iter(await self._redis.script("tell_nodes", {}))
        found = list(zip(*[texts] * 8, strict=True))
        known = self._offers
        self._offers = {each: known[each] if each in known else _offer(*each) for each in found}
        return [each for each in self._offers.values() if each]

    async def ledger_errors(self) -> list[str]:
        """Compare the ledger with what attempts hold; one sentence a difference, none is right."""
        wrong = []
        for node in await self.all():
            shares = await self._redis.command("HVALS", f"hr:held:{node.id}")
            held = sum((_amount(share) or NOTHING for share in shares), NOTHING)
            if node.free is not None and node.free + held != node.capacity:
                wrong.append(f"{node.id}: free {node.free} + held {held} ≠ {node.capacity}")
            # What a node does not offer by the piece is there because an admin says so.
            offered = dict(node.capacity.generic)
            counted = generic({name: n for name, n in held.generic if name in offered})
            if not replace(held, generic=counted).fits_in(node.capacity):
                wrong.append(f"{node.id} is over-booked: {held} of {node.capacity}")
        return wrong


def _record(
    node: str, fields: Mapping[str, str], held: Sequence[str], free: str | None
) -> NodeRecord | None:
    """A node; None for fields without sense, since one agent must not end who reads them all."""
    try:
        return NodeRecord(
            id=NodeId(node),
            capacity=Resources(
                int(fields["millicpus"]),
                int(fields["memory_bytes"]),
                parse_pieces(fields.get("generic", "").split()),
            ),
            free=_amount(free),
            state=NodeState(fields["state"]),
            backends=frozenset(fields["backends"].split()),
            counter=fields["counter"],
            registered_ms=int(fields["registered_ms"]),
            held=tuple(held),
            labels=json.loads(fields.get("labels", "{}")),
            swarm=SwarmClaim(fields["swarm_node"], fields["state_source"])
            if fields.get("swarm_node")
            else None,
            confirmed=fields.get("confirmed") == "1",
            left=fields.get("left") == "1",
        )
    except (KeyError, ValueError) as error:
        _LOG.error("the record of node %s can't be read: %r", node, error)
        return None


def _offer(
    node: str, millicpus: str, memory: str, counted: str, state: str, backends: str,
    labels: str, room: str,
) -> NodeOffer | None:  # fmt: skip
    """What a node offers; None for fields without sense."""
    try:
        return NodeOffer(
            id=NodeId(node),
            capacity=Resources(int(millicpus), int(memory), parse_pieces(counted.split())),
            free=_amount(room or None),
            state=NodeState(state),
            backends=frozenset(backends.split()),
            labels=json.loads(labels or "{}"),
        )
    except ValueError as error:
        _LOG.error("the record of node %s can't be read: %r", node, error)
        return None


def _amount(text: str | None) -> Resources | None:
    if text is None:
        return None
    millicpus, memory, *counted = text.split()
    return Resources(int(millicpus), int(memory), parse_pieces(counted))
