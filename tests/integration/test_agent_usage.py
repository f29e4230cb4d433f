"""Samples of a real worker by agents as processes of their own: kept, told and shipped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from headrace_adapters.redis.log_replies import LogReplies
from headrace_model.status import Status
from headrace_model.usage import Sample
from headrace_wire.usage import read_samples
from tests.support.agent_bench import WAIT_S, AgentBench, open_bench
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1
from tests.support.wait import wait_until


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    bench = await open_bench(state_dir, redis_server.url)
    try:
        yield bench
    finally:
        await bench.close()


async def test_samples_outlive_the_agent_and_are_shipped_with_the_logs(bench: AgentBench) -> None:
    first = await bench.agent()
    job = await bench.run("sh", "-c", "until test -e go; do sleep 0.05; done")
    path = bench.attempt(job) / "logs" / "0.usage"

    def kept() -> tuple[Sample, ...]:
        return read_samples(path.read_text()) if path.exists() else ()

    await wait_until(lambda: len(kept()) > 1, "two samples", within_s=WAIT_S)
    first.kill9()
    by_first = kept()
    await bench.agent()
    await wait_until(lambda: len(kept()) > len(by_first), "a further sample", within_s=WAIT_S)
    shown = read_samples(await read_usage(bench, job.id))
    assert shown[: len(by_first)] == by_first
    (bench.attempt(job) / "work" / "go").touch()
    await bench.until(job, Status.COMPLETED)
    await bench.cleaned(job)
    text = (bench.data.store / "logs" / job.id / "1" / "0.usage").read_text()
    shipped = read_samples(text)
    assert shipped[: len(shown)] == shown
    assert len(shipped) == text.count("\n"), "no line is torn or doubled"
    assert all(a.cpu_ms <= b.cpu_ms for a, b in pairwise(shipped))
    assert all(sample.memory_bytes > 0 for sample in shipped[:-1])
    assert shipped[-1].memory_bytes == 0, "as it ended"
    assert shipped[-1].cpu_ms > 0


async def read_usage(bench: AgentBench, job: str) -> str:
    """Ask the node's agent for the samples, as the request service does."""
    replies, told = LogReplies(bench.redis), ""
    asked = {
        "job": job, "attempt": 1, "node": N1, "name": "0.usage", "offset": 0,
        "reply": replies.channel("reader"), "follow": True, "lease_ms": 10_000,
    }  # fmt: skip
    async with asyncio.timeout(WAIT_S), aclosing(replies.follow()) as answers:
        async for _, text in answers:
            if not text:
                await replies.ask(json.dumps(asked))
                continue
            piece = json.loads(text)
            told += piece["data"]
            if piece["eof"]:
                return told
    raise AssertionError("the answers ended")
