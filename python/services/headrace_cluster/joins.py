"""Lets machines in: gives each node's agent a user of its own, and takes it from removed nodes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from headrace_cluster.core.join import refuse_join
from headrace_model.errors import Fenced, HeadraceError, InvalidInput
from headrace_model.node import JoinRequest
from headrace_model.service import Member
from headrace_model.status import Role
from headrace_service.logs import logger
from headrace_wire.records import decode

if TYPE_CHECKING:
    from headrace_adapters.redis.joins import JoinStore

_LONGEST: Final = 1_024
_PAUSE_S: Final = 0.1  # between two requests: they come from whoever has the join secret
_REMOVED_S: Final = 0.5

Members = Callable[[], Awaitable[Sequence[Member]]]


class Joins:
    """Runs while the cluster agent leads, by whose term all that it changes is fenced."""

    def __init__(self, store: "JoinStore", members: Members) -> None:
        self._store = store
        self._members = members
        self._log = logger(Role.CLUSTER)

    async def run(self, term: int) -> None:
        """Let in and out for ever. Rights change with the version: all have this one's first.

        Raises `Fenced` once another leads.
        """
        await self._renew(term)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._admit_all(term))
            group.create_task(self._revoke_all(term))

    async def _renew(self, term: int) -> None:
        for node in await self._store.nodes():
            try:
                if known := await self._store.passwords(node):
                    await self._store.admit(node, known, term)
            except Fenced:
                raise
            except HeadraceError as error:
                self._log.warning(f"can't renew the rights of {node}: {error}", action="join")

    async def _admit_all(self, term: int) -> None:
        async for text in self._store.requests():
            try:
                await self._admit(text, term)
            except Fenced:
                raise
            except HeadraceError as error:
                self._log.warning(f"can't let a machine in: {error}", action="join")
            await asyncio.sleep(_PAUSE_S)

    async def _admit(self, text: str, term: int) -> None:
        if len(text) > _LONGEST:
            raise InvalidInput("the request is too long")
        asked = decode(JoinRequest, text)
        known = await self._store.passwords(asked.node)
        if why := refuse_join(asked, await self._members(), known):
            self._log.warning(f"not let in: {why}", action="join", node=asked.node)
        elif known is None:
            await self._store.admit(asked.node, [asked.sha256], term)
            self._log.info(f"let in {asked.node}", action="join", node=asked.node)

    async def _revoke_all(self, term: int) -> None:
        while True:
            try:
                for node in await self._store.removed():
                    await self._store.revoke(node, term)
                    self._log.info(f"let in no more: {node}", action="revoke", node=node)
            except Fenced:
                raise
            except HeadraceError as error:
                self._log.warning(f"can't revoke: {error}", action="revoke")
            await asyncio.sleep(_REMOVED_S)
