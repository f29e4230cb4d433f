"""Nodes as people see them, and what admins may do with them."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace_model.bounds import Bounds, Window
from headrace_model.ids import JobId, NodeId
from headrace_model.people import Act, User, check_may, may, sees
from headrace_model.resources import Resources, generic
from headrace_request.service.cached import Cached
from headrace_service.logs import logger
from headrace_wire.api import LabelChange, node_view

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeRecord, NodeStore


ChangeNode = Callable[[NodeId, User], Awaitable[list[dict[str, Any]]]]


class NodeDesk:
    """`known`: all nodes, remembered for a moment, as the `bounds` that hold their pools."""

    def __init__(
        self,
        store: "NodeStore",
        known: "Cached[list[NodeRecord]]",
        bounds: Cached[Bounds | None],
        jobs: "JobStore",
    ) -> None:
        self._store = store
        self._known = known
        self._bounds = bounds
        self._jobs = jobs
        self._log = logger("request")

    async def show(self, user: User) -> list[dict[str, Any]]:
        """Show the nodes; of what they hold only the jobs that the user may see, by name.

        Raises `Forbidden`.
        """
        check_may(user, Act.SEE_NODES)
        return await self._views(user)

    async def _views(self, user: User) -> list[dict[str, Any]]:
        nodes, bounds = await self._known.get(), await self._bounds.get() or Bounds()
        kept = await self._store.quarantined(node.id for node in nodes)
        shown = {_job_of(run) for node in nodes for run in (*node.held, *kept[node.id])}
        if not may(user, Act.SEE_JOB):  # an admin sees all: nothing has to be read
            jobs = await self._jobs.get_many(shown)
            shown = {job.id for job in jobs if sees(user, job.owner, job.shared)}
        has = await self._store.inventories([node.id for node in nodes])
        now_ms = await self._jobs.now_ms()
        usable = {node.id: bounds.usable(node.id, node.capacity) for node in nodes}
        return [
            node_view(
                # What an admin says is there by the piece, no agent tells.
                node.id, node.state, replace(node.capacity, generic=usable[node.id].generic),
                node.free and _left(usable[node.id], node.capacity - node.free), node.backends,
                tuple(run for run in node.held if _job_of(run) in shown),
                node.labels, has.get(node.id),
                tuple(run for run in kept[node.id] if _job_of(run) in shown),
                confirmed=node.confirmed, pools=bounds.pools_of(node.id), usable=usable[node.id],
                maintenance=_to_come(bounds.maintenance.get(node.id, ()), now_ms),
            )
            for node in nodes
        ]  # fmt: skip

    async def drain(self, node: NodeId, user: User) -> list[dict[str, Any]]:
        """Keep new work from a node; shows all nodes. Raises `Forbidden`, `NotFound`."""
        return await self._change(node, user, "drain", partial(self._store.drain, drained=True))

    async def undrain(self, node: NodeId, user: User) -> list[dict[str, Any]]:
        """Let work come to a node again; shows all nodes. Raises `Forbidden`, `NotFound`."""
        return await self._change(node, user, "undrain", partial(self._store.drain, drained=False))

    async def confirm_lost(self, node: NodeId, user: User) -> list[dict[str, Any]]:
        """Take a lost node for gone with its workers; shows all. Raises as `drain`, `Conflict`."""
        return await self._change(node, user, "confirm-lost", self._store.confirm_lost)

    async def label(self, node: NodeId, asked: LabelChange, user: User) -> list[dict[str, Any]]:
        """Change a node's labels; shows all nodes. Raises as `drain`, `TooLarge`."""
        change = partial(self._store.label, labels=asked.set, remove=asked.remove)
        return await self._change(node, user, "label", change)

    async def remove(self, node: NodeId, user: User) -> list[dict[str, Any]]:
        """Forget a lost node that holds nothing; shows the rest. Raises as `drain`, `Conflict`."""
        return await self._change(node, user, "remove", self._store.forget)

    async def discard(
        self, node: NodeId, user: User, attempts: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Have a node end and remove what it keeps in quarantine; shows all nodes.

        No attempts: all of them. Raises `Forbidden`, `NotFound`.
        """
        discard = partial(self._store.discard, runs=attempts)
        return await self._change(node, user, "discard", discard)

    async def _change(
        self, node: NodeId, user: User, verb: str, change: Callable[[NodeId], Awaitable[bool]]
    ) -> list[dict[str, Any]]:
        check_may(user, Act.MANAGE_NODES)
        if await change(node):
            self._log.info(f"{verb} {node}", action=verb, node=node, user=user.name)
        self._known.forget()
        return await self._views(user)


def _left(usable: Resources, held: Resources) -> Resources:
    """What is free of what may be used; an admin may give less than is held."""
    left = usable - held
    pieces = {name: max(0, amount) for name, amount in left.generic}
    return Resources(max(0, left.millicpus), max(0, left.memory_bytes), generic(pieces))


def _to_come(windows: Iterable[Window], now_ms: int) -> Iterator[Window]:
    return (each for each in windows if each.until_ms > now_ms)


def _job_of(run: str) -> JobId:
    """The job of a "<job>.<attempt>"."""
    return JobId(run.rpartition(".")[0])
