"""A manager of a Docker Swarm: its machines, and the services that are our workers."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from docker.errors import APIError

from headrace_adapters.backends import swarm_services
from headrace_adapters.backends.docker_calls import DockerCalls, said
from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.backends.swarm_networks import SwarmNetworks, with_network
from headrace_model.errors import Conflict, InvalidInput
from headrace_model.service import Member, Service, ServiceTask, ServiceWish

_CONFLICT: Final = 409
# Names lead to the workers themselves: there is no load to balance.
_BY_NAMES: Final = {"Mode": "dnsrr"}
_CANT_BE_DONE: Final = (400, 403, 404)


class SwarmManager:
    """The swarm that the engine at `url` manages; `owner` marks what is ours there.

    All methods raise `Unavailable` where it does not answer, or is no manager.
    """

    def __init__(self, url: str, owner: str) -> None:
        """Raises `InvalidInput` for a URL that is no unix:///path."""
        self._calls = DockerCalls(url)
        self._owner = owner
        self.networks = SwarmNetworks(self._calls, swarm_services.owner_label(owner))

    async def close(self) -> None:
        """End the connections."""
        await self._calls.close()

    async def members(self) -> tuple[Member, ...]:
        """All machines of the swarm."""
        found = await self._calls.ask(lambda api: api.nodes())
        return tuple(map(swarm_services.member_of, found))

    async def services(self) -> tuple[Service, ...]:
        """All services that are ours."""
        mine = {"label": swarm_services.owner_label(self._owner)}
        found = await self._calls.ask(lambda api: api.services(filters=mine))
        return tuple(map(swarm_services.service_of, found))

    async def tasks(self) -> tuple[ServiceTask, ...]:
        """The newest task of each service that is ours."""
        mine = {"label": swarm_services.owner_label(self._owner)}
        found = await self._calls.ask(lambda api: api.tasks(filters=mine))
        return swarm_services.newest_tasks(found)

    async def create(self, wish: ServiceWish, node: str, member: str, epoch: str) -> Service:
        """Make the service of a wish on a machine; the same one being there is success.

        Raises `InvalidInput` where the swarm can't take it, `Conflict` where another service has
        its name: of another node, or made for the Redis from before a restore.
        """
        labels = swarm_services.labels_of(self._owner, wish, node, epoch)
        template = swarm_services.task_template(wish, member)
        if wish.ranks > 1:
            template = with_network(template, await self.networks.of(wish), wish)
        name = wish.name

        def make(api: Any) -> str:
            try:
                made: Mapping[str, Any] = api.create_service(
                    template,
                    name=name,
                    labels=labels,
                    mode=swarm_services.one_run(),
                    endpoint_spec=_BY_NAMES,
                )
                return str(made["ID"])
            except APIError as error:
                if error.status_code == _CONFLICT:
                    found = api.inspect_service(name)
                    if found["Spec"]["Labels"] != labels:
                        raise Conflict(f"another service has the name {name}") from error
                    return str(found["ID"])
                if error.status_code in _CANT_BE_DONE:
                    raise InvalidInput(
                        f"the swarm takes no such service: {said(error)}"
                    ) from error
                raise

        return Service(await self._calls.ask(make), name, node, epoch)

    async def remove(self, service: str) -> None:
        """Remove a service, which ends its worker; success when it is gone."""
        with suppress(Gone):
            await self._calls.ask(lambda api: api.remove_service(service))
