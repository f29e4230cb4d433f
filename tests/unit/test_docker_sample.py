"""One look at a container, as an engine answers it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.docker_errors import Gone
from headrace_model.errors import Unavailable

RUNS = {"cpu_stats": {"cpu_usage": {"total_usage": 5_000_000}}, "memory_stats": {"usage": 7}}
FILLED = {**RUNS, "padding": "x" * 300_000}


@pytest.fixture
async def engine(state_dir: Path) -> AsyncIterator[Engine]:
    """An engine that stands in for a real one: it has no container runtime behind it."""

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def stats(request: web.Request) -> web.Response:
        assert dict(request.query) == {"stream": "false", "one-shot": "true"}
        answers = {
            "runs": json.dumps(RUNS),
            "filled": json.dumps(FILLED),
            "over": "{}",
            "torn": "{",
        }
        name = request.match_info["name"]
        if name not in answers:
            return web.Response(status=404 if name == "gone" else 500)
        return web.Response(text=answers[name])

    app = web.Application()
    app.router.add_get("/version", version)
    app.router.add_get("/v1.41/containers/{name}/stats", stats)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(state_dir / "engine")).start()
    found = Engine(f"unix://{state_dir}/engine")
    try:
        yield found
    finally:
        await found.close()
        await runner.cleanup()


@pytest.mark.parametrize("name", ["runs", "filled"])
async def test_a_running_container_is_sampled(engine: Engine, name: str) -> None:
    found = await engine.sample(name)
    assert found is not None
    assert (found.cpu_ms, found.memory_bytes) == (5, 7)


async def test_one_that_does_not_run_has_no_sample(engine: Engine) -> None:
    assert await engine.sample("over") is None


async def test_what_fails_is_told_apart(engine: Engine) -> None:
    with pytest.raises(Gone):
        await engine.sample("gone")
    for name in ("torn", "broken"):
        with pytest.raises(Unavailable):
            await engine.sample(name)
