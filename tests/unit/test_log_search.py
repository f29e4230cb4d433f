"""Searching logs beside brute force: any text, cut into any pieces; and the words around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.cli.follow import WholeLines
from headrace_model.errors import InvalidInput
from headrace_wire.live import LogPiece
from headrace_wire.logsearch import (
    Line,
    LogFound,
    Place,
    SearchEnd,
    check_text,
    end_line,
    found_line,
    read_found,
    read_lines,
    search,
    write_lines,
)

LINE = st.integers(1), st.text(max_size=9)
LINES = st.builds(Line, *LINE) | st.builds(Line, *LINE, st.integers(0, 9), st.integers(1, 9))
FEW = st.text("ab\né", max_size=60)


def _searched(data: bytes, text: bytes, piece: int, limit: int) -> list[Line]:
    """All that is found when the file is read as an agent reads it."""
    found: list[Line] = []
    place = Place()
    while True:
        part = data[place.offset : place.offset + piece]
        last = len(part) < piece
        some, now = search(place, part, text, last=last, limit=limit)
        assert len(some) <= limit
        found += some
        if last and now.offset >= len(data):
            return found
        assert (now.offset, some) > (place.offset, [])
        place = now


@given(FEW, st.text("abé", min_size=1, max_size=3), st.integers(8, 70), st.integers(1, 4))
def test_each_line_that_holds_the_text_is_told_once_however_it_is_cut(
    log: str, text: str, piece: int, limit: int
) -> None:
    lines = _searched(log.encode(), check_text(text), piece, limit)
    right = [number for number, line in enumerate(log.split("\n"), 1) if text in line]
    assert [line.line for line in lines] == right
    if piece > len(log.encode()):
        assert [line.text for line in lines] == [each for each in log.split("\n") if text in each]


def test_of_a_long_line_the_part_around_the_text_is_shown() -> None:
    data = b"x" * 5_000 + b"needle" + b"y" * 5_000
    (line,), _ = search(Place(), data, b"needle", last=True, limit=9)
    assert "needle" in line.text
    assert len(line.text) == 1_000


@pytest.mark.parametrize("text", ["", "a\nb", "x" * 201, "\0"])
def test_what_is_no_text_within_a_line_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 200 characters within a line"):
        check_text(text)


@given(st.lists(LINES, max_size=5))
def test_what_is_found_is_read_as_it_was_written(lines: list[Line]) -> None:
    assert read_lines(write_lines(lines)) == lines
    for each in lines:
        found = LogFound(2, 3, "err", each.line, each.text, each.task)
        assert read_found(found_line(found)) == found
    end = SearchEnd(2, "too long", ("2/1.out",))
    assert read_found(end_line(end)) == end


@given(st.lists(st.tuples(st.integers(0, 2), st.text("ab\n", max_size=6)), max_size=30))
def test_lines_of_several_workers_are_never_mixed(pieces: list[tuple[int, str]]) -> None:
    whole, said = WholeLines(), ""
    for rank, text in pieces:
        said += whole.take(LogPiece(1, "out", 0, 0, text, rank))
    said += whole.rest()
    for rank in range(3):
        wrote = "".join(text for each, text in pieces if each == rank)
        mark = f"[{rank}] "
        seen = [line[len(mark) :] for line in said.split("\n") if line.startswith(mark)]
        assert seen == (wrote.removesuffix("\n").split("\n") if wrote else [])
