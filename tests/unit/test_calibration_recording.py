"""Calibration: a record that the disk takes no more of, and models that end as the worker does."""

import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace_calibration.core.course import Iteration
from headrace_calibration.core.plan import Model
from headrace_calibration.model import Running, run_model
from headrace_calibration.recording import FILE, Record


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
