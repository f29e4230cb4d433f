"""How far a job is, by REST, live, the Python client and `headrace jobs info`; kept afterwards."""

import asyncio

from headrace_client.api import AsyncClient
from headrace_client.sync import Client
from headrace_wire.progress import ProgressView
from tests.acceptance.conftest import WITHIN_S, Headrace, until, waits_for

_NEXT = r"""
n=0
while [ $n -lt 4 ]; do
  n=$((n+1))
  until [ -e $0.$n ]; do sleep 0.05; done
  echo "day $n of 8 is done, it is 1980-01-0$n"
done
"""


def test_what_a_job_writes_tells_how_far_it_is(headrace: Headrace) -> None:
    gate = headrace.gate()
    pattern = r"day (?P<step>\d+) of (?P<of>\d+) is done, it is (?P<time>[0-9-]+)"
    job = headrace.submit("sh", "-c", _NEXT, str(gate), progress={"pattern": pattern})

    def told() -> ProgressView | None:
        with Client(headrace.url, headrace.token) as client:
            view = client.job(job).progress()
            return view if view.ranks else None

    steps = (gate.with_name(f"{gate.name}.{number}") for number in (1, 2, 3, 4))
    next(steps).touch()
    first = until(told, "something to be told")
    assert (first.percent, first.source, first.ranks[0].of) == (12.5, "log", 8)
    next(steps).touch()
    second = until(lambda: (v := told()) and v.percent == 25.0 and v, "the second step")
    (rank,) = second.ranks
    assert (rank.step, rank.model_time) == (2, "1980-01-02T00:00:00.000Z")
    assert rank.steps_per_s
    assert second.seconds_left is not None
    assert "25 %, step 2 of 8, at 1980-01-02, about" in headrace.cli("jobs", "info", job).stdout

    async def follow() -> list[float | None]:
        seen = []
        async with AsyncClient(headrace.url, headrace.token) as client:
            async with asyncio.timeout(WITHIN_S):
                async for view in client.live.progress(job):
                    seen.append(view.percent)
                    if step := next(steps, None):
                        step.touch()
        return seen

    seen = asyncio.run(follow())
    assert seen[0] == 25.0
    assert seen == sorted(seen, key=lambda percent: percent or 0.0)
    headrace.until(job, "COMPLETED")
    kept = until(told, "the marks in the store")
    assert kept.ranks[0].step is not None
    assert kept.ranks[0].step >= 3


def test_a_pattern_that_may_search_for_long_is_refused_with_its_place(headrace: Headrace) -> None:
    keys = {"headrace": 1, "kind": "command", "command": ["true"]}
    answer = headrace.ask("POST", "/jobs", {**keys, "progress": {"pattern": "(.*)*x"}})
    assert answer.status == 422
    assert "progress.pattern" in str(answer.body)


def test_an_array_is_as_far_as_its_tasks(headrace: Headrace) -> None:
    gate = headrace.gate()
    job = headrace.submit(*waits_for(gate), array={"count": 4})
    assert headrace.get(f"/jobs/{job}/progress")["source"] == "tasks"
    gate.touch()
    headrace.until(job, "COMPLETED")
    assert headrace.get(f"/jobs/{job}/progress")["percent"] == 100.0
