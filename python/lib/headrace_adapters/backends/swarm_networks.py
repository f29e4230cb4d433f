"""The networks of attempts whose workers reach each other, each with the key pair they share.

An overlay network and a secret of one name; the secret never leaves the swarm, and its halves are
in no other place. Formats: Docker Engine API 1.41, `NetworkCreate`, `SecretCreate`.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from docker.errors import APIError

from headrace_adapters.backends.containers import PREFIX
from headrace_adapters.backends.docker_calls import DockerCalls
from headrace_adapters.backends.docker_errors import Gone
from headrace_model.ids import JobId
from headrace_model.service import AttemptNetwork, ServiceWish

_JOB: Final = f"{PREFIX}job"
_ATTEMPT: Final = f"{PREFIX}attempt"
_CONFLICT: Final = 409
_SECRET: Final = "headrace-parallel"  # noqa: S105 - the name of a file in /run/secrets
_SECRET_MODE: Final = 0o400


class SwarmNetworks:
    """All that are ours; `label` ("name=value") marks them."""

    def __init__(self, calls: DockerCalls, label: str) -> None:
        self._calls = calls
        self._label = label
        self._made: dict[str, AttemptNetwork] = {}
        self._making = asyncio.Lock()

    async def of(self, wish: ServiceWish) -> AttemptNetwork:
        """The network of a wish's attempt, made where it is missing."""
        async with self._making:
            if (known := self._made.get(wish.run)) is None:
                known = await self._calls.ask(lambda api: self._make(api, wish))
                self._made[wish.run] = known
            return known

    async def all(self) -> tuple[AttemptNetwork, ...]:
        """Those that are there; what their secrets are is not asked."""
        found = await self._calls.ask(lambda api: api.networks(filters={"label": self._label}))
        return tuple(
            AttemptNetwork(JobId(each["Labels"][_JOB]), int(each["Labels"][_ATTEMPT]), each["Id"])
            for each in found
        )

    async def remove(self, network: AttemptNetwork) -> None:
        """Remove a network and its secret; success when they are gone. Raises `Unavailable` while
        something uses them."""
        self._made.pop(network.run, None)

        def gone(api: Any) -> None:
            for secret in api.secrets(filters={"name": network.name}):
                if secret["Spec"]["Name"] == network.name:
                    api.remove_secret(secret["ID"])
            api.remove_network(network.id)

        with suppress(Gone):
            await self._calls.ask(gone)

    def _make(self, api: Any, wish: ServiceWish) -> AttemptNetwork:
        network = AttemptNetwork(wish.job, wish.attempt, "")
        label, _, owner = self._label.partition("=")
        labels = {label: owner, _JOB: wish.job, _ATTEMPT: str(wish.attempt)}
        id_ = _once(
            lambda: api.create_network(
                network.name, driver="overlay", scope="swarm", check_duplicate=True, labels=labels
            )["Id"],
            lambda: api.inspect_network(network.name)["Id"],
        )
        secret = _once(
            lambda: api.create_secret(network.name, new_key(), labels=labels)["ID"],
            lambda: api.inspect_secret(network.name)["ID"],
        )
        return AttemptNetwork(wish.job, wish.attempt, id_, secret)


def _once(make: Callable[[], Any], find: Callable[[], Any]) -> str:
    """Make something, or find it where another replica has."""
    try:
        return str(make())
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise
        return str(find())


def new_key() -> bytes:
    """A key pair, as OpenSSH reads it: one file with both halves."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def with_network(
    template: Mapping[str, Any], network: AttemptNetwork, wish: ServiceWish
) -> dict[str, Any]:
    """A task's template with the network, in which its worker is called rank-0, rank-1, …, and
    the key, which nobody but the worker's user can read."""
    uid, _, gid = wish.user.partition(":")
    file = {"Name": _SECRET, "UID": uid, "GID": gid or uid, "Mode": _SECRET_MODE}
    secret = {"SecretID": network.secret, "SecretName": network.name, "File": file}
    return {
        **template,
        "ContainerSpec": {**template["ContainerSpec"], "Secrets": [secret]},
        "Networks": [{"Target": network.id, "Aliases": [f"rank-{wish.rank}"]}],
    }
