"""Durable transitions a second, beside the same scripts sent by bare pipelines of redis-py.

A round: 200 jobs are created and each is held and released three times, 200 callers at once.
Bare means: the very commands that JobStore would send, made beforehand, in pipelines of 200.
Rounds alternate between the two, on jobs of their own in the same Redis.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

import redis

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_model.move import Move
from headrace_model.status import Desired, Role
from headrace_request.core.accept import Accepted
from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import new_jobs
from tests.benchmarks.rows import Row, series

NAME = "transitions"
ABOUT = "durable transitions a second, beside the same Lua by raw redis-py"
_CALLERS = 200
_WISHES = 6
_BUDGET = 0.6


class _Recorder(Redis):
    """Keeps what would be sent; nothing reaches Redis."""

    def __init__(self, url: str, epoch: str) -> None:
        super().__init__(url)
        self.epoch = epoch
        self.sent: list[tuple[Any, ...]] = []

    async def command(self, *command: Any) -> Any:
        self.sent.append(command)
        creates = '"new":{' in command[-1]
        return ["OK", "id", "0"] if creates else ["OK", "1"]


async def measure(bench: Bench) -> list[Row]:
    """One row: transitions a second."""
    server = bench.redis("redis")
    server.start()
    ours = Redis(server.url)
    bare = redis.Redis.from_url(server.url)
    rates: tuple[list[float], list[float]] = [], []
    try:
        await ours.open()
        until = time.monotonic() + bench.seconds
        while time.monotonic() < until or not rates[1]:
            rates[0].append(await rate_of(JobStore(ours)))
            rates[1].append(await _bare(bare, server.url, ours.epoch))
    finally:
        bare.close()
        await ours.close()
        server.stop()
    # The first round loads scripts and warms both.
    found, peer = (series(each[1:] or each) for each in rates)
    return [
        Row(
            name="durable transitions, pipelined",
            unit="1/s",
            ours=found,
            budget=f"≥ {_BUDGET:g}x",
            met=found.p50 >= _BUDGET * peer.p50,
            peer_name="raw redis-py",
            peer=peer,
        )
    ]


async def rate_of(store: JobStore) -> float:
    """Transitions a second of one round, through a store."""
    jobs = new_jobs(_CALLERS)
    began = time.perf_counter()
    await asyncio.gather(*(_one(store, each) for each in jobs))
    return _CALLERS * (1 + _WISHES) / (time.perf_counter() - began)


async def _one(store: JobStore, accepted: Accepted) -> None:
    await store.create(accepted.new, accepted.first)
    for version in range(1, _WISHES + 1):
        await store.apply(_wish(accepted, version))


async def _bare(bare: "redis.Redis", url: str, epoch: str) -> float:
    jobs = new_jobs(_CALLERS)
    recorder = _Recorder(url, epoch)
    for step in range(_WISHES + 1):
        for each in jobs:
            if step:
                await JobStore(recorder).apply(_wish(each, step))
            else:
                await JobStore(recorder).create(each.new, each.first)
    await recorder.close()
    began = time.perf_counter()
    for first in range(0, len(recorder.sent), _CALLERS):
        pipeline = bare.pipeline(transaction=False)
        for command in recorder.sent[first : first + _CALLERS]:
            pipeline.execute_command(*command)
        for reply in pipeline.execute():
            if reply[0] != b"OK":
                raise AssertionError(f"a script refused: {reply}")
    return len(recorder.sent) / (time.perf_counter() - began)


def _wish(accepted: Accepted, version: int) -> Move:
    """HOLD and RUN in turn, as the request service writes them."""
    start = Move(
        job=accepted.new.id,
        version=version,
        attempt=1,
        status=accepted.status,
        event=None,
        to=accepted.status,
        writer=Role.REQUEST,
    )
    return replace(start, desired=Desired.HOLD if version % 2 else Desired.RUN)
