"""Making the containers of workers on the node's own engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from headrace_adapters.backends import containers
from headrace_adapters.backends.containers import Slot
from headrace_adapters.backends.docker_engine import Engine
from headrace_model.errors import HeadraceError
from headrace_model.worker import ExitCause, Inside, WorkerLaunch


class Refused(HeadraceError):
    """There will be no container; `cause` says whose fault it is."""

    code = "REFUSED"

    def __init__(self, message: str, cause: ExitCause) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Made:
    """A container that was started, and what the engine said of it last. `fresh`: just now."""

    id: str
    found: Mapping[str, Any]
    fresh: bool


class ContainerMaker:
    """Makes containers for workers that run as `user` ("uid:gid") in the engine's `network`."""

    def __init__(self, engine: Engine, owner: str, user: str, network: str) -> None:
        self._engine = engine
        self._owner = owner
        self._user = user
        self._network = network

    async def make(self, launch: WorkerLaunch, inside: Inside, slot: Slot | None) -> Made:
        """Make a worker's container and start it, unless it was; raises `Gone`."""
        cpus = await self._engine.cpus()
        make = partial(
            self._engine.create,
            containers.name_of(launch.key),
            image=inside.image,
            command=list(launch.argv),
            environment=containers.environment_of(launch.env),
            working_dir=launch.cwd,
            user=self._user,
            labels=containers.labels_of(self._owner, launch, slot),
            host=containers.worker_settings(launch, inside, self._network, cpus),
        )
        id_, is_new = await make()
        found = await self._engine.inspect(id_)
        if not is_new and not containers.was_started(found):
            # Who made it died before its start, and perhaps it says another slot.
            await self._engine.remove(id_)
            id_, _ = await make()
            found = await self._engine.inspect(id_)
        fresh = not containers.was_started(found)
        if fresh:
            await self._engine.start(id_)
            found = await self._engine.inspect(id_)
        return Made(id_, found, fresh)
