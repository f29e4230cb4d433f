"""Traces in the Standard Workload Format: what is read of them, and what is wrong by its line."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_local.simulate.swf import parse_swf, write_swf
from headrace_local.simulate.trace import Trace, TraceJob
from headrace_model.errors import InvalidInput

JOB = "1 0 5 100 4 -1 2048 8 3600 -1 1 7 2 3 1 -1 -1 -1"


def _with(**fields: str) -> str:
    """The line of JOB with other fields: `f8="16"` is the eighth, counted from 1."""
    words = JOB.split()
    for name, word in fields.items():
        words[int(name[1:]) - 1] = word
    return " ".join(words)


def _read(*lines: str, most: int | None = None) -> Trace:
    return parse_swf([line + "\n" for line in lines], "trace.swf", most)


def test_a_line_is_a_job() -> None:
    assert _read(JOB).jobs == (
        TraceJob(1, 0, 100_000, 8, 3_600_000, 2048 * 1024, user="u7", application="a3"),
    )


def test_what_is_not_known_is_not_known() -> None:
    (job,) = _read("1 0 -1 100 4 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1").jobs
    assert job == TraceJob(1, 0, 100_000, 4, None, None, user="unknown", application="")


def test_the_memory_that_was_asked_counts_before_what_was_used() -> None:
    assert _read(_with(f10="100")).jobs[0].memory_bytes == 100 * 1024


def test_comments_and_empty_lines_are_no_jobs_and_the_head_tells_the_machine() -> None:
    trace = _read("; Version: 2.2", ";MaxNodes: 16", "; MaxProcs:  128 (SMP)", "", JOB, ";", "  ")
    assert (len(trace.jobs), trace.nodes, trace.cpus) == (1, 16, 128)


def test_nodes_are_processors_where_the_head_tells_no_other() -> None:
    assert _read("; MaxNodes: 16", JOB).cpus == 16
    assert _read(JOB).cpus is None


def test_jobs_that_never_ran_and_parts_of_jobs_are_left_out_and_counted() -> None:
    trace = _read(
        JOB,
        _with(f11="5", f4="0"),
        _with(f11="5", f4="-1"),
        _with(f4="-1"),
        _with(f5="0", f8="-1"),
        _with(f11="2"),
        _with(f11="4"),
    )
    assert len(trace.jobs) == 1
    assert trace.left_out == {
        "never ran": 2,
        "run time or processors unknown": 2,
        "a part of another": 2,
    }


def test_a_job_that_was_canceled_while_it_ran_counts() -> None:
    assert len(_read(_with(f11="5")).jobs) == 1


def test_jobs_come_by_their_submit_times_and_of_one_moment_as_in_the_file() -> None:
    lines = [
        _with(f1=number, f2=submit) for number, submit in [("1", "9"), ("2", "3"), ("3", "3")]
    ]
    assert [job.number for job in _read(*lines).jobs] == [2, 3, 1]


def test_only_the_first_jobs_are_read_where_only_they_are_wanted() -> None:
    assert len(_read(JOB, JOB, "garbage", most=2).jobs) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 2 3", "it has 3 fields, and a job has 18"),
        (JOB + " 4", "it has 19 fields"),
        (_with(f4="long"), "the run time (field 4) is 'long', which is no number"),
        (_with(f2="-1"), "the submit time (field 2) must be known"),
        (_with(f2="-7"), "the submit time (field 2) is -7; it must be 0 or more, or -1"),
        (_with(f9="nan"), "the requested time (field 9) is nan"),
        (_with(f9="inf"), "the requested time (field 9) is inf"),
        (_with(f8="1e300"), "the requested processors (field 8) is 1e300"),
        (_with(f8="1.5"), "the requested processors (field 8) is 1.5; it must be a whole number"),
        (_with(f8="2000000"), "a job of more than 1,000,000 processors"),
        ("7" * 5000, "it is longer than 4096 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _read("; a comment", JOB, line)
    assert refused.value.message.startswith("trace.swf, line 3: ")
    assert why in refused.value.message
    assert refused.value.hint


def test_a_file_without_jobs_is_no_trace() -> None:
    with pytest.raises(InvalidInput, match="holds no job that ran"):
        _read("; Version: 2.2")


_times = st.integers(0, 10**12)
_jobs = st.builds(
    TraceJob,
    number=st.integers(1, 10**6),
    submit_ms=_times,
    run_ms=_times,
    cpus=st.integers(1, 10**6),
    limit_ms=st.none() | st.integers(1, 10**12),
    memory_bytes=st.none() | st.integers(0, 2**50),
    user=st.just("unknown") | st.integers(0, 10**6).map("u{}".format),
    application=st.just("") | st.integers(0, 10**6).map("a{}".format),
)


@given(st.lists(_jobs, min_size=1, max_size=5), st.none() | st.integers(1, 10**6))
def test_what_was_written_is_read(jobs: list[TraceJob], cpus: int | None) -> None:
    jobs.sort(key=lambda job: job.submit_ms)
    trace = Trace("trace.swf", tuple(jobs), {}, None, cpus)
    assert parse_swf(write_swf(trace), "trace.swf") == trace


@given(st.text(max_size=200))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with suppress(InvalidInput):
        parse_swf(text.splitlines(keepends=True), "trace.swf")
