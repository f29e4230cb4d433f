"""What a failed attempt most likely failed of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.cli.used import triage_lines
from headrace_model.cause import Cause
from headrace_model.triage import LINES, Fault, triage
from headrace_wire.triage import view_of

_TRACEBACK = """start
Traceback (most recent call last):
  File "run.py", line 3, in <module>
    open("forcing.nc")
"""


_FILE = "FileNotFoundError: [Errno 2] No such file or directory: 'forcing.nc'"
_LS = "ls: cannot access '/nowhere': No such file or directory"
_SH = "sh: 1: cannot open in.txt: No such file"
_CAT = "cat: in.txt: No such file or directory"
_MODULE = "ModuleNotFoundError: No module named 'xarray'"
_BARE = "Traceback: No module named foo.bar."
_RUN_AS = "/usr/bin/python3: No module named foo"
_LINALG = "numpy.linalg.LinAlgError: Singular matrix"
_FULL = "OSError: [Errno 28] No space left on device"
_ABORT = "MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD"
_DENIED = "sh: 1: ./run.sh: Permission denied"


# In the log a star stands before the line that tells most.
@pytest.mark.parametrize(
    ("cause", "code", "log", "fault", "says"),
    [
        (Cause.OOM, -9, "", Fault.MEMORY, "retry.memory_limit"),
        (Cause.TIME_LIMIT, None, "step 3", Fault.TIME_LIMIT, "limits.time"),
        (Cause.NODE_LOST, None, "", Fault.MACHINE, "machines were lost"),
        (Cause.POISON, None, "", Fault.MACHINE, "what ends them"),
        (Cause.TASKS, 1, "", Fault.TASKS, "tasks 0123 --state failed"),
        (Cause.EXIT_CODE, 1, f"{_TRACEBACK}*{_FILE}", Fault.MISSING_FILE, "file: forcing.nc"),
        (Cause.EXIT_CODE, 2, f"*{_LS}", Fault.MISSING_FILE, "/nowhere"),
        (Cause.EXIT_CODE, 1, f"{_SH}\n*{_CAT}", Fault.MISSING_FILE, "in.txt"),
        (Cause.EXIT_CODE, 1, f"{_TRACEBACK}*{_MODULE}", Fault.PYTHON, "the module xarray"),
        (Cause.EXIT_CODE, 3, f"start\n*{_BARE}", Fault.PYTHON, "the module foo.bar:"),
        (Cause.EXIT_CODE, 1, f"*{_RUN_AS}", Fault.PYTHON, "the module foo:"),
        (
            Cause.EXIT_CODE,
            1,
            f"{_TRACEBACK}*ValueError: bad\nend",
            Fault.PYTHON,
            "ValueError: bad",
        ),
        (Cause.EXIT_CODE, 1, f"{_TRACEBACK}*{_LINALG}", Fault.PYTHON, "LinAlgError"),
        (Cause.EXIT_CODE, 1, f"*{_FULL}", Fault.DISK_FULL, "disk was full"),
        (Cause.EXIT_CODE, 1, f"{_TRACEBACK}*MemoryError", Fault.MEMORY, "itself"),
        (Cause.EXIT_CODE, 1, f"*{_ABORT}", Fault.MPI, "--rank N"),
        (Cause.EXIT_CODE, 127, "sh: 1: ngen: not found", Fault.NO_COMMAND, "not found"),
        (Cause.EXIT_CODE, 126, _DENIED, Fault.NOT_EXECUTABLE, "x bit"),
        (Cause.EXIT_CODE, 137, "", Fault.KILLED, "SIGKILL"),
        (Cause.EXIT_CODE, -9, "", Fault.KILLED, "SIGKILL"),
        (Cause.EXIT_CODE, 139, "", Fault.CRASHED, "crashed"),
        (Cause.EXIT_CODE, -11, "", Fault.CRASHED, "crashed"),
        (Cause.EXIT_CODE, 3, "giving up", Fault.OTHER, "jobs logs 0123`"),
        (Cause.COLLECTION, None, "", Fault.OUTPUT, "`outputs`"),
        (Cause.STAGING, None, "", Fault.MISSING_DATA, "dataset match"),
    ],
)
def test_a_failure_is_told_by_its_kind(
    cause: Cause, code: int | None, log: str, fault: Fault, says: str
) -> None:
    line = next((each[1:] for each in log.splitlines() if each.startswith("*")), "")
    found = triage(cause, code, "worker 0 left", log.replace("*", ""), job="0123")
    assert found.fault is fault
    assert says in found.hint
    assert "JOB" not in found.hint
    assert found.line == line
    assert found.lines == tuple(log.replace("*", "").splitlines()[-LINES:])


@pytest.mark.parametrize(
    ("cause", "detail", "fault"),
    [
        (Cause.STAGING, "image lab/model:9 could not be pulled: manifest unknown", Fault.IMAGE),
        (Cause.NOT_STARTED, "there is no image lab/model:9", Fault.IMAGE),
        (
            Cause.NOT_STARTED,
            "worker 0 could not be started: No such file: 'nope'",
            Fault.NO_COMMAND,
        ),
    ],
)
def test_what_has_no_log_is_told_by_its_detail(cause: Cause, detail: str, fault: Fault) -> None:
    assert triage(cause, None, detail, "").fault is fault


def test_alike_ends_on_different_machines_are_the_jobs_own() -> None:
    told = triage(Cause.EXIT_CODE, 3, "", "", ["node1", "node2", "node1"]).hint
    assert told.endswith("; it ended so on node1 and node2, so it is the job, not a machine")
    assert "machine" not in triage(Cause.EXIT_CODE, 3, "", "", ["node1", "node1"]).hint
    lost = triage(Cause.NODE_LOST, None, "", "", ["node1", "node2"]).hint
    assert "it is the job" not in lost


def test_an_array_at_its_time_limit_is_not_told_of_checkpoints_which_it_can_not_have() -> None:
    assert "checkpoint" in triage(Cause.TIME_LIMIT, None, "", "").hint
    told = triage(Cause.TIME_LIMIT, None, "", "", is_array=True)
    assert told.fault is Fault.TIME_LIMIT
    assert "checkpoint" not in told.hint
    assert "the tasks that have not ended" in told.hint


@given(st.sampled_from(Cause), st.none() | st.integers(-64, 255), st.text(), st.text())
def test_any_end_and_any_log_are_told(
    cause: Cause, code: int | None, detail: str, log: str
) -> None:
    found = triage(cause, code, detail, log)
    assert found.hint
    assert len(found.lines) <= LINES
    assert not found.line or found.line in [line.rstrip()[:300] for line in log.splitlines()]


def test_what_the_program_said_is_not_taken_for_the_place_of_the_id() -> None:
    log = "ValueError: JOB is not set"
    assert "JOB is not set" in triage(Cause.EXIT_CODE, 1, "", log, job="0123").hint


def test_the_line_that_tells_most_is_left_out_where_none_does() -> None:
    found = triage(Cause.EXIT_CODE, 3, "", "giving up", job="0123")
    assert "tells most" not in dict(triage_lines(view_of(found)))
    told = triage(Cause.EXIT_CODE, 3, "", _BARE, job="0123")
    assert dict(triage_lines(view_of(told)))["tells most"] == _BARE
