"""Calibration: a record that the disk takes no more of, and models that end as the worker does."""

import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from headrace_calibration.core.course import Iteration
from headrace_calibration.core.plan import Model, Plan
from headrace_calibration.folders import RunFolder
from headrace_calibration.model import Running, run_model
from headrace_calibration.recording import FILE, Record


class _StoppedAfter(Running):
    """A worker that is told to stop just after its model is, as a whole node is shut down."""

    def forget(self, process: "subprocess.Popen[bytes]") -> None:
        super().forget(process)
        threading.Timer(0.05, self.stop).start()


class _StoppedMeanwhile(Running):
    """A worker that is told to stop while its model runs on."""

    def start(self, *args: Any) -> "subprocess.Popen[bytes]":
        process = super().start(*args)
        self.stopped.set()
        return process


def _run(command: list[str], root: Path, running: Running, limit_s: float | None = None) -> str:
    model = Model(tuple(command), {}, (), (), (), "", limit_s)
    plan = SimpleNamespace(model=model, targets=())
    folder = RunFolder(root, cast(Plan, plan), root, {})
    folder.make({})
    return run_model(model, folder, os.environ, running)


@pytest.mark.parametrize("code", [143, 130, 1])
def test_a_model_behind_a_shell_that_ends_with_the_worker_has_not_failed(
    tmp_path: Path, code: int
) -> None:
    with pytest.raises(InterruptedError):
        _run(["sh", "-c", f"exit {code}"], tmp_path / "run", _StoppedAfter())


def test_a_model_that_runs_too_long_while_the_worker_stops_has_not_failed(
    tmp_path: Path,
) -> None:
    with pytest.raises(InterruptedError):
        _run(["sleep", "60"], tmp_path / "run", _StoppedMeanwhile(), limit_s=0.05)


def _iteration(number: int) -> Iteration:
    return Iteration(number, (0.1,), 0.5, "", 1.0, 1.0)


@contextmanager
def _no_file_larger(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_the_disk_takes_half_of_leaves_nothing_behind(tmp_path: Path) -> None:
    record, file = Record(tmp_path, "d"), tmp_path / FILE
    record.add(_iteration(0))
    before = file.read_bytes()
    with _no_file_larger(len(before) + 10), pytest.raises(OSError, match="File too large"):
        record.add(_iteration(1))
    assert file.read_bytes() == before
    record.add(_iteration(2))
    assert sorted(Record(tmp_path, "d").found) == [0, 2]


def test_what_could_not_be_taken_back_is_so_before_the_next_line(tmp_path: Path) -> None:
    record, file = Record(tmp_path, "d"), tmp_path / FILE
    with file.open("ab") as torn:
        torn.write(b'{"number": 0, "par')
    record.add(_iteration(1))
    assert sorted(Record(tmp_path, "d").found) == [1]
