"""What the terminal says of an array's tasks."""

import sys

import pytest

from headrace_client.cli.tasks import ProgressLine, counts_text, failed_text, progress_text
from headrace_model.array import TaskState
from headrace_wire.api import TasksView, TaskView


@pytest.mark.parametrize(
    ("tasks", "per_s", "text"),
    [
        (TasksView(1_000, 1_000, 0, 0, 0), 0.0, "0 of 1,000 tasks done, 1,000 waiting"),
        (
            TasksView(1_000, 500, 100, 398, 2),
            2.5,
            "398 of 1,000 tasks done, 2 failed, 100 taken, 2.5/s, about 4 min left",
        ),
        (TasksView(3, 0, 3, 0, 0), 0.0, "0 of 3 tasks done, 3 taken"),
        (TasksView(3, 0, 0, 3, 0), 9.0, "3 of 3 tasks done"),
    ],
)
def test_progress_is_one_line(tasks: TasksView, per_s: float, text: str) -> None:
    assert progress_text(tasks, per_s) == f"headrace: {text}"


def test_where_no_line_can_be_written_over_only_some_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not sys.stderr.isatty()
    line = ProgressLine()
    for done in range(50):
        line.show(TasksView(50, 50 - done, 0, done, 0))
    line.show(TasksView(50, 0, 0, 50, 0), last=True)
    line.show(TasksView(50, 0, 0, 50, 0), last=True)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[-1] == "headrace: 50 of 50 tasks done"


def test_counts_and_failures_leave_out_what_is_not_there() -> None:
    assert counts_text(None) == ""
    assert counts_text(TasksView(5, 0, 1, 4, 0)) == "5: 4 done, 1 running"
    failed = (TaskView(3, TaskState.FAILED, detail="exit code 4"),)
    assert failed_text(failed, 1) == "task 3: exit code 4"
    assert failed_text(failed, 1_001) == "task 3: exit code 4\nand 1,000 more"
