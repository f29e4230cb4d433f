"""The agent's tenure of its node: registered by an incarnation, and renewed while it lasts."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import TYPE_CHECKING, TypeVar

from headrace_agent.core.disk import Spare, is_full
from headrace_agent.settings import Settings
from headrace_model.errors import Conflict, Fenced, HeadraceError, Stale, Unavailable
from headrace_model.ids import NodeId
from headrace_model.job import CONTAINER, PARALLEL, PROCESS
from headrace_model.node import NodeState
from headrace_model.resources import Resources
from headrace_service.logs import logger

if TYPE_CHECKING:
    from headrace_adapters.redis.nodes import NodeStore, SwarmClaim

T = TypeVar("T")
Swarm = Callable[[], Awaitable["SwarmClaim | None"]]
"""Tells which machine of a swarm this node is; None where no swarm runs its workers."""
_AGAIN_S = 0.5
_LEAVE_S = 2.0
# What a job may ask of a node, by what runs workers there.
_OFFERS = {
    "process": frozenset({PROCESS}),
    "docker": frozenset({CONTAINER, PROCESS}),
    "swarm": frozenset({CONTAINER, PARALLEL, PROCESS}),
}


class Tenure:
    """Each registration is another incarnation, which all writes for the node name."""

    def __init__(
        self,
        nodes: "NodeStore",
        node: NodeId,
        swarm: Swarm,
        settings: Settings,
        *,
        has_state_lock: bool,
    ) -> None:
        self._nodes = nodes
        self._node = node
        self._swarm = swarm
        self._settings = settings
        self._has_state_lock = has_state_lock
        self._log = logger("agent")
        self._registered = asyncio.Event()
        self._full = False  # the disk, as last looked at
        self.incarnation = ""

    @property
    def holds(self) -> bool:
        """Tell whether the node is registered, as far as this agent knows."""
        return self._registered.is_set()

    async def held(self) -> None:
        """Wait until the node is registered."""
        await self._registered.wait()

    def lapse(self) -> None:
        """Have the node registered anew."""
        self._registered.clear()

    async def fenced(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call Redis with this agent's incarnation; waits out a fence or an absent Redis."""
        while True:
            await self._registered.wait()
            try:
                return await call(self.incarnation)
            except Fenced:
                self.lapse()
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)

    async def renew(self) -> NodeState:
        """Raise the node's counter; gives the state that Redis has it in. Raises `Fenced`."""
        return await self._nodes.renew(self._node, self.incarnation, full=await self._is_full())

    async def leave(self) -> None:
        """Say that the agent ends in good order: the node is waited for longer."""
        if not self.holds:
            return
        try:
            async with asyncio.timeout(_LEAVE_S):
                full = await self._is_full()
                await self._nodes.renew(self._node, self.incarnation, full=full, leaving=True)
        except (HeadraceError, TimeoutError) as error:
            self._log.warning(f"ends without a word: {error}", action="leave", node=self._node)

    async def register(
        self,
        offered: Callable[[], Awaitable[Resources]],
        living: Callable[[], Awaitable[set[str]]],
    ) -> None:
        """Register the node with what it offers, once no other agent serves it.

        `living` ends workers of attempts that are over, and tells whose workers live on.
        """
        incarnation, seen = token_hex(8), None
        while True:
            try:
                wait = await self._nodes.register(
                    self._node,
                    incarnation,
                    await offered(),
                    _OFFERS[self._settings.backend],
                    has_state_lock=self._has_state_lock,
                    seen_counter=seen,
                    living=await living(),
                    swarm=await self._swarm(),
                )
            except Fenced:
                raise  # another epoch: the caller reads it and begins anew
            except Stale:
                continue  # an attempt was given up meanwhile: its workers end first
            except Conflict as error:
                self._log.error(f"the node is served already: {error}", action="register")
                seen = None  # its counter moved: from now on it has to stand still
                await asyncio.sleep(self._settings.node_lost_s)
                continue
            if wait is None:
                break
            seen = wait
            await asyncio.sleep(self._settings.node_lost_s)
        self.incarnation = incarnation
        self._registered.set()
        self._log.info(f"serves node {self._node}", action="register", node=self._node)

    async def _is_full(self) -> bool:
        """Tell whether the disk has too little room for new attempts."""
        spare = Spare(self._settings.disk_spare_percent, self._settings.disk_spare_bytes)
        try:
            disk = await asyncio.to_thread(shutil.disk_usage, self._settings.state_dir)
        except OSError as error:
            self._log.warning(f"the disk can't be looked at: {error}", action="disk")
            return self._full
        full = is_full(disk.free, disk.total, spare, was=self._full)
        if full != self._full:
            self._full = full
            says = "too full for new attempts" if full else "has room for new attempts again"
            self._log.warning(f"the disk of the state folder {says}", action="disk")
        return full
