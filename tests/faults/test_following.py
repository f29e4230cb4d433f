"""Followers hear each event once and in order, with request service and Redis killed beneath.

What is to be heard is read from Redis's own stream of events.
"""

import asyncio
from contextlib import aclosing
from itertools import cycle
from pathlib import Path

from headrace_client.api import AsyncClient
from headrace_wire.live import Change, Snapshot
from tests.support.stack import Stack

_WITHIN_S = 240.0
_JOBS = 304
_KILL_EVERY = 250
_WAITS = {
    "headrace": 1,
    "kind": "command",
    "command": ["true"],
    "start_not_before": "2099-01-01T00:00:00Z",
}


async def _busy(client: AsyncClient, jobs: int) -> None:
    """Let jobs come, be held, released and canceled: four events a job."""

    async def one_after_the_other(number: int) -> None:
        for _ in range(number):
            job = (await client.submit(_WAITS)).id
            for verb in ("hold", "release", "cancel"):
                await client.desire(job, verb)

    await asyncio.gather(*(one_after_the_other(jobs // 8) for _ in range(8)))


async def test_a_thousand_events_are_heard_once_and_in_order_while_all_is_killed(
    state_dir: Path,
) -> None:
    async with Stack(state_dir / "home", keep_alive=True) as stack, stack.client() as client:
        await client.submit(_WAITS)  # a stream that was never written to has no place to resume
        victims = cycle([("request",), ("redis",), ("redis", "request")])
        heard: list[Change] = []
        async with aclosing(client.live.jobs()) as news, asyncio.timeout(_WITHIN_S):
            first = await anext(news)
            assert isinstance(first, Snapshot)
            working = asyncio.ensure_future(_busy(client, _JOBS))
            while len(heard) < 4 * _JOBS:
                change = await anext(news)
                assert isinstance(change, Change), change
                heard.append(change)
                if len(heard) % _KILL_EVERY == 0:
                    await asyncio.to_thread(stack.kill9, *next(victims))
            await working
        async with stack.redis() as redis:
            kept = await redis.client.xrange("hr:events", f"({first.at}", "+")
        told = [str(entry) for entry, fields in kept if dict(fields)["kind"] == "job"]
        assert [change.at for change in heard] == told
