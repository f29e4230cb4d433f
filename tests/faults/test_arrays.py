"""An array under kill -9 of everything in its middle: each task counts once and none is lost."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.arrays import ArrayStore
from headrace_model.array import TaskState, indices_of
from headrace_model.ids import JobId
from headrace_model.status import Status
from tests.support.fault_jobs import FaultJobs
from tests.support.faults import VICTIMS, Kill
from tests.support.stack import Stack
from tests.support.wait import wait_until

_TASKS = 240
_WITHIN_S = 120.0


@pytest.fixture
async def jobs(run_root: Path) -> AsyncIterator[FaultJobs]:
    async with Stack(run_root / "arrays", keep_alive=True) as stack:
        found = FaultJobs(stack, run_root / "marks")
        found.gates.mkdir()
        yield found


def _array(marks: Path) -> Mapping[str, Any]:
    mark = f"mktemp -q {marks}/{{index}}.XXXXXX > /dev/null"
    script = f"{mark}; sleep 0.03; echo {{index}} > {{output}}/f"
    return {
        "headrace": 1,
        "kind": "command",
        "name": "array",
        "command": ["sh", "-c", script],
        "resources": {"cpus": "500m", "memory": "32MiB"},
        "array": {"count": _TASKS},
        # Tasks die with their nest, and with nothing else here.
        "retry": {"limit": 9, "on": ["ATTEMPT_LOST"]},
        "limits": {"grace": "1s"},
        "outputs": {"numbers": {"format": "GENERIC"}},
    }


async def test_an_array_outlives_everything_that_runs_it(jobs: FaultJobs) -> None:
    """Each victim once, spread over the array's way."""
    victims = VICTIMS
    async with jobs.client() as client:
        job = (await client.submit(_array(jobs.gates))).id
        for place, victim in enumerate(victims):
            wanted = _TASKS * (place + 1) // (len(victims) + 2)

            async def far_enough(wanted: int = wanted) -> bool:
                tasks = (await client.job(job)).tasks
                return tasks is not None and tasks.done >= wanted

            await wait_until(far_enough, f"{wanted} tasks to be done", within_s=_WITHIN_S)
            Kill(victim).strike(jobs.stack)
        view = await client.ended(job)
        assert view.status is Status.COMPLETED, (view.cause, view.detail)
        assert view.attempt == 1, "no attempt was lost"
        assert view.tasks is not None
        assert (view.tasks.done, view.tasks.failed) == (_TASKS, 0)

        outputs = await client.outputs(job)
        items = [item async for item in client.datasets.items(outputs["numbers"])]
        assert sorted(item["path"] for item in items) == sorted(f"{i}/f" for i in range(_TASKS))
        async with jobs.stack.redis() as redis:
            record = await ArrayStore(redis).read(JobId(job))
        assert record is not None
        kept = [index for part in record.parts for index in indices_of(part.spans)]
        assert sorted(kept) == list(range(_TASKS)), "the output of each task is accepted once"
        assert {record.state(index) for index in range(_TASKS)} == {TaskState.DONE}
    begun = Counter(int(mark.name.partition(".")[0]) for mark in jobs.gates.iterdir())
    assert set(begun) == set(range(_TASKS))
    # Only the death of the nest makes tasks run again: those that ran, and those whose ends
    # nobody had heard of.
    again = {task: times for task, times in begun.items() if times > 1}
    assert len(again) <= 16, again
    await jobs.no_leaks()
