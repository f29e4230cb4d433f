"""Samples as values: how many are kept, their lines, and what they come to."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headrace_model.usage import Sample, Total, thinned, total_of, total_of_all
from headrace_wire.usage import LIMIT, LIMIT_BYTES, read_samples, write_sample

PACE_MS = 5_000
MONTH_MS = 30 * 86_400_000


def sample(at_ms: int, memory: int = 0, cpu_ms: int | None = None) -> Sample:
    return Sample(at_ms, at_ms if cpu_ms is None else cpu_ms, memory, 0, 0)


samples = st.builds(
    lambda memories, pace: [sample(n * pace, memory) for n, memory in enumerate(memories)],
    st.lists(st.integers(0, 2**40), min_size=1, max_size=100),
    st.integers(1, 10**7),
)


@given(samples, st.integers(4, 20))
def test_thinning_keeps_the_newest_the_last_and_the_peak(taken: list[Sample], limit: int) -> None:
    kept = thinned(taken, limit)
    assert len(kept) <= limit
    assert kept[-(limit // 4) :] == tuple(taken)[-(limit // 4) :]
    assert {each.at_ms for each in kept} <= {each.at_ms for each in taken}
    assert total_of(kept).peak_memory_bytes == total_of(taken).peak_memory_bytes
    if len(taken) > limit:
        assert len(kept) <= limit * 3 // 4, "else every new sample would rewrite the file"


def test_thinning_hides_no_peak() -> None:
    for peak in range(100):
        taken = [sample(n * PACE_MS, 9 if n == peak else 1) for n in range(100)]
        assert total_of(thinned(taken, 8)).peak_memory_bytes == 9


def test_a_month_of_samples_stays_small_and_covers_the_month() -> None:
    kept: list[Sample] = []
    pace_ms = 10 * PACE_MS
    for at_ms in range(0, MONTH_MS, pace_ms):
        kept.append(sample(at_ms))
        if len(kept) > LIMIT:
            kept = list(thinned(kept, LIMIT))
    assert LIMIT // 4 < len(kept) <= LIMIT
    assert kept[-1].at_ms == MONTH_MS - pace_ms
    longest_ms = max(after.at_ms - before.at_ms for before, after in pairwise(kept))
    assert longest_ms < MONTH_MS / 100
    assert kept[0].at_ms < MONTH_MS / 100


whole = st.integers(0, 10**15)
counted = st.none() | whole


@given(st.builds(Sample, whole, whole, whole, whole, whole, counted, counted))
def test_a_line_is_read_as_it_was_written(one: Sample) -> None:
    assert read_samples(write_sample(one)) == (one,)


def test_the_longest_file_fits_in_what_is_read() -> None:
    big = 10**16
    longest = write_sample(Sample(big, big, big, big, big, big, big))
    assert LIMIT * len(longest) < LIMIT_BYTES


def test_torn_damaged_and_doubled_lines_are_passed_over() -> None:
    first, second = sample(1_000, 5), sample(2_000, 6)
    lines = [
        write_sample(first), "12 no 3 4 5 - -\n", "1500 1 1\n", write_sample(first), "\n",
        write_sample(second), write_sample(sample(3_000))[:-1],
    ]  # fmt: skip
    assert read_samples("".join(lines)) == (first, second)


def test_a_total_is_the_end_the_mean_and_the_peak() -> None:
    taken = [sample(1_000, 10, 500), sample(2_000, 30, 2_000), sample(3_000, 0, 4_500)]
    assert total_of(taken) == Total(4_500, 2_000, 30)
    assert total_of(taken[:1]) == Total(500, None, 10)
    assert total_of([]) == Total(None, None, None)
    both = total_of_all([total_of(taken), total_of(taken[:1]), total_of([])])
    assert both == Total(5_000, 2_000, 40)
    assert total_of_all([]) == Total(None, None, None)


def test_samples_are_added_up() -> None:
    one, other = Sample(1, 2, 3, 4, 5, None, 7), Sample(8, 1, 1, 1, 1, None, None)
    assert one.plus(other) == Sample(8, 3, 4, 5, 6, None, 7)
