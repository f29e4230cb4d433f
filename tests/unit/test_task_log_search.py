"""All tasks' logs searched at once, on their node and from the store, beside brute force."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from headrace_agent.logsearch import look_through
from headrace_agent.tasklogs import TaskLogs
from headrace_request.service.logsearch import searched_runs
from headrace_wire.logsearch import Line, Place
from headrace_wire.tasklogs import IndexLine, all_lines, index_name, slot_name, write_line

RANK = 3
NOBODYS = b"a\nb"  # what lies between the logs of two runs
# Of each run of a task: in which slot it ran, and what it wrote.
RUNS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.text("ab\né", max_size=12)), max_size=9
)


def _written(folder: Path, runs: list[tuple[int, int, str]]) -> None:
    """The files of a node: the tasks of a slot one after another, and what nobody wrote."""
    sizes = {0: 0, 1: 0}
    for lease, (task, slot, wrote) in enumerate(runs, 1):
        data = wrote.encode()
        with (folder / slot_name(RANK, slot, "out")).open("ab") as log:
            log.write(NOBODYS + data)
        line = IndexLine(task, lease, "out", slot, sizes[slot] + len(NOBODYS), len(data))
        sizes[slot] += len(NOBODYS) + len(data)
        if data:
            with (folder / index_name(RANK)).open("a", encoding="ascii") as index:
                index.write(write_line(line))
                index.write("torn 1 out\n")


def _right(runs: list[tuple[int, int, str]], text: str) -> list[tuple[int, Line]]:
    return [
        (lease, Line(number, line, task))
        for lease, (task, _, wrote) in enumerate(runs, 1)
        for number, line in enumerate(wrote.split("\n"), 1)
        if text in line
    ]


@given(RUNS, st.text("abé", min_size=1, max_size=2), st.integers(1, 3))
def test_a_node_finds_each_line_of_each_run_once_under_its_task(
    runs: list[tuple[int, int, str]], text: str, limit: int
) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        _written(folder, runs)
        there = TaskLogs(folder).runs("out", ())
        found: list[Line] = []
        place: Place | None = Place()
        while place is not None:
            some, now, _ = look_through(there, place, text.encode(), limit)
            assert len(some) <= limit
            # Who asks anew says where from: nothing but that place is kept.
            assert now is None or (now.run, now.offset) > (place.run, place.offset)
            found, place = found + some, now
    right = sorted(_right(runs, text), key=lambda each: (each[1].task, each[0]))
    assert found == [line for _, line in right]


@given(RUNS, st.text("abé", min_size=1, max_size=2), st.integers(1, 40))
def test_the_store_s_files_tell_the_same_however_they_come(
    runs: list[tuple[int, int, str]], text: str, size: int
) -> None:
    async def parts(data: bytes) -> AsyncIterator[bytes]:
        for begin in range(0, len(data), size):
            yield data[begin : begin + size]

    async def found(folder: Path) -> list[Line]:
        index = folder / index_name(RANK)
        there = all_lines(index.read_text() if index.exists() else "", "out")
        lines: list[Line] = []
        for slot, of in itertools.groupby(
            sorted(there, key=lambda each: (each.slot, each.offset)), key=lambda each: each.slot
        ):
            data = (folder / slot_name(RANK, slot, "out")).read_bytes()
            lines += [line async for line in searched_runs(text, of, parts(data))]
        return lines

    with TemporaryDirectory() as made:
        _written(Path(made), runs)
        lines = asyncio.run(found(Path(made)))

    def order(line: Line) -> tuple[int | None, int, str]:
        return line.task, line.line, line.text

    assert sorted(lines, key=order) == sorted((line for _, line in _right(runs, text)), key=order)


def test_an_index_that_is_damaged_is_read_where_it_makes_sense() -> None:
    line = IndexLine(7, 2, "err", 1, 100, 20)
    text = "x\n7 2 err 1 100\n7 2 err 1 100 -4\n" + write_line(line) + "7 2 out 1 100 20\n"
    assert list(all_lines(text, "err")) == [line]


def test_lines_of_a_run_that_is_gone_from_the_disk_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / index_name(RANK)).write_text("1 1 out 0 0 9\n", encoding="ascii")
    there = TaskLogs(tmp_path).runs("out", ())
    assert look_through(there, Place(), b"a") == ([], None, 0)
