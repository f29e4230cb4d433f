"""How ended runs of tasks become reports, one for each lease."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace_agent.core.ends import exit_cause
from headrace_model.array import FailedTask, TaskReport, spans_of
from headrace_model.cause import RETRYABLE, Cause
from headrace_model.spec import Retry
from headrace_model.worker import WorkerExit

_DETAIL = 200  # letters: this is kept in Redis for each task that failed


@dataclass(frozen=True, slots=True, order=True)
class TaskRun:
    """A run of a task under a range lease; its output lies in a folder of its name."""

    index: int
    lease: int

    @property
    def name(self) -> str:
        """`<index>.<lease>`."""
        return f"{self.index}.{self.lease}"


def run_of(ended: WorkerExit) -> TaskRun:
    """The run that ended."""
    return TaskRun(ended.key.index, ended.key.lease)


def failure(run: TaskRun, cause: Cause, detail: str, code: int | None, retry: Retry) -> FailedTask:
    """A failed run, and whether its cause is one that is retried.

    A task has no more memory the next time, so that an OOM would come back.
    """
    again = cause in RETRYABLE and cause in retry.on and cause is not Cause.OOM
    return FailedTask(run.index, cause, again, code, detail[:_DETAIL])


def failures(
    ended: Iterable[WorkerExit], retry: Retry, memory_bytes: int
) -> dict[TaskRun, FailedTask]:
    """The runs among `ended` that did not end well; `memory_bytes` is what each asked."""
    found: dict[TaskRun, FailedTask] = {}
    for each in ended:
        cause, detail = exit_cause(each, f"task {each.key.index}", memory_bytes)
        if cause is not None:
            code = -each.signal if each.exit_code is None and each.signal else each.exit_code
            said = "" if cause is Cause.EXIT_CODE else detail
            found[run_of(each)] = failure(run_of(each), cause, said, code, retry)
    return found


def reports(
    done: Sequence[TaskRun], failed: Mapping[TaskRun, FailedTask], parts: Mapping[TaskRun, str]
) -> list[TaskReport]:
    """What to tell: runs of one lease (and one part of outputs in the store) together."""
    groups: dict[tuple[int, str], list[TaskRun]] = {}
    for run in done:
        groups.setdefault((run.lease, parts.get(run, "")), []).append(run)
    told = [
        TaskReport(lease, spans_of(run.index for run in runs), part=part)
        for (lease, part), runs in sorted(groups.items())
    ]
    bad: dict[int, list[FailedTask]] = {}
    for run, one in sorted(failed.items(), key=lambda item: item[0]):
        bad.setdefault(run.lease, []).append(one)
    return [*told, *(TaskReport(lease, failed=tuple(ones)) for lease, ones in bad.items())]
