"""Instants are read exactly or refused, and written in one canonical way."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, format_instant, instant_of, parse_instant

instants = st.integers(-62_135_596_800_000, 253_402_300_799_999).map(Instant)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("1979-01-01", 283_996_800_000),
        ("1979-01-01T06:00", 284_018_400_000),
        ("1979-01-01T06:00Z", 284_018_400_000),
        ("1979-01-01 06:00:00", 284_018_400_000),
        ("1979-01-01T06:00:00.25Z", 284_018_400_250),
        ("1979-01-01T06:00+01:00", 284_014_800_000),
        ("1979-01-01T06:00-0130", 284_023_800_000),
        ("1979-01-01T06:00:00.000000000Z", 284_018_400_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_iso_8601_is_read_as_utc(text: str, milliseconds: int) -> None:
    assert parse_instant(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1979",
        "1979-1-1",
        "1979-02-29",
        "1979-13-01",
        "0000-01-01",
        "1979-01-01T24:00",
        "1979-01-01T23:60",
        "1979-06-30T23:59:60Z",
        "1979-01-01T06:00:00.0001Z",
        "1979-01-01T06:00+24:00",
        "1979-01-01 ",
        "1979-01-01\n",
        "\uff11979-01-01",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "yesterday",
    ],
)
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1979-01-01T00:00:00.000Z", "1979-01-01"),
        ("1979-01-01T06:00:00Z", "1979-01-01T06:00Z"),
        ("1979-01-01T06:00:07Z", "1979-01-01T06:00:07Z"),
        ("1979-01-01T00:00:00.5Z", "1979-01-01T00:00:00.500Z"),
        ("1978-12-31T23:00-01:00", "1979-01-01"),
    ],
)
def test_the_canonical_text_is_the_shortest_exact_one(text: str, canonical: str) -> None:
    assert format_instant(parse_instant(text)) == canonical


@given(instants)
def test_every_instant_reads_back_as_written(instant: Instant) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(instants)
def test_the_text_agrees_with_the_standard_library(instant: Instant) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    assert parse_instant(moment.isoformat()) == instant
    assert instant_of(moment) == instant


def test_an_instant_out_of_the_years_can_not_be_written() -> None:
    with pytest.raises(InvalidInput):
        format_instant(Instant(253_402_300_800_000))


def test_dates_and_datetimes_from_yaml_are_taken_as_utc() -> None:
    assert instant_of(date(1970, 1, 2)) == 86_400_000
    assert instant_of(datetime(1970, 1, 1, 1)) == 3_600_000  # noqa: DTZ001 -- YAML's are naive
    east = timezone(timedelta(hours=1))
    assert instant_of(datetime(1970, 1, 1, 1, tzinfo=east)) == 0
    with pytest.raises(InvalidInput):
        instant_of(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
