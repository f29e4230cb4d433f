"""Sizes, durations and CPU counts: exact both ways, and clear about what is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput
from headrace_model.units import (
    MAX_DURATION_MS,
    MAX_MILLICPUS,
    MAX_SIZE_BYTES,
    cpus_text,
    duration_text,
    parse_cpus,
    parse_duration,
    parse_size,
    rough_size,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("4GiB", 4 * 2**30),
        ("500MB", 500_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("1kb", 1000),
        ("0.5KiB", 512),
        ("7B", 7),
        ("0B", 0),
        ("999999.999999PB", None),
    ],
)
def test_a_size_is_an_exact_number_of_bytes(text: str, size_bytes: int | None) -> None:
    if size_bytes is None:
        with pytest.raises(InvalidInput, match="is more than 1024PiB"):
            parse_size(text)
    else:
        assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4", "has no unit; write for example 4MiB"),
        ("1.5", "has no unit"),
        ("4Gi", "'Gi' is not a unit of size"),
        ("4 XB", "'XB' is not a unit of size"),
        ("0.0001KiB", "not a whole number of bytes"),
        ("-4GiB", "is not a size"),
        ("4  GiB", "is not a size"),
        ("", "is not a size"),
        ("٤GiB", "is not a size"),
        ("1e3MB", "is not a size"),
        ("9" * 100_000, "is not a size"),
    ],
)
def test_a_wrong_size_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        parse_size(text)
    assert len(str(caught.value)) < 300


@given(st.integers(0, MAX_SIZE_BYTES))
def test_a_size_survives_writing_and_reading(size_bytes: int) -> None:
    assert parse_size(size_text(size_bytes)) == size_bytes


@given(st.integers(0, 1023), st.sampled_from(["KiB", "MiB", "GiB", "TiB"]))
def test_a_size_is_written_with_the_unit_that_people_used(count: int, unit: str) -> None:
    text = f"{count}{unit}" if count else "0B"
    assert size_text(parse_size(text)) == text


def test_rough_sizes_are_for_people() -> None:
    assert [rough_size(each) for each in (7, 1536, 3 * 2**29)] == ["7 B", "1.5 KiB", "1.5 GiB"]


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("30m", 1_800_000),
        ("10s", 10_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("2d", 172_800_000),
        ("1.5h", 5_400_000),
        ("1m250ms", 60_250),
        ("0s", 0),
    ],
)
def test_a_duration_is_an_exact_number_of_milliseconds(text: str, duration_ms: int) -> None:
    assert parse_duration(text) == duration_ms


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30", "has no unit; write for example 30s"),
        ("30m1h", "is not a duration"),
        ("1m1m", "is not a duration"),
        ("1h 30m", "is not a duration"),
        ("0.5ms", "not a whole number of milliseconds"),
        ("-1s", "is not a duration"),
        ("", "is not a duration"),
        ("3661d", "is more than 3660d"),
    ],
)
def test_a_wrong_duration_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_duration(text)


@given(st.integers(0, MAX_DURATION_MS))
def test_a_duration_survives_writing_and_reading(duration_ms: int) -> None:
    assert parse_duration(duration_text(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("value", "millicpus"),
    [(2, 2000), (0.5, 500), (0.1, 100), (1.001, 1001), ("500m", 500), ("1.50", 1500), ("2", 2000)],
)
def test_cpus_are_exact_millicpus(value: float | str, millicpus: int) -> None:
    assert parse_cpus(value) == millicpus


@pytest.mark.parametrize("value", [0.0005, "1.2345", "1.5m", -1, "x", float("nan"), 1e30, "0x2"])
def test_cpus_that_are_no_thousandths_are_refused(value: float | str) -> None:
    with pytest.raises(InvalidInput, match=r"CPU"):
        parse_cpus(value)


@given(st.integers(0, MAX_MILLICPUS))
def test_cpus_survive_writing_and_reading(millicpus: int) -> None:
    assert parse_cpus(cpus_text(millicpus)) == millicpus
    assert parse_cpus(millicpus / 1000) == millicpus


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_cpus):
        with contextlib.suppress(InvalidInput):
            assert parse(text) >= 0
