"""Having workers' containers made by the swarm: the node wishes, its cluster agent makes."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from headrace_adapters.backends import containers
from headrace_adapters.backends.container_maker import Made, Refused
from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_errors import Gone
from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.ids import JobId, NodeId
from headrace_model.service import ServiceRefusal, ServiceWish
from headrace_model.worker import ExitCause, Inside, Mount, WorkerKey, WorkerLaunch

_LOOK_S: Final = 1.0
_AGAIN_S: Final = 0.5
_STOPPED: Final = ServiceRefusal("it was stopped before it started", retryable=True)


_Outcome: TypeAlias = "asyncio.Future[str | ServiceRefusal]"
"""What comes of a wish: the id of a started container, or why there will be none."""


class Wishes(Protocol):
    """What the maker needs of `ServiceStore` (backends don't know Redis)."""

    async def wish(self, node: NodeId, wish: ServiceWish) -> None: ...
    async def drop(self, node: NodeId, names: Collection[str]) -> None: ...
    async def names(self, node: NodeId) -> frozenset[str]: ...
    async def refusals(self, node: NodeId) -> Mapping[str, ServiceRefusal]: ...


class ServiceMaker:
    """Wishes for services on `node`, and finds their containers on its own engine."""

    def __init__(
        self, engine: Engine, wishes: Wishes, node: NodeId, *, owner: str, user: str
    ) -> None:
        self._engine = engine
        self._wishes = wishes
        self._node = node
        self._owner = owner
        self._user = user
        self._waiting: dict[WorkerKey, _Outcome] = {}
        self._some_wait = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """From now on starts are listened for."""
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._look())]

    async def close(self) -> None:
        """Listen no longer; wishes stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def make(self, launch: WorkerLaunch, inside: Inside) -> Made:
        """Have a worker's container made and started, unless it was. Raises `Refused`."""
        key = launch.key
        outcome: _Outcome = asyncio.get_running_loop().create_future()
        self._waiting[key] = outcome
        self._some_wait.set()
        wishing = asyncio.create_task(self._wish(launch, inside))
        try:
            if id_ := await self._find(key):
                return Made(id_, await self._engine.inspect(id_), fresh=False)
            await asyncio.wait((outcome, wishing), return_when=asyncio.FIRST_COMPLETED)
            if not outcome.done():
                wishing.result()
            told = await outcome
            # A container is worth more than what is said of it.
            id_ = told if isinstance(told, str) else await self._find(key)
            if id_:
                return Made(id_, await self._engine.inspect(id_), fresh=True)
            assert not isinstance(told, str)  # noqa: S101 - for the types
            cause = ExitCause.LOST if told.retryable else ExitCause.NOT_STARTED
            raise Refused(told.message, cause)
        except Gone as error:
            raise Refused("its container was removed", ExitCause.LOST) from error
        finally:
            del self._waiting[key]
            outcome.cancel()
            wishing.cancel()
            await asyncio.gather(wishing, return_exceptions=True)

    def give_up(self, job: JobId, attempt: int) -> None:
        """Wait for no container of an attempt any longer. One that comes late finds no folder."""
        for key in self._waiting:
            if (key.job, key.attempt) == (job, attempt):
                self._tell(key, _STOPPED)

    async def forget(self, job: JobId, attempt: int) -> None:
        """Wish no longer for the services of an attempt."""
        prefix = f"hr-{job}-{attempt}-"
        names = await self._wishes.names(self._node)
        await self._wishes.drop(self._node, [name for name in names if name.startswith(prefix)])

    def _tell(self, key: WorkerKey, told: str | ServiceRefusal) -> None:
        outcome = self._waiting.get(key)
        if outcome is not None and not outcome.done():
            outcome.set_result(told)

    async def _wish(self, launch: WorkerLaunch, inside: Inside) -> None:
        memory, millicpus = containers.limits_of(launch, inside, await self._engine.cpus())
        wish = ServiceWish(
            job=launch.key.job,
            attempt=launch.key.attempt,
            rank=launch.key.rank,
            image=inside.image,
            argv=launch.argv,
            env=dict(launch.env),
            cwd=launch.cwd,
            user=self._user,
            labels=dict(containers.labels_of(self._owner, launch, None)),
            mounts=tuple(
                [
                    Mount(await self._engine.source(each.source), each.target, each.read_only)
                    for each in inside.mounts
                ]
            ),
            memory_bytes=memory,
            millicpus=millicpus,
            ranks=inside.ranks,
        )
        await self._wishes.wish(self._node, wish)

    async def _look(self) -> None:
        """While some wait: look for containers whose start was missed, and for refusals."""
        while True:
            await self._some_wait.wait()
            await asyncio.sleep(_LOOK_S)
            if not self._waiting:
                self._some_wait.clear()
                continue
            with suppress(HeadraceError):
                for found in await self._engine.list(containers.containers_of(self._owner)):
                    known = containers.known_of(found["Id"], found["Labels"])
                    if known.key in self._waiting and await self._was_started(found):
                        self._tell(known.key, known.id)
                refused = await self._wishes.refusals(self._node)
                for key in self._waiting:
                    if refusal := refused.get(containers.name_of(key)):
                        self._tell(key, refusal)

    async def _find(self, key: WorkerKey) -> str:
        """The id of a worker's container that was started; empty: there is none."""
        mine = containers.containers_of_attempt(self._owner, key.job, key.attempt)
        for found in containers.oldest_first(await self._engine.list(mine)):
            known = containers.known_of(found["Id"], found["Labels"])
            if known.key == key and await self._was_started(found):
                return known.id
        return ""

    async def _was_started(self, found: Mapping[str, Any]) -> bool:
        if found["State"] != "created":
            return True
        with suppress(Gone):
            return containers.was_started(await self._engine.inspect(found["Id"]))
        return False

    async def _watch(self) -> None:
        """Hear of containers that start."""
        mine = containers.containers_of(self._owner)
        while True:
            with suppress(Unavailable):
                async for id_, labels in self._engine.starts(mine):
                    self._tell(containers.known_of(id_, labels).key, id_)
            await asyncio.sleep(_AGAIN_S)
