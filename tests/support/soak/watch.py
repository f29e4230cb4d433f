"""What looks on while a soak goes on: samples of the state, and a follower of the live events."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import redis.exceptions

from headrace_client.api import AsyncClient
from headrace_local import workers
from headrace_local.redis_users import connect
from headrace_model.resources import Resources, parse_pieces
from headrace_wire.live import Change, Snapshot
from tests.support.soak.errands import Ground
from tests.support.soak.figures import Figures, Harm
from tests.support.stack import Stack

_EVERY_S = 0.3
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

    def without_share(self, living: list[str]) -> set[str]:
        """The workers, of those that live, whose attempt holds nothing; of a lost node none."""
        if self.free is None:
            return set()
        return {each for each in living if ".".join(each.split(".")[:2]) not in self.held}


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
        alive = await asyncio.to_thread(workers.living, self._stack.home)
        if ledger := await self.ledger():
            for sentence in ledger.wrong():
                self._figures.harm(Harm.BROKEN, sentence)
            if suspect := ledger.without_share(alive):
                # Who lives still lived when the ledger was read.
                living = await asyncio.to_thread(workers.living, self._stack.home)
                for worker in suspect & set(living):
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
            asked.hget("hr:free:local", "room")
            asked.hgetall("hr:held:local")
            node, free, held = await asked.execute()
        if not node:
            return None
        return Ledger(
            Resources(
                int(node["millicpus"]),
                int(node["memory_bytes"]),
                parse_pieces(node.get("generic", "").split()),
            ),
            _amount(free) if free else None,
            {run: _amount(share) for run, share in held.items()},
        )


def _amount(text: str) -> Resources:
    millicpus, memory, *pieces = text.split()
    return Resources(int(millicpus), int(memory), parse_pieces(pieces))


@dataclass(slots=True)
class Follower:
    """Follows all jobs live, over as many connections as that takes."""

    client: AsyncClient
    figures: Figures
    seen: dict[str, list[int]] = field(default_factory=dict)  # job → versions as told
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Follow for ever."""
        async with aclosing(self.client.live.jobs()) as told:
            async for heard in told:
                match heard:
                    case Snapshot(resync=True):
                        self.figures.harm(Harm.LOST, "the live updates lost their place: resync")
                    case Snapshot():
                        self.ready.set()
                    case Change():
                        self.figures.events += 1
                        self.seen.setdefault(heard.job.id, []).append(heard.version)

    def judge(self, versions: dict[str, int]) -> None:
        """Compare what was told with the last version of each job."""
        for job, last in versions.items():
            told, wanted = self.seen.get(job, []), list(range(1, last + 1))
            if missing := sorted(set(wanted) - set(told)):
                self.figures.harm(Harm.LOST, f"versions {missing} of job {job} were not told live")
            if len(told) != len(set(told)) or told != sorted(told):
                self.figures.harm(Harm.DOUBLED, f"job {job} was told live as {told}")
