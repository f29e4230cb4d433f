"""Tasks on a node, the pure part: from ends to reports, and where a log lies."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agent.core.tasks import TaskRun, failure, failures, reports
from headrace_agent.tasklogs import Place, TaskLogs
from headrace_model.array import indices_of
from headrace_model.cause import Cause
from headrace_model.ids import JobId
from headrace_model.spec import Retry
from headrace_model.worker import ExitCause, RunningWorker, TaskLog, WorkerExit, WorkerKey
from headrace_wire.tasklogs import IndexLine, find_line, write_line

JOB = JobId("0123456789abcdef")
runs = st.builds(TaskRun, index=st.integers(0, 30), lease=st.integers(1, 4))


def ended(
    index: int,
    cause: ExitCause = ExitCause.EXITED,
    code: int | None = 0,
    *,
    lease: int = 1,
    number: int | None = None,
    log: TaskLog | None = None,
) -> WorkerExit:
    key = WorkerKey(JOB, 1, 0, lease, index)
    return WorkerExit(key, None, cause, code, number, 0, 0, "no such program", log)


def test_a_good_end_is_no_failure_and_each_bad_one_has_its_cause() -> None:
    retry = Retry(limit=2, on=frozenset({Cause.EXIT_CODE, Cause.ATTEMPT_LOST}))
    found = failures(
        [
            ended(0),
            ended(1, code=3),
            ended(2, ExitCause.SIGNALED, None, number=9),
            ended(3, ExitCause.OOM, None, number=9),
            ended(4, ExitCause.NOT_STARTED, None),
            ended(5, ExitCause.LOST, None),
        ],
        retry,
        64 * 2**20,
    )
    assert {r.index: (f.cause, f.exit_code, f.again) for r, f in found.items()} == {
        1: (Cause.EXIT_CODE, 3, True),
        2: (Cause.EXIT_CODE, -9, True),
        3: (Cause.OOM, -9, False),
        4: (Cause.NOT_STARTED, None, False),
        5: (Cause.ATTEMPT_LOST, None, True),
    }
    assert "64" in found[TaskRun(3, 1)].detail
    assert "no such program" in found[TaskRun(4, 1)].detail


@given(st.sets(runs), st.sets(runs), st.dictionaries(runs, st.sampled_from(["p", "q"])))
def test_reports_tell_every_run_once_under_its_lease_and_its_part(
    done: set[TaskRun], bad: set[TaskRun], parts: dict[TaskRun, str]
) -> None:
    done -= bad
    failed = {run: failure(run, Cause.OOM, "", None, Retry()) for run in bad}
    told = reports(sorted(done), failed, parts)
    good = [(i, each.lease, each.part) for each in told for i in indices_of(each.done)]
    assert sorted(good) == sorted((r.index, r.lease, parts.get(r, "")) for r in done)
    wrong = [(one.index, each.lease) for each in told for one in each.failed]
    assert sorted(wrong) == sorted((r.index, r.lease) for r in bad)


lines = st.builds(
    IndexLine,
    index=st.integers(0, 12),
    lease=st.integers(1, 3),
    stream=st.sampled_from(["out", "err"]),
    slot=st.integers(0, 3),
    offset=st.integers(0, 10**9),
    size_bytes=st.integers(1, 10**6),
)


@given(st.lists(lines), st.integers(0, 12), st.sampled_from(["out", "err"]), st.integers(0, 9))
def test_the_newest_log_of_a_task_is_found_also_in_a_torn_index(
    written: list[IndexLine], index: int, stream: str, torn: int
) -> None:
    text = "".join(write_line(line) for line in written)
    of_task = [line for line in written if (line.index, line.stream) == (index, stream)]
    newest = max((line.lease for line in of_task), default=0)
    expected = [line for line in of_task if line.lease == newest][-1:]
    found = find_line(text, index, stream)
    assert [found] == (expected or [None])
    assert find_line(f"{text}{index} 3 {stream}"[: len(text) + torn], index, stream) == found


def test_a_log_is_found_while_its_task_runs_and_after(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path)
    key = WorkerKey(JOB, 1, 2, 1, 7)
    running = RunningWorker(key, None, False, None, TaskLog(3, 10, 20))
    assert logs.find(7, "out", [running]) == Place(tmp_path / "2.3.out", 10, None)
    done = WorkerExit(key, None, ExitCause.EXITED, 0, None, 0, 0, "", TaskLog(3, 10, 20, 15, 20))
    assert logs.find(7, "out", [done]) == Place(tmp_path / "2.3.out", 10, 5)
    assert logs.find(7, "out", []) is None
    logs.note([done])
    logs.note([done])
    assert logs.find(7, "out", []) == Place(tmp_path / "2.3.out", 10, 5)
    assert logs.find(7, "err", []) is None, "it printed nothing there"
    assert logs.find(8, "out", []) is None


@pytest.mark.parametrize("end", [3, 0])
def test_a_log_that_its_task_cut_has_no_place(tmp_path: Path, end: int) -> None:
    logs = TaskLogs(tmp_path)
    logs.note([ended(1, log=TaskLog(0, 5, 0, end, 0))])
    assert logs.find(1, "out", []) is None
