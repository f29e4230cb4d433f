"""The Python of an image, as software environments are made for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from headrace_adapters.backends.containers import BUILDER, environment_of, host_settings
from headrace_adapters.backends.docker_engine import Engine
from headrace_model.worker import Mount

_PYTHON: Final = "python3"
_MEMORY_BYTES: Final = 4 * 2**30


class ImagePython:
    """See `headrace_agent.environments.Python`. The folder is bound at the same place for all."""

    def __init__(
        self,
        engine: Engine,
        image: str,
        place: str,
        *,
        owner: str,
        user: str,
        network: str,
        environ: Mapping[str, str],
    ) -> None:
        """`place`: where a container sees an environment; `environ`: what installers need."""
        self._engine = engine
        self._image = image
        self._place = place
        self._owner = owner
        self._user = user
        self._network = network
        self._environ = environ
        self.program = _PYTHON

    async def identity(self) -> str:
        """What tells this Python from others."""
        return await self._engine.ensure_image(self._image)

    def place(self, ready: Path) -> str:
        """Where programs see the environment whose folder on the node is `ready`."""
        return self._place

    async def run(self, ready: Path, command: Sequence[str]) -> tuple[int, str]:
        """Run a command that makes something in `ready`; its exit code, the end of its output."""
        return await self._engine.run_once(
            f"hr-environment-{self._owner[:12]}-{ready.name}",
            image=await self._engine.ensure_image(self._image),
            command=command,
            # What pip unpacks goes to the disk: /tmp is memory.
            environment=environment_of(
                {"HOME": self._place, "TMPDIR": self._place, **self._environ}
            ),
            user=self._user,
            labels={BUILDER: self._owner},
            host={
                **host_settings([Mount(str(ready), self._place, read_only=False)], self._network),
                "mem_limit": _MEMORY_BYTES,
                "memswap_limit": _MEMORY_BYTES,
            },
        )
