"""What the cluster was like, by REST, the Python client and live; and usage followed live."""

import asyncio
import json
import re
from pathlib import Path

from headrace_client.api import AsyncClient
from headrace_client.sync import Client
from tests.acceptance.conftest import WITHIN_S, Headrace, until, waits_for


def test_the_cluster_and_usage_are_told_over_time(headrace: Headrace) -> None:
    gate = headrace.gate()
    job = headrace.submit(*waits_for(gate))
    headrace.until(job, "RUNNING")
    (node,) = headrace.get("/nodes")["nodes"]

    def busy() -> bool:
        points = headrace.get("/cluster/series")["points"]
        return bool(points) and points[-1]["running"] >= 1

    until(busy, "a point with the running job")
    series = headrace.get("/cluster/series")
    assert series["step_s"] == 10.0
    last = series["points"][-1]
    assert (last["nodes"], last["cpus"]) == (1, node["capacity"]["cpus"])
    assert last["cpus_free"] <= last["cpus"] - 0.1
    for step in ("1m", "15m"):
        assert headrace.get(f"/cluster/series?step={step}")["points"][-1]["cpus"] > 0
    assert headrace.ask("GET", "/cluster/series?step=2m").status == 422
    with Client(headrace.url, headrace.token) as client:
        newer = client.series(since=last["at"]).points
        assert all(point.at > last["at"] for point in newer)

    async def follow() -> None:
        async with AsyncClient(headrace.url, headrace.token) as client:
            async with asyncio.timeout(WITHIN_S):
                seen: list[str] = []
                async for view in client.live.cluster():
                    seen += [point.at for point in view.points]
                    if len(seen) > len(series["points"]):
                        break
            assert seen == sorted(set(seen)), "each point once, in order"
            samples: list[str] = []
            async with asyncio.timeout(WITHIN_S):
                async for used in client.live.usage(job):
                    samples += [sample.at for rank in used.ranks for sample in rank.samples]
                    if len(samples) > 1:
                        gate.touch()
            assert samples == sorted(set(samples)), "each sample once, in order"
            assert len(samples) > 1

    asyncio.run(follow())
    headrace.until(job, "COMPLETED")


def test_what_the_dashboard_and_the_alerts_show_is_told(headrace: Headrace) -> None:
    docs = Path(__file__).parents[2] / "docs"
    answer = headrace.ask("GET", "//metrics", token=None)
    assert answer.status == 200
    told = set(re.findall(r"^# TYPE (headrace_\w+)", answer.body.decode(), re.MULTILINE))
    board = json.loads((docs / "headrace-dashboard.json").read_text())
    text = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    text += " ".join(re.findall(r"expr: (.*)", (docs / "headrace-alerts.yaml").read_text()))
    shown = {name.removesuffix("_bucket") for name in re.findall(r"\bheadrace_[a-z_]+", text)}
    assert len(shown) > 9
    assert shown - told == set()
