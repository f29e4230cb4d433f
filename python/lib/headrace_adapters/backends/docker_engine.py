"""The container engine as the backends use it: the calls of the docker SDK, awaited.

Pulls have threads of their own, since they take minutes.
Copying a log takes a thread and a connection of its own for as long as the container runs: it
reads a socket that blocks, and a connection that was shut can't be used again.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import urlencode

from docker.errors import APIError, DockerException
from docker.errors import NotFound as DockerNotFound

from headrace_adapters.backends import containers
from headrace_adapters.backends.docker_calls import TIMEOUT_S, DockerCalls, said
from headrace_adapters.backends.docker_errors import Gone, RegistryAway
from headrace_adapters.backends.docker_logs import LogCopy
from headrace_adapters.backends.registry_logins import RegistryLogins, registry_of
from headrace_adapters.threads import Threads, to_end
from headrace_model.errors import Forbidden, HeadraceError, InvalidInput, NotFound, Unavailable
from headrace_model.usage import Sample

_PULLS: Final = 2
_OK: Final = 200
_GONE: Final = 404
_CONFLICT: Final = 409
_LOOK_S: Final = 0.1
_TAIL_LINES: Final = 40
_CANT_BE_DONE: Final = (400, 404)
# What an engine says when a registry has no such image, or won't give it; other failures may pass.
_NO_IMAGE: Final = ("not found", "manifest unknown")
_REFUSED: Final = (
    "denied",
    "unauthorized",
    "authentication",
    "authorization",
    "forbidden",
    "credentials",
)
_PULL_PATIENCE_S: Final = 20.0
_PULL_AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume of the engine, and where its folder is in the program that asks here."""

    name: str
    folder: Path


class Engine:
    """One engine, at `url` ("unix:///…"). Connects at the first call, and anew after failures."""

    def __init__(
        self, url: str, volume: Volume | None = None, logins: RegistryLogins | None = None
    ) -> None:
        """`volume`: where our own files lie in one; `logins`: those that pulls are made with,
        our own user's where none are given. Raises `InvalidInput` for a URL of another kind."""
        self._calls = DockerCalls(url)
        self._ask = self._calls.ask
        self._volume = volume
        self._logins = logins or RegistryLogins()
        self._mountpoint = ""
        self._cpus = 0
        self._pulls = Threads(_PULLS, "docker-pull")
        self._copies: set[LogCopy] = set()

    async def close(self) -> None:
        """End the connections."""
        for copy in tuple(self._copies):
            copy.end()
        await self._pulls.close()
        await self._calls.close()

    async def about(self) -> Mapping[str, Any]:
        """What the engine says of itself: NCPU, CgroupVersion, …"""
        found: Mapping[str, Any] = await self._ask(lambda api: api.info())
        return found

    async def swarm_node(self) -> str:
        """The engine's id in its swarm; raises `Unavailable` where it is in none."""
        swarm = (await self.about())["Swarm"]
        if swarm["LocalNodeState"] != "active":
            raise Unavailable(
                f"the container engine at {self._calls.url} is in no swarm",
                hint="`docker swarm join` takes it into one; the backend docker needs none",
            )
        return str(swarm["NodeID"])

    async def cpus(self) -> int:
        """How many CPUs its machine has."""
        if not self._cpus:
            self._cpus = int((await self.about())["NCPU"])
        return self._cpus

    async def source(self, path: str) -> str:
        """What the engine itself calls a file or folder of ours. Raises `InvalidInput` for one
        outside the volume that our files lie in."""
        if self._volume is None:
            return path
        if not self._mountpoint:
            name = self._volume.name
            try:
                found: Mapping[str, Any] = await self._ask(lambda api: api.inspect_volume(name))
            except Gone as error:
                raise InvalidInput(
                    f"the container engine at {self._calls.url} has no volume {name}",
                    hint="state_volume names the volume that is mounted at state_dir",
                ) from error
            self._mountpoint = str(found["Mountpoint"])
        try:
            return str(self._mountpoint / Path(path).relative_to(self._volume.folder))
        except ValueError:
            raise InvalidInput(
                f"{path} lies outside {self._volume.folder}, the folder of the volume "
                f"{self._volume.name}: no container can see it"
            ) from None

    # ---- images

    async def find_image(self, name: str) -> str:
        """The id of an image that is there; raises `NotFound`."""
        try:
            return await self._ask(lambda api: str(api.inspect_image(name)["Id"]))
        except Gone as error:
            raise NotFound(f"there is no image {name} here") from error

    async def ensure_image(self, name: str) -> str:
        """Pull an image unless it is there; returns its id.

        Raises `NotFound` where there is none of that name, `Forbidden` where its registry wants a
        login, or another one; `RegistryAway`.
        """
        tries_until = time.monotonic() + _PULL_PATIENCE_S
        while True:
            with suppress(NotFound):
                return await self.find_image(name)
            try:
                await self._pull(name)
            except RegistryAway:
                if time.monotonic() > tries_until:
                    raise
                await asyncio.sleep(_PULL_AGAIN_S)

    async def _pull(self, name: str) -> None:
        stop = Event()

        def pull(api: Any) -> None:
            _pull(api, name, self._logins, stop)

        await self._pulls.run(lambda: self._calls.call(pull), stop)

    # ---- containers

    async def create(
        self,
        name: str,
        *,
        image: str,
        command: Sequence[str],
        environment: Sequence[str],
        working_dir: str,
        user: str,
        labels: Mapping[str, str],
        host: Mapping[str, Any],
    ) -> tuple[str, bool]:
        """Make a container unless one of that name is there; returns its id, and if it is new.

        Sources of mounts in `host` are paths of ours. Raises `Gone` where the image is not there,
        or what it mounts.
        """
        mounts = [
            {**mount, "Source": await self.source(mount["Source"])}
            for mount in host.get("mounts", ())
        ]
        host = {**host, "mounts": mounts}

        def make(api: Any) -> tuple[str, bool]:
            try:
                made = api.create_container(
                    image, command, name=name, environment=list(environment),
                    working_dir=working_dir, user=user, labels=dict(labels),
                    entrypoint=[""], host_config=api.create_host_config(**host),
                )  # fmt: skip
                return str(made["Id"]), True
            except APIError as error:
                if error.status_code == _CONFLICT:
                    return _made_by_another(api, name), False
                if error.status_code in _CANT_BE_DONE:
                    raise Gone(said(error)) from error
                raise

        return await self._ask(make)

    async def start(self, id_: str) -> None:
        """Start it; a program that can't be executed is told by `inspect`."""

        def start(api: Any) -> None:
            try:
                api.start(id_)
            except APIError:
                if not api.inspect_container(id_)["State"]["Error"]:
                    raise

        await self._ask(start)

    async def inspect(self, id_: str) -> Mapping[str, Any]:
        """All that the engine knows of a container."""
        found: Mapping[str, Any] = await self._ask(lambda api: api.inspect_container(id_))
        return found

    async def sample(self, id_: str) -> Sample | None:
        """What a container has used until now; None: it runs not. Raises `Gone`, `Unavailable`.

        Engines collect once a second, and who asks for one look waits for that, up to a second:
        no thread does. Without `one-shot` it would be two looks, to tell of a rate.
        """
        version = await self._ask(lambda api: str(api.api_version))
        path = f"/v{version}/containers/{id_}/stats?stream=false&one-shot=true"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._calls.socket)
                try:
                    # HTTP 1.0: the answer ends with the connection, and comes in one piece.
                    writer.write(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
                    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                finally:
                    writer.close()
            status = int(head.split()[1])
            if status == _GONE:
                raise Gone(f"there is no container {id_}")
            if status != _OK:
                raise Unavailable(f"the engine told nothing of container {id_}: {status}")
            return containers.sample_of(json.loads(body), time.time_ns() // 1_000_000)
        except (OSError, ValueError, LookupError) as error:
            raise Unavailable(f"container {id_} could not be sampled: {error!r}") from error

    async def list(self, labels: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """The containers that have these labels, running or not."""
        found: Sequence[Mapping[str, Any]] = await self._ask(
            lambda api: api.containers(all=True, filters={"label": list(labels)})
        )
        return found

    async def signal(self, id_: str, signal: str) -> None:
        """Send a signal; one that has ended needs none."""

        def send(api: Any) -> None:
            try:
                api.kill(id_, signal)
            except APIError as error:
                if error.status_code != _CONFLICT:  # it is not running
                    raise

        await self._ask(send)

    async def remove(self, id_: str) -> None:
        """Remove a container and what it wrote inside; success when it is gone."""
        await self._ask(lambda api: api.remove_container(id_, v=True, force=True))

    async def run_once(
        self,
        name: str,
        *,
        image: str,
        command: Sequence[str],
        environment: Sequence[str],
        user: str,
        labels: Mapping[str, str],
        host: Mapping[str, Any],
    ) -> tuple[int, str]:
        """Run a command in a container of its own, in the place of one of that name; returns its
        exit code and the end of its output. However it ends, the container is removed."""
        with suppress(Gone):
            await self.remove(name)
        try:
            id_, _ = await self.create(
                name, image=image, command=command, environment=environment,
                working_dir="/", user=user, labels=labels, host=host,
            )  # fmt: skip
            await self._ask(lambda api: api.start(id_))
            while True:
                state = (await self.inspect(id_))["State"]
                if state["Status"] in ("exited", "dead"):
                    break
                await asyncio.sleep(_LOOK_S)
            tail: bytes = await self._ask(lambda api: api.logs(id_, tail=_TAIL_LINES))
            return int(state["ExitCode"]), tail.decode(errors="replace")
        finally:
            with suppress(Gone):
                await to_end(self.remove(name))

    async def starts(self, labels: Sequence[str]) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Ids and labels of containers of these labels that start from now on.

        Some may be missed. Raises `Unavailable` when the engine no longer answers.
        """
        version = await self._ask(lambda api: str(api.api_version))
        wanted = {"type": ["container"], "event": ["start"], "label": list(labels)}
        query = urlencode({"filters": json.dumps(wanted)})
        try:
            reader, writer = await asyncio.open_unix_connection(self._calls.socket)
            try:
                writer.write(
                    f"GET /v{version}/events?{query} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()
                )
                while line := await reader.readline():
                    if line.startswith(b"{"):  # between them are the sizes of chunks
                        actor = json.loads(line)["Actor"]
                        yield actor["ID"], actor["Attributes"]
            finally:
                writer.close()
        except (OSError, ValueError) as error:
            raise Unavailable(f"the events of {self._calls.url} broke off: {error}") from error

    # ---- logs

    async def copy_log(self, id_: str, stream: str, path: str, begin: int, *, follow: bool) -> int:
        """Append what a container prints on `out` or `err` to a file; returns how many bytes that
        are in all.

        What the file holds from `begin` on is passed over: each byte is copied once, however often
        this is done anew, and by whichever program. `follow`: until the container ends. Raises
        `OSError` where the file can't be written.
        """
        version = await self._ask(lambda api: str(api.api_version))
        asked = {"stdout": stream == "out", "stderr": stream == "err", "follow": follow}
        query = urlencode({name: str(value).lower() for name, value in asked.items()})
        copy = LogCopy(self._calls.socket, f"/v{version}/containers/{id_}/logs?{query}")
        self._copies.add(copy)
        try:
            return await copy.run(Path(path), begin)
        finally:
            self._copies.discard(copy)


def _pull(api: Any, name: str, logins: RegistryLogins, stop: Event) -> None:
    """Pull an image, until `stop` at the latest. The engine tells most errors in its stream."""
    login = logins.of(name)
    try:
        for event in api.pull(name, stream=True, decode=True, auth_config=login or {}):
            if stop.is_set():
                return
            if error := event.get("error"):
                raise _pull_failed(name, str(error), has_login=bool(login))
    except APIError as error:
        raise _pull_failed(name, said(error), has_login=bool(login)) from error


def _pull_failed(name: str, said: str, *, has_login: bool) -> HeadraceError:
    registry, told = registry_of(name), said.lower()
    if any(each in told for each in _REFUSED):
        if has_login:
            return Forbidden(
                f"the registry {registry} does not give the image {name} to the login that this "
                f"node has for it: {said}",
                hint="an admin looks whether that login is right, and may read the image",
            )
        return Forbidden(
            f"the registry {registry} does not give the image {name} without a login, and this "
            f"node has none for it: {said}",
            hint="check the name; an admin can give nodes a login (docs/operate.md)",
        )
    if any(each in told for each in _NO_IMAGE):
        return NotFound(f"there is no image {name}: {said}", hint="check the name; is it pushed?")
    return RegistryAway(f"the image {name} could not be pulled: {said}")


def _made_by_another(api: Any, name: str) -> str:
    """The id of a container whose name is taken: it can be seen only a moment later."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return str(api.inspect_container(name)["Id"])
        except DockerNotFound as error:
            if time.monotonic() > deadline:
                raise DockerException(f"{name} is neither free nor there") from error
            time.sleep(_LOOK_S)
