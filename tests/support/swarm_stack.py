"""All services as processes of one machine, with an agent for each node of a swarm.

What is there beside `Stack`: a cluster agent, and for each node `agent-<node>`, which speaks to
that node's engine. The agent of the machine itself goes on to run jobs without an image.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from headrace_adapters.redis.nodes import NodeStore
from headrace_local.environ import environ_for, redis_url
from headrace_model.node import NodeState
from tests.support.dev_swarm import Swarm, mounts_below
from tests.support.preloaded import Preloaded
from tests.support.stack import Stack
from tests.support.wait import wait_until

_WITHIN_S = 300.0


class SwarmStack:
    """`stack`, a cluster agent and the nodes' agents; the test may end each of them by name."""

    def __init__(
        self,
        home: Path,
        swarm: Swarm,
        image: str,
        *,
        keep_alive: bool = True,
        cpus: int = 1,
        node_lost_s: float = 3.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.stack = Stack(home, keep_alive=keep_alive, node_lost_s=node_lost_s, settings=settings)
        self.swarm = swarm
        self._home = home
        self.image = image
        self._cpus = cpus
        self._before = swarm.things()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> "SwarmStack":
        await self.stack.start()
        try:
            for name in ("cluster", *(f"agent-{node}" for node in self.swarm.nodes)):
                self.start(name)
            await self.serves(*self.swarm.nodes)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in [*self._running]:
            self.signal(name, signal.SIGCONT)
            self.end(name)
        await self.stack.stop()

    def start(self, name: str) -> None:
        """Start `cluster` or `agent-<node>`."""
        service, _, node = name.partition("-")
        given = environ_for(self.stack.home, self.stack.config, service)
        given["HEADRACE_LISTEN"] = ""
        given["HEADRACE_DOCKER_URL"] = self.swarm.host(node or self.swarm.nodes[0])
        # One machine's Redis has no users for these.
        given["HEADRACE_REDIS_URL"] = redis_url(self.stack.home)
        given["HEADRACE_REDIS_PASSWORD_FILE"] = str(self.stack.home.password("admin"))
        if node:
            given |= {
                "HEADRACE_BACKEND": "swarm",
                "HEADRACE_NODE": node,
                "HEADRACE_STATE_DIR": str(self.state(node)),
                "HEADRACE_WORKER_IMAGE": self.image,
                "HEADRACE_CPUS": str(self._cpus),
            }
        with self._log(name).open("ab") as out:
            self._running[name] = Preloaded(
                [sys.executable, "-m", f"headrace_{service}.main"],
                env={**os.environ, **given}, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def state(self, node: str) -> Path:
        """The state folder of a node's agent."""
        return self._home / "nodes" / node

    def _log(self, name: str) -> Path:
        return self._home / f"{name}.log"

    def said(self, name: str, words: str) -> bool:
        """Tell whether a program said so."""
        return words in self._log(name).read_text(errors="replace")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal; SIGKILL is waited for."""
        self._running[name].send_signal(number)
        if number is signal.SIGKILL:
            self._running[name].wait(_WITHIN_S)

    def end(self, name: str) -> None:
        """End a program gracefully."""
        if self._running[name].poll() is None:
            self._running[name].terminate()
            self._running[name].wait(_WITHIN_S)

    async def serves(self, *nodes: str) -> None:
        """Wait until these nodes take jobs."""
        await self.states(dict.fromkeys(nodes, NodeState.UP))

    async def states(self, wanted: dict[str, NodeState]) -> None:
        """Wait until the nodes are in these states."""
        async with self.stack.redis() as redis:
            store = NodeStore(redis)

            async def there() -> bool:
                seen = {str(node.id): node.state for node in await store.all()}
                return all(seen.get(node) is state for node, state in wanted.items())

            await wait_until(there, f"nodes to be {wanted}", within_s=_WITHIN_S)

    async def left(self) -> list[str]:
        """A sentence for each thing that jobs left anywhere; [] is right."""
        found = await self.stack.leaks()
        found += sorted(await asyncio.to_thread(self.swarm.things) - self._before)
        async with self.stack.redis() as redis:
            for node in self.swarm.nodes:
                for what in ("services", "refusals"):
                    names = await redis.command("HKEYS", f"hr:{what}:{node}")
                    found += [f"{node}'s {what} still hold {name}" for name in names]
        for node in self.swarm.nodes:
            folders = self.state(node) / "attempts"
            found += [f"folder {each}" for each in folders.iterdir()] if folders.is_dir() else []
        return found + mounts_below(self._home)

    async def nothing_left(self) -> None:
        """Wait until nothing of any job is left on any node; fails with what is."""
        last: list[str] = []

        async def clean() -> bool:
            try:
                last[:] = await self.left()
            except AssertionError as error:  # the engine lists what goes at this moment
                last[:] = [str(error)]
            return not last

        try:
            await wait_until(clean, "nothing to be left", within_s=_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
