"""Calls of the docker SDK, awaited: in a bounded number of threads, and with errors of ours."""

from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final, TypeVar

import docker
from docker.errors import NotFound as DockerNotFound

from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.threads import Threads
from headrace_model.errors import HeadraceError, InvalidInput, Unavailable

T = TypeVar("T")
TIMEOUT_S: Final = 30
_THREADS: Final = 16
_UNIX: Final = "unix://"


class DockerCalls:
    """One engine, at `url` ("unix:///…"). Connects at the first call, and anew after failures."""

    def __init__(self, url: str) -> None:
        """Raises `InvalidInput` for a URL of another kind."""
        if not url.startswith(_UNIX):
            raise InvalidInput(
                f"the container engine {url!r} is not {_UNIX}/path",
                hint="the engine of this machine is needed: containers use this machine's files",
            )
        self.url = url
        self.socket = Path(url.removeprefix(_UNIX))
        self._threads = Threads(_THREADS, "docker")
        self._connecting = Lock()
        self._api: Any = None

    async def close(self) -> None:
        """End the connections."""
        await self._threads.close()
        if self._api is not None:
            self._api.close()

    async def ask(self, call: Callable[[Any], T]) -> T:
        """Call with the SDK's client. Raises `Gone` for what is not there, `Unavailable`."""
        return await self._threads.run(lambda: self.call(call), Event())

    def call(self, call: Callable[[Any], T]) -> T:
        """`ask`, in the thread of who calls."""
        try:
            return call(self._client())
        except HeadraceError:
            raise
        except DockerNotFound as error:
            raise Gone(said(error)) from error
        # The SDK lets through whatever a broken connection makes of its parsers.
        except Exception as error:
            raise Unavailable(
                f"the container engine at {self.url} failed: {said(error)}",
                hint="does it run? `docker info` asks it",
            ) from error

    def _client(self) -> Any:
        with self._connecting:
            if self._api is None:
                self._api = docker.APIClient(
                    base_url=self.url,
                    version="auto",
                    timeout=TIMEOUT_S,
                    max_pool_size=_THREADS,
                )
            return self._api


def said(error: Exception) -> str:
    """What the engine said, in one line."""
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split())[:500]
