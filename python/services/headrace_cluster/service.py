"""The cluster agent's shell: has the swarm run the services that nodes' agents wish for."""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from headrace_cluster.core.networks import over
from headrace_cluster.core.plan import Claim, plan, refusal_of
from headrace_cluster.joins import Joins
from headrace_cluster.settings import Settings
from headrace_model.errors import Conflict, Fenced, HeadraceError, InvalidInput
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.service import (
    AttemptNetwork,
    Member,
    Progress,
    Service,
    ServiceRefusal,
    ServiceTask,
    ServiceWish,
)
from headrace_model.status import Role
from headrace_service.hints import Pending
from headrace_service.leader import Leader
from headrace_service.logs import logger

if TYPE_CHECKING:
    from headrace_adapters.backends.swarm_manager import SwarmManager
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.nodes import NodeRecord, NodeStore
    from headrace_adapters.redis.services import ServiceStore

_ALL = ""  # in the place of a node
_SOON_S = 1.0
_AGAIN_S = 0.5
_PATIENCE_S = 15.0


class Cluster:
    """Keeps nothing: while it leads, it compares the wishes in Redis with the swarm."""

    def __init__(
        self,
        wishes: "ServiceStore",
        nodes: "NodeStore",
        events: "Events",
        swarm: "SwarmManager",
        joins: Joins,
        leader: Leader,
        settings: Settings,
    ) -> None:
        self._wishes = wishes
        self._nodes = nodes
        self._events = events
        self._swarm = swarm
        self._joins = joins
        self._leader = leader
        self._settings = settings
        self._log = logger(Role.CLUSTER)

    async def run(self) -> None:
        """Try to lead, and act while leading."""
        await self._leader.run(self._act)

    async def _act(self, term: int) -> None:
        view = _View()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(view))
            group.create_task(self._sweep(view))
            group.create_task(self._serve(view, term))
            group.create_task(self._joins.run(term))

    async def _listen(self, view: "_View") -> None:
        async for hint in self._events.follow():
            match hint.get("kind"):
                case "service":
                    view.changed.add(hint["node"])
                case "node" | None:
                    view.changed.add(_ALL)
                case _:
                    pass

    async def _sweep(self, view: "_View") -> None:
        """Look at all, and soon again while a worker is to start."""
        while True:
            await asyncio.sleep(_SOON_S if view.starting else self._settings.sweep_s)
            view.changed.add(_ALL)

    async def _serve(self, view: "_View", term: int) -> None:
        while True:
            changed = await view.changed.take()
            try:
                if _ALL in changed or not changed <= view.claims.keys():
                    await self._look(view)
                    changed = view.claims.keys() | {s.node for s in view.services.values()}
                await self._all(*(self._meet(view, node, term) for node in sorted(changed)))
                await self._tidy(view)
            except Fenced:
                raise
            except HeadraceError as error:
                self._log.warning(f"can't compare: {error}", action="compare")
                await asyncio.sleep(_AGAIN_S)
                view.changed.add(_ALL)

    async def _look(self, view: "_View") -> None:
        """See anew what is there."""
        records, members, services, tasks, networks = await asyncio.gather(
            self._nodes.all(),
            self._swarm.members(),
            self._swarm.services(),
            self._swarm.tasks(),
            self._swarm.networks.all(),
        )
        view.claims = {record.id: _claim(record) for record in records}
        view.any_lost = any(record.state is NodeState.LOST for record in records)
        view.networks = networks
        view.members = members
        view.services = {service.name: service for service in services}
        view.see_tasks(tasks, time.monotonic())

    async def _meet(self, view: "_View", node: str, term: int) -> None:
        """Have the swarm run what one node wishes for, and nothing else of it."""
        claim = view.claims.get(node, Claim(node, "", ""))
        wished = await self._wishes.wishes(NodeId(node))
        there = {name: s for name, s in view.services.items() if s.node == node}
        epoch = self._wishes.epoch
        decided = plan(claim, view.members, wished, there, epoch, view.ended)
        refused = [*decided.refuse]
        for each in wished:
            service = there.get(each.name)
            if not service or service.epoch != epoch or each.refused:
                continue
            if task := view.tasks.get(service.id):
                waited_s = time.monotonic() - view.since[service.id]
                if refusal := refusal_of(task, node, waited_s, _PATIENCE_S):
                    refused.append((each.name, refusal))
        await self._all(
            *(self._create(view, wish, node, member, term) for wish, member in decided.create),
            *(self._remove(view, service) for service in decided.remove),
            *(self._refuse(node, name, refusal, term) for name, refusal in refused),
            self._wishes.drop(NodeId(node), decided.drop),
        )

    async def _tidy(self, view: "_View") -> None:
        """Remove the networks of attempts that are over everywhere."""
        runs = [network.run for network in view.networks]
        owed = await self._wishes.owed(map(NodeId, view.claims), runs)
        gone = over(view.networks, view.services.values(), owed, any_lost=view.any_lost)
        view.networks = ()  # until they are looked at again
        await self._all(*(self._swarm.networks.remove(network) for network in gone))

    async def _create(
        self, view: "_View", wish: ServiceWish, node: str, member: str, term: int
    ) -> None:
        try:
            view.services[wish.name] = await self._swarm.create(
                wish, node, member, self._wishes.epoch
            )
        except (Conflict, InvalidInput) as error:
            refusal = ServiceRefusal(error.message, retryable=isinstance(error, Conflict))
            await self._refuse(node, wish.name, refusal, term)
            return
        view.starting = True
        self._log.info(f"made {wish.name}", action="create", job=wish.job, node=node)

    async def _refuse(self, node: str, name: str, refusal: ServiceRefusal, term: int) -> None:
        await self._wishes.refuse(NodeId(node), name, refusal, term)
        self._log.warning(f"refused {name}: {refusal.message}", action="refuse", node=node)

    async def _remove(self, view: "_View", service: Service) -> None:
        await self._swarm.remove(service.id)
        view.services.pop(service.name, None)
        self._log.info(f"removed {service.name}", action="remove", node=service.node)

    async def _all(self, *calls: Awaitable[None]) -> None:
        """Do all, whatever becomes of one; what failed is tried again by the next sweep."""
        for done in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(done, HeadraceError) and not isinstance(done, Fenced):
                self._log.warning(f"is tried again: {done}", action="swarm")
            elif isinstance(done, BaseException):
                raise done


class _View:
    """What was seen of nodes and swarm since this replica leads."""

    def __init__(self) -> None:
        self.changed: Pending[str] = Pending()
        self.claims: dict[str, Claim] = {}
        self.any_lost = False
        self.networks: tuple[AttemptNetwork, ...] = ()
        self.members: tuple[Member, ...] = ()
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, ServiceTask] = {}
        self.since: dict[str, float] = {}  # how long tasks have been as they are
        self.ended: frozenset[str] = frozenset()
        self.starting = False

    def see_tasks(self, tasks: Iterable[ServiceTask], now: float) -> None:
        seen = {task.service: task for task in tasks}
        self.since = {
            service: self.since.get(service, now)
            if service in self.tasks and self.tasks[service].progress is task.progress
            else now
            for service, task in seen.items()
        }
        self.tasks = seen
        ids = {service.id for service in self.services.values()}
        self.ended = frozenset(s for s, t in seen.items() if t.progress is Progress.ENDED)
        self.starting = any(seen[s].progress is Progress.WAITS if s in seen else True for s in ids)


def _claim(record: "NodeRecord") -> Claim:
    if record.swarm is None:
        return Claim(record.id, "", "")
    return Claim(record.id, record.swarm.node, record.swarm.state_source)
