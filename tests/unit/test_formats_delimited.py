"""Rows of CSV are read many at once, and come out as if each had been read alone."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_formats import delimited
from headrace_formats.delimited import rows_of, timed_rows
from headrace_formats.errors import FormatError
from headrace_formats.report import Report


def read(text: str) -> list[list[str]] | str:
    try:
        return list(rows_of(io.BytesIO(text.encode())))
    except FormatError as error:
        return error.message


def read_by_csv(text: str) -> list[list[str]] | None:
    """What the library finds; nothing where a quote does not end in its line."""
    rows = csv.reader(io.StringIO(text, newline="\n"), strict=True, skipinitialspace=True)
    found = []
    try:
        for row in rows:
            found.append([cell.lstrip(" ") for cell in row])
    except csv.Error:
        return None
    return found if rows.line_num == len(found) else None


@given(text=st.text(alphabet='a1,\n"é \u2028', max_size=60))
def test_rows_are_those_that_a_reader_of_csv_finds(text: str) -> None:
    found, wanted = read(text), read_by_csv(text)
    if wanted is None:
        assert isinstance(found, str)
    else:
        assert [[cell.lstrip(" ") for cell in row] for row in found] == wanted


@given(
    rows=st.lists(st.lists(st.sampled_from(["1", "", " 2.5", "x"]), min_size=1, max_size=2)),
    piece=st.integers(1, 40),
)
def test_pieces_of_any_size_give_the_same_rows(rows: list[list[str]], piece: int) -> None:
    text = "".join(",".join(row) + "\n" for row in rows)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(delimited, "_PIECE_BYTES", piece)
        assert read(text) == [row if row != [""] else [] for row in rows]


CELLS = st.sampled_from(["1", "2.5", " 3", "nan", "NA", "", "x", "1e5"])
TIMES = st.sampled_from(["2015-01-01", "2015-01-01 01:00:00", " 2015-01-02", "noon"])
ROWS = st.lists(
    st.one_of(
        st.tuples(TIMES, CELLS, CELLS).map(list),
        st.just([]),
        st.lists(CELLS, max_size=4),
    ),
    max_size=12,
)


@given(rows=ROWS, at_once=st.integers(1, 12))
def test_many_rows_at_once_tell_what_each_of_them_tells(
    rows: list[list[str]], at_once: int
) -> None:
    def told(count: int) -> tuple[list[tuple[object, ...]], list[str]]:
        report = Report(lenient=True)
        with pytest.MonkeyPatch.context() as changed:
            changed.setattr(delimited, "_ROWS_AT_ONCE", count)
            found = []
            for some in timed_rows(iter(rows), ["time", "a", "b"], 0, report, text=(2,)):
                numbers = ("none" if math.isnan(each) else each for each in some.numbers[0])
                found += zip(some.lines, some.times, numbers, some.texts[0], strict=True)
        return found, [str(each) for each in report.findings]

    assert told(at_once) == told(1)


def test_what_is_right_before_wrong_text_is_read_first() -> None:
    report = Report(lenient=True)
    rows = rows_of(io.BytesIO(b"2015-01-01,x\n2015-01-02,1\n\xff\n2015-01-04,1\n"))
    with pytest.raises(FormatError, match="line 3 is not valid UTF-8"):
        list(timed_rows(rows, ["time", "a"], 0, report, first=1))
    assert [str(each) for each in report.findings] == ["line 1, column a: 'x' is not a number"]
