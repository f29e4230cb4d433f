"""Processes under /proc, parsed and told apart."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_adapters.backends import proc_tree
from headrace_adapters.backends.proc_tree import PAGE_BYTES, ProcessStat, Table

PIDS = st.integers(1, 12)


def process(
    pid: int, ppid: int = 1, *, session: int = 0, start: int = 5, state: str = "S"
) -> ProcessStat:
    return ProcessStat(pid, state, ppid, session or pid, session or pid, 0, start, 0)


def table_of(*processes: ProcessStat) -> Table:
    return {each.pid: each for each in processes}


@given(st.binary(max_size=20), st.integers(1, 4_000_000), st.integers(0, 2**40))
def test_a_process_may_have_any_name(name: bytes, ppid: int, start: int) -> None:
    rest = b" S %d 8 9 0 -1 0 0 0 0 0 10 20 30 40 20 0 1 0 %d 99 3 rest 0" % (ppid, start)
    stat = proc_tree.parse_stat(b"42 (" + name + b")" + rest)
    assert stat == ProcessStat(42, "S", ppid, 8, 9, 100, start, 3 * PAGE_BYTES)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"1 (a", b"1 (a) S 1 2"])
def test_what_is_no_stat_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not the text"):
        proc_tree.parse_stat(text)


def test_this_process_finds_itself() -> None:
    own = proc_tree.read_stat(os.getpid())
    assert own is not None
    assert (own.ppid, own.session, own.group) == (os.getppid(), os.getsid(0), os.getpgrp())
    assert own.rss_bytes > 1_000_000
    assert proc_tree.read_stat(2**22 + 1) is None


def test_bytes_of_block_devices_are_those_that_were_not_taken_back() -> None:
    text = b"rchar: 1\nwchar: 2\nread_bytes: 70\nwrite_bytes: 90\ncancelled_write_bytes: %d\n"
    assert proc_tree.parse_io(text % 20) == (70, 70)
    assert proc_tree.parse_io(text % 100) == (70, 0)
    assert proc_tree.parse_io(b"") == (0, 0)
    assert proc_tree.read_io(2**22 + 1) == (0, 0)


@given(st.dictionaries(PIDS, PIDS, max_size=12), st.sets(PIDS))
def test_descendants_are_those_whose_chain_of_parents_meets_a_root(
    parents: dict[int, int], roots: set[int]
) -> None:
    table = table_of(*(process(pid, ppid) for pid, ppid in parents.items()))

    def descends(pid: int) -> bool:
        seen: set[int] = set()
        while pid in table and pid not in seen:
            if pid in roots:
                return True
            seen.add(pid)
            pid = table[pid].ppid
        return False

    assert proc_tree.with_descendants(table, roots) == {pid for pid in table if descends(pid)}


@pytest.mark.parametrize(
    ("environ", "marker"),
    [
        (b"A=1\0HEADRACE_WORKER=j.1.0\0B=2\0", "j.1.0"),
        (b"XHEADRACE_WORKER=j.1.0\0A=HEADRACE_WORKER=j.1.0\0", None),
        (b"", None),
    ],
)
def test_the_marker_is_a_variable_of_its_own(environ: bytes, marker: str | None) -> None:
    assert proc_tree.marker_in(environ) == marker


def test_survivors_are_the_main_process_its_descendants_and_the_marked() -> None:
    table = table_of(process(10), process(11, 10), process(12, 1), process(13, 12), process(99))
    found = proc_tree.survivors(table, {12: "k"}, {"k": (10, 5), "other": None})
    assert found == {"k": {10, 11, 12, 13}, "other": set()}


def test_a_recycled_pid_is_a_stranger() -> None:
    table = table_of(process(10, start=6), process(11, 10), process(12, session=10))
    assert proc_tree.survivors(table, {}, {"k": (10, 5)}) == {"k": set()}


def test_a_session_counts_when_a_process_in_it_is_known_to_be_the_workers() -> None:
    table = table_of(process(12, session=10), process(13, session=10))
    assert proc_tree.survivors(table, {}, {"k": (10, 5)}) == {"k": set()}
    assert proc_tree.survivors(table, {13: "k"}, {"k": (10, 5)}) == {"k": {12, 13}}


def test_a_dead_process_does_not_survive_and_its_children_do() -> None:
    table = table_of(process(10, state="Z"), process(11, 10))
    assert proc_tree.survivors(table, {}, {"k": (10, 5)}) == {"k": {11}}
