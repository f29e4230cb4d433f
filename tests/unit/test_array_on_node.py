"""What a node's agent makes of tasks that ended before it was started again."""

import asyncio
from pathlib import Path
from typing import Any, cast

from headrace_agent.array import ArrayOnNode, Ended, TaskDesk
from headrace_agent.folders import AttemptFolder
from headrace_model.array import RangeLease, Taken, TaskCounts, TaskReport
from headrace_model.ids import JobId, NodeId
from headrace_model.work import Verb, Work
from headrace_model.worker import ExitCause, TaskLog, WorkerExit, WorkerKey
from headrace_wire.jobfile import load_jobtext

JOB = JobId("0123456789abcdef")
SPEC = load_jobtext('{"headrace":1,"kind":"command","command":["true"],"array":{"count":1}}')
ENDED = WorkerExit(
    WorkerKey(JOB, 1, 0, lease=1, index=0),
    None,
    ExitCause.EXITED,
    0,
    None,
    0,
    0,
    log=TaskLog(0, 0, 0, 0, 0),
)


class Nest:
    """Knows one run, which has ended."""

    def __init__(self) -> None:
        self.queued: list[Any] = []

    async def list(self) -> tuple[WorkerExit, ...]:
        return (ENDED,)

    async def queue(self, slots: int, shared: Any, tasks: Any) -> None:
        self.queued += tasks

    async def clean_tasks(self, keys: Any) -> None:
        pass


class LateDesk:
    """Redis says only after other things have gone on that the node holds the task."""

    def __init__(self) -> None:
        self.reports: list[TaskReport] = []

    async def take(self, work: Work, *, most: int, known: int) -> Taken:
        for _ in range(3):
            await asyncio.sleep(0.1)  # longer than ends are gathered
        left = () if self.reports else (RangeLease(1, (0, 1), ((0, 1),)),)
        counts = TaskCounts(1, 0, 0, 1, 0) if self.reports else TaskCounts(1, 0, 1, 0, 0)
        return Taken(counts, left)

    async def finish(self, work: Work, told: Any, *, limit: int) -> TaskCounts:
        self.reports += told
        return TaskCounts(1, 0, 0, 1, 0)


async def test_a_task_that_ended_before_the_agent_was_started_again_is_told_of_and_not_run_again(
    tmp_path: Path,
) -> None:
    nest, desk = Nest(), LateDesk()
    folder = AttemptFolder(tmp_path / "attempt", None)
    folder.logs.mkdir(parents=True)
    work = Work(NodeId("node1"), JOB, 1, Verb.LAUNCH)
    on_node = ArrayOnNode(
        work,
        SPEC,
        cast(Any, None),
        cast(Any, lambda run: run),
        folder,
        cast(Any, nest),
        cast(TaskDesk, desk),
        cast(Any, None),
        Ended(),
    )
    await asyncio.wait_for(on_node.run(lambda: False), 10.0)
    assert [report.done for report in desk.reports] == [((0, 1),)]
    assert nest.queued == []
