"""All tasks' logs searched at once, on their node and from the store, beside brute force."""

import itertools
import json
import threading
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from headrace_agent.logsearch import Run, Search, answer_tasks, look_through
from headrace_agent.tasklogs import TaskLogs
from headrace_request.core.taskruns import NextRuns, RunSearch, order_of
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
        (lease, Line(number, line, task, lease))
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


@given(
    RUNS,
    st.text("abé", min_size=1, max_size=2),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(0, 60),
    st.randoms(use_true_random=False),
)
def test_the_store_s_files_tell_the_same_however_they_come_and_where_they_are_cut(
    runs: list[tuple[int, int, str]], text: str, size: int, most: int, kept: int, rng: Random
) -> None:
    def parts(data: bytes) -> list[bytes]:
        return [data[begin : begin + size] for begin in range(0, len(data), size)]

    found: list[Line] = []
    right: list[Line] = []
    with TemporaryDirectory() as made:
        folder = Path(made)
        _written(folder, runs)
        file = folder / index_name(RANK)
        index = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        for each in all_lines(b"".join(index).decode(), "out"):
            end = min(kept, each.offset + each.size_bytes)
            data = (folder / slot_name(RANK, each.slot, "out")).read_bytes()[each.offset : end]
            right += [
                Line(number, line.decode(errors="replace"), each.index, each.lease)
                for number, line in enumerate(data.split(b"\n"), 1)
                if text.encode() in line
            ]
        index += index[:2]  # a repeat is harmless, and so is another order
        rng.shuffle(index)
        behind = None
        while True:
            some = NextRuns("out", behind, most)
            for part in parts(b"".join(index)):
                some.take(part)
            if not some.runs():
                break
            assert len(some.runs()) <= most
            behind = order_of(some.runs()[-1])
            for slot, of in itertools.groupby(some.runs(), key=lambda each: each.slot):
                here = list(of)
                search = RunSearch(text.encode(), here)
                log = (folder / slot_name(RANK, slot, "out")).read_bytes()
                for part in parts(log[here[0].offset : kept]):
                    found += search.take(part)
                found += search.end()

    def order(line: Line) -> tuple[int, int]:
        return line.lease or 0, line.line

    assert sorted(found, key=order) == sorted(right, key=order)


@given(st.lists(st.integers(0, 400), max_size=200), st.integers(1, 9))
def test_of_a_large_index_no_more_is_held_than_was_asked_for(
    offsets: list[int], most: int
) -> None:
    some = NextRuns("out", None, most)
    for offset in offsets:
        some.take(write_line(IndexLine(1, 1, "out", 0, offset, 9)).encode())
        assert len(some._runs) < 2 * most
    assert [each.offset for each in some.runs()] == sorted(set(offsets))[:most]


def test_an_index_that_is_damaged_is_read_where_it_makes_sense() -> None:
    line = IndexLine(7, 2, "err", 1, 100, 20)
    text = "x\n7 2 err 1 100\n7 2 err 1 100 -4\n" + write_line(line) + "7 2 out 1 100 20\n"
    assert list(all_lines(text, "err")) == [line]


def test_lines_of_a_run_that_is_gone_from_the_disk_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / index_name(RANK)).write_text("1 1 out 0 0 9\n", encoding="ascii")
    there = TaskLogs(tmp_path).runs("out", ())
    assert look_through(there, Place(), b"a") == ([], None, 0)


async def test_a_node_answers_while_it_still_reads_where_the_logs_of_its_tasks_are(
    tmp_path: Path,
) -> None:
    _written(tmp_path, [(7, 0, "an ERROR\n")])
    heard, said = threading.Event(), []

    def read_runs() -> list[Run]:
        assert heard.wait(10.0), "nothing was said before the index was read"
        return TaskLogs(tmp_path).runs("out", ())

    async def say(text: str) -> bool:
        said.append(json.loads(text))
        heard.set()
        return True

    await answer_tasks(Search(b"ERROR", Place(), all_tasks=True), read_runs, say, lambda: True)
    assert [(each["data"], each["eof"]) for each in said[:-1]] == [("", False)] * (len(said) - 1)
    assert len(said) > 1
    assert (json.loads(said[-1]["data"])[1], said[-1]["eof"]) == ("an ERROR", True)
