"""What looks on while a soak goes on: samples of the state, and a follower of the live events."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis.exceptions
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType

from headrace_local import workers
from headrace_local.redis_users import connect
from headrace_model.resources import Resources
from tests.support.soak.errands import Ground
from tests.support.soak.figures import Figures, Harm
from tests.support.stack import Stack

_EVERY_S = 0.3
_AGAIN_S = 0.2
_AWAY = (redis.exceptions.RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The node's room at one instant; `free` None while the node is lost."""

    capacity: Resources
    free: Resources | None
    held: dict[str, Resources]  # by "<job>.<attempt>"

    def wrong(self) -> Iterator[str]:
        """Yield what contradicts itself."""
        held = sum(self.held.values(), Resources(0, 0))
        if self.free is not None and self.free + held != self.capacity:
            yield f"free {self.free} + held {held} is not {self.capacity}"
        if not held.fits_in(self.capacity):
            yield f"over-booked: {held} of {self.capacity}"


class Sampler:
    """Looks again and again, over a connection of its own, whether what must always hold does."""

    def __init__(self, stack: Stack, ground: Ground) -> None:
        self._stack = stack
        self._ground = ground
        self._figures: Figures = ground.figures
        self._client = connect(stack.home).client

    async def run(self) -> None:
        """Look for ever; a Redis that is away is looked at later."""
        try:
            while True:
                with suppress(*_AWAY):
                    await self._look()
                    self._figures.samples += 1
                await asyncio.sleep(_EVERY_S)
        finally:
            await self._client.aclose()

    async def _look(self) -> None:
        before = await self.ledger()
        alive = await asyncio.to_thread(workers.living, self._stack.home)
        after = await self.ledger()
        for ledger in filter(None, (before, after)):
            for sentence in ledger.wrong():
                self._figures.harm(Harm.BROKEN, sentence)
        if before and after and before.free is not None and after.free is not None:
            for worker in alive:
                run = ".".join(worker.split(".")[:2])
                if run not in before.held and run not in after.held:
                    self._figures.harm(Harm.BROKEN, f"worker {worker} lives, its share is back")
        jobs = list(self._ground.accepted)
        async with self._client.pipeline(transaction=False) as asked:
            for job in jobs:
                asked.exists(f"hr:job:{job}")
            there = await asked.execute()
        for job, exists in zip(jobs, there, strict=True):
            if not exists:
                self._figures.harm(Harm.LOST, f"job {job} was accepted and is not there")
        if self._ground.doubles.exists():
            self._figures.harm(Harm.DOUBLED, self._ground.doubles.read_text().strip())

    async def ledger(self) -> Ledger | None:
        """Read the ledger in one transaction; None before the node has registered."""
        async with self._client.pipeline(transaction=True) as asked:
            asked.hgetall("hr:node:local")
            asked.hget("hr:free", "local")
            asked.hgetall("hr:held:local")
            node, free, held = await asked.execute()
        if not node:
            return None
        return Ledger(
            Resources(int(node["millicpus"]), int(node["memory_bytes"])),
            _amount(free) if free else None,
            {run: _amount(share) for run, share in held.items()},
        )


def _amount(text: str) -> Resources:
    millicpus, memory = text.split()
    return Resources(int(millicpus), int(memory))


@dataclass(slots=True)
class Follower:
    """Follows all jobs by the WebSocket, and comes again with the last event it has handled."""

    stack: Stack
    figures: Figures
    seen: dict[str, list[int]] = field(default_factory=dict)  # job → versions as told
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _last: str | None = None

    async def run(self) -> None:
        """Follow for ever, over as many connections as that takes."""
        headers = {"Authorization": f"Bearer {self.stack.token}"}
        async with ClientSession(headers=headers) as session:
            while True:
                with suppress(ClientError, OSError, TimeoutError):
                    url = f"{self.stack.url}/api/v1/ws"
                    async with session.ws_connect(url, heartbeat=5.0) as wire:
                        await self._follow(wire)
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, wire: ClientWebSocketResponse) -> None:
        follow = {"op": "follow", "id": "soak", "topic": "jobs"}
        await wire.send_str(json.dumps(follow | ({"after": self._last} if self._last else {})))
        async for message in wire:
            if message.type is WSMsgType.TEXT:
                self._hear(json.loads(message.data))

    def _hear(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "snapshot":
                self._last = said["at"]
                self.ready.set()
            case "job":
                self._last = said["at"]
                self.figures.events += 1
                self.seen.setdefault(said["job"]["id"], []).append(said["event"]["version"])
            case "resync":
                self.figures.harm(Harm.LOST, "the live updates lost their place: resync")
            case "error":
                self.figures.harm(Harm.BROKEN, f"the live updates broke off: {said}")
            case _:
                pass

    def judge(self, versions: dict[str, int]) -> None:
        """Compare what was told with the last version of each job."""
        for job, last in versions.items():
            told, wanted = self.seen.get(job, []), list(range(1, last + 1))
            if missing := sorted(set(wanted) - set(told)):
                self.figures.harm(Harm.LOST, f"versions {missing} of job {job} were not told live")
            if len(told) != len(set(told)) or told != sorted(told):
                self.figures.harm(Harm.DOUBLED, f"job {job} was told live as {told}")
