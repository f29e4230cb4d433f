"""How far a job is: patterns beside those of `re`, what lines tell, marks and their pace."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.cli.used import progress_text
from headrace_kinds.command import CommandKind
from headrace_kinds.patterns import compile_pattern
from headrace_kinds.progress import Reading, read_line
from headrace_model.errors import InvalidInput
from headrace_model.progress import Mark, Pace, pace_of, thinned
from headrace_model.spec import JobSpec, ProgressSpec
from headrace_wire.api import iso
from headrace_wire.progress import (
    ProgressView,
    RankProgressView,
    read_marks,
    write_mark,
)

ATOMS = st.sampled_from(["a", "b", "\\d", "[ab]", "[^b]", "\\s", ".", "/", "\\w", "[0-9.]"])
QUANTS = st.sampled_from(["", "", "+", "*", "?", "{2}", "{1,3}"])
PIECES = st.lists(st.tuples(ATOMS, QUANTS).map("".join), min_size=1, max_size=4).map("".join)
LINES = st.text("ab1. /é", max_size=14)


@given(PIECES, PIECES, st.lists(LINES, max_size=8))
def test_a_pattern_that_is_taken_finds_what_re_finds(
    before: str, inside: str, lines: list[str]
) -> None:
    pattern = f"{before}(?P<step>{inside})"
    try:
        made = compile_pattern(pattern)
    except InvalidInput:
        return
    plain = re.compile(pattern, re.ASCII)
    for line in lines:
        one, other = made.search(line), plain.search(line)
        assert (one and one.groups()) == (other and other.groups())


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "1 to 200 characters"),
        ("a" * 201, "1 to 200 characters"),
        (r"(\d+)", "can't stand in a pattern"),
        (r"(?P<step>(?P<of>\d))", "can't stand in a pattern"),
        (r"(?P<step>\d+)+", "can't stand in a pattern"),
        (r"a|(?P<step>\d)", "can't stand in a pattern"),
        (r"(?=x)(?P<step>\d)", "can't stand in a pattern"),
        (r"(?P<step>\d)\1", "can't stand in a pattern"),
        (r".*(?P<step>\d+)", "could take what is for"),
        (r"(?P<step>\d+)\d", "could take what is for"),
        (r"a+b?a(?P<step>\d+)", "could take what is for"),
        (r"step \d+", "has a group"),
        (r"(?P<of>\d+)", "`step` is missing"),
        (r"(?P<depth>\d+)", "nothing is known of a group 'depth'"),
        (r"(?P<step>\d+)(?P<step>x)", "no pattern"),
        (r"(?P<step>[z-a])", "no pattern"),
        (r"(?P<step>[a&&b])", "no plain class"),
        (r"(?P<step>\d", "no pattern"),
        (r"(?P<step>a{5,2})", "no pattern"),
    ],
)
def test_a_pattern_that_may_search_for_long_or_tells_nothing_is_refused(
    pattern: str, why: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(why)):
        compile_pattern(pattern)


def _patterns(own: str = "") -> tuple[re.Pattern[str], ...]:
    spec = JobSpec("command", "x", progress=ProgressSpec(own) if own else None)
    return CommandKind().progress(spec)


@pytest.mark.parametrize(
    ("line", "own", "reading"),
    [
        ("HEADRACE_PROGRESS 37%", "", Reading(percent=37.0)),
        ("12:00 HEADRACE_PROGRESS 37.5 % of it", "", Reading(percent=37.5)),
        ("HEADRACE_PROGRESS 12/48", "", Reading(25.0, 12, 48)),
        (
            "HEADRACE_PROGRESS 12/48 1970-01-02T00:00Z",
            "",
            Reading(25.0, 12, 48, 86_400_000),
        ),
        ("Step 3/4 done", "", Reading(75.0, 3, 4)),
        (" 37%|███▋      | 37/100 [00:01<00:02, 30it/s]", "", Reading(37.0, 37, 100)),
        ("nothing here 12/48", "", None),
        ("HEADRACE_PROGRESS 1e999%", "", None),
        ("HEADRACE_PROGRESS 900%", "", Reading(percent=100.0)),
        ("HEADRACE_PROGRESS 3/0", "", Reading(step=3, of=0)),
        ("day 5", r"day (?P<step>\d+)", Reading(step=5)),
        ("t=1970-01-02 x", r"t=(?P<time>[0-9-]+)", Reading(model_ms=86_400_000)),
        ("done 0.25", r"done (?P<fraction>[0-9.]+)", Reading(percent=25.0)),
        ("Step 3/4", r"day (?P<step>\d+)", None),
        ("HEADRACE_PROGRESS 37%", r"day (?P<step>\d+)", Reading(percent=37.0)),
        ("x" * 600 + "Step 3/4", "", None),
    ],
)
def test_a_line_tells_how_far_a_worker_is(line: str, own: str, reading: Reading | None) -> None:
    assert read_line(_patterns(own), line) == reading


@given(st.text(max_size=40), st.sampled_from(["", r"(?P<percent>[^ ]+)", r"(?P<time>[^ ]+)"]))
def test_no_line_of_a_worker_can_harm_its_reader(text: str, own: str) -> None:
    for line in (text, f"HEADRACE_PROGRESS {text}", f"Step {text}/{text}"):
        told = read_line(_patterns(own), line)
        if told and told.percent is not None:
            assert 0.0 <= told.percent <= 100.0


MARKS = st.lists(
    st.builds(
        Mark,
        st.integers(0, 10**13),
        st.none() | st.integers(0, 100_000).map(lambda n: n / 1000),
        st.none() | st.integers(0, 2**53),
        st.none() | st.integers(0, 2**53),
        st.none() | st.integers(-(10**13), 10**13),
    ),
    max_size=40,
    unique_by=lambda mark: mark.at_ms,
).map(lambda marks: tuple(sorted(marks, key=lambda mark: mark.at_ms)))


@given(MARKS, st.text(" -1\nx", max_size=9))
def test_marks_are_read_as_they_were_written_and_damage_is_passed_over(
    marks: tuple[Mark, ...], torn: str
) -> None:
    text = "".join(map(write_mark, marks))
    assert read_marks(text) == marks
    assert read_marks(text + torn.replace("\n", ""))[: len(marks)] == marks
    read_marks(torn)


@given(MARKS, st.integers(4, 30))
def test_thinning_keeps_the_first_and_the_newest_marks(
    marks: tuple[Mark, ...], limit: int
) -> None:
    kept = thinned(marks, limit)
    assert len(kept) <= limit
    assert kept == tuple(each for each in marks if each in kept)
    if len(marks) > limit:
        assert kept[0] == marks[0]
        assert kept[-(limit // 2) :] == marks[-(limit // 2) :]


@given(st.integers(2, 50), st.integers(1, 60_000), st.integers(0, 100_000))
def test_of_a_steady_worker_the_time_left_is_exact(
    number: int, every_ms: int, since_ms: int
) -> None:
    marks = [Mark(n * every_ms, 100.0 * n / 60, n, 60) for n in range(number)]
    now_ms = marks[-1].at_ms + since_ms
    pace = pace_of(marks, now_ms)
    assert pace.steps_per_s == pytest.approx(1000 / every_ms)
    assert pace.left_s == pytest.approx(max(0.0, (60 * every_ms - now_ms) / 1000), abs=1e-6)


@pytest.mark.parametrize(
    ("marks", "pace"),
    [
        ([], Pace()),
        ([Mark(5, 50.0)], Pace()),
        ([Mark(5, 100.0)], Pace(left_s=0.0)),
        ([Mark(0, 90.0), Mark(9_000, 10.0)], Pace()),  # it began anew
        ([Mark(0, 10.0), Mark(9_000, 10.0)], Pace(percent_per_s=0.0)),
    ],
)
def test_where_nothing_can_be_told_nothing_is(marks: list[Mark], pace: Pace) -> None:
    assert pace_of(marks, 10_000) == pace


def test_progress_is_told_in_a_line() -> None:
    rank = RankProgressView(0, "n1", iso(0), 12.0, 12, 1_000, iso(0), 1.0, 1.0, 88.0)
    view = ProgressView("x", 1, "log", 12.0, 88.0, (rank,))
    assert progress_text(view) == "12 %, step 12 of 1,000, at 1970-01-01, about 1m 28s left"
    assert progress_text(ProgressView("x", 1, None, None, None, ())) == ""
