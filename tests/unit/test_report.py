"""What is told of an attempt's use of what it asked."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace_model.report import Used, advice
from headrace_model.resources import Resources

MIB, GIB = 2**20, 2**30
MINUTE = 60_000


def _used(**changed: object) -> Used:
    plain: dict[str, object] = {
        "asked": Resources(2_000, GIB),
        "time_limit_ms": 10 * MINUTE,
        "run_ms": 6 * MINUTE,
        "cpu_ms": 11 * MINUTE,
        "peak_memory_bytes": 700 * MIB,
    }
    return Used(**(plain | changed))  # type: ignore[arg-type] # test data by keyword


def test_who_asked_well_is_told_nothing() -> None:
    assert advice(_used()) == ()


def test_each_thing_that_was_asked_too_much_or_too_little_has_a_sentence() -> None:
    (much,) = advice(_used(peak_memory_bytes=200 * MIB))
    assert "200.0 MiB of 1.0 GiB" in much
    assert "`resources.memory: 256MiB`" in much
    (little,) = advice(_used(peak_memory_bytes=1020 * MIB))
    assert "ask for 1280MiB" in little
    (cpus,) = advice(_used(asked=Resources(4_000, GIB), cpu_ms=4 * MINUTE))
    assert "it used 0.7 of 4 CPUs on average: `resources.cpus: 1` would do" in cpus
    (time,) = advice(_used(time_limit_ms=60 * MINUTE))
    assert "it ran 6m of 1h: with `limits.time: 10m`" in time
    (none,) = advice(_used(time_limit_ms=None))
    assert "no time limit: with `limits.time: 10m`" in none


def test_a_file_that_asks_too_little_memory_is_told_of_though_its_last_attempt_had_enough() -> (
    None
):
    raised = _used(
        asked=Resources(2_000, 100 * MIB), peak_memory_bytes=int(93.5 * MIB),
        raised_from_bytes=50 * MIB,
    )  # fmt: skip
    (told,) = advice(raised)
    assert "ran out of the 50.0 MiB" in told
    assert "used 93.5 MiB of 100.0 MiB" in told
    assert "`resources.memory: 128MiB`" in told
    for less in (30 * MIB, None):  # not more than failed: then what it had
        (told,) = advice(replace(raised, peak_memory_bytes=less))
        assert "`resources.memory: 100MiB`" in told


def test_what_earlier_runs_needed_counts_too() -> None:
    assert advice(_used(peak_memory_bytes=200 * MIB, learned_memory_bytes=800 * MIB)) == ()
    assert advice(_used(time_limit_ms=60 * MINUTE, learned_run_ms=40 * MINUTE)) == ()


@given(st.builds(
    Used,
    st.builds(Resources, st.integers(1, 64_000), st.integers(MIB, 512 * GIB)),
    st.none() | st.integers(1, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**10),
    st.none() | st.integers(0, 2**40),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 2**40),
))  # fmt: skip
def test_nothing_that_is_proposed_would_have_been_too_little(used: Used) -> None:
    for told in advice(used):
        if "MiB` would do" in told:
            proposed = int(told.split("resources.memory: ")[1].split("MiB")[0]) * MIB
            assert (used.peak_memory_bytes or 0) <= proposed < used.asked.memory_bytes
        if "resources.cpus" in told:
            proposed = int(told.split("resources.cpus: ")[1].split("`")[0]) * 1000
            assert (used.cpu_ms or 0) <= (used.run_ms or 0) * proposed / 1000 + (used.run_ms or 0)
            assert proposed < used.asked.millicpus
