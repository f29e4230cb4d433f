"""What is claimed of several files is in each of them: against sets of points, by hypothesis."""

import tempfile
from collections.abc import Set
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace_formats.base import FileDomain
from headrace_formats.combine import combine
from headrace_formats.detect import detect_file
from headrace_formats.errors import FormatError
from headrace_formats.series import cover
from headrace_model.domain import Continuous, Discrete, Domain, Index
from headrace_model.times import Instant, parse_instant

Points = frozenset[tuple[int, str]]


def points(domain: Domain) -> Points:
    ids = domain.get(Index.CATCHMENT_ID)
    assert isinstance(ids, Discrete)
    spans = domain.time.intervals if domain.time else ()
    return frozenset(product((t for b, e in spans for t in range(b, e)), ids.values))


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    begin = draw(st.integers(0, 4))
    end = draw(st.integers(begin + 1, 5))
    ids = draw(st.frozensets(st.sampled_from("abc"), min_size=1))
    time = Continuous.of([(Instant(begin), Instant(end))])
    return Domain.of({Index.TIME: time, Index.CATCHMENT_ID: Discrete(ids)})


@given(st.lists(st.tuples(st.sampled_from(["prcp", "tmax"]), domains()), min_size=1, max_size=6))
def test_a_dataset_never_claims_what_a_variable_lacks(files: list[tuple[str, Domain]]) -> None:
    found, notes = combine([FileDomain((file,)) for file in files])
    held: dict[str, Points] = {}
    for variable, domain in files:
        held[variable] = held.get(variable, frozenset()) | points(domain)
    if Index.TIME not in found:
        assert found == Domain()
        assert notes
        return
    for variable in held:
        assert points(found) <= held[variable]
    if not notes:
        times = {t for t, _ in frozenset.intersection(*held.values())}
        ids = {i for _, i in frozenset.intersection(*held.values())}
        assert points(found) == frozenset(product(times, ids))


@given(st.permutations(list(product((0, 1, 2), "abc"))))
def test_tiles_of_time_and_ids_unite_in_any_order(tiles: list[tuple[int, str]]) -> None:
    files = [
        Domain.of(
            {
                Index.TIME: Continuous.of([(Instant(t), Instant(t + 1))]),
                Index.CATCHMENT_ID: Discrete(frozenset(i)),
            }
        )
        for t, i in tiles
    ]
    found, notes = combine([FileDomain((("prcp", each),)) for each in files])
    assert points(found) == frozenset(product(range(3), "abc"))
    assert notes == ()


class Counted(frozenset[str]):
    """A set that counts how many names are copied into unions of two."""

    copied = 0

    def __or__(self, other: Set[Any]) -> "Counted":
        together = Counted(frozenset(self) | other)
        Counted.copied += len(together)
        return together


def test_what_many_files_cover_costs_as_much_as_they_hold() -> None:
    files = 20_000
    time = Continuous.of([(Instant(0), Instant(1))])
    Counted.copied = 0
    found, notes = combine(
        FileDomain((("rain", Domain(((Index.TIME, time), (Index.CATCHMENT_ID, one)))),))
        for one in (Discrete(Counted((f"cat-{number}",))) for number in range(files))
    )
    assert (found.time, notes) == (time, ())
    ids = found.get(Index.CATCHMENT_ID)
    assert isinstance(ids, Discrete)
    assert len(ids.values) == files
    assert Counted.copied <= files


def timed(begin: int, end: int) -> FileDomain:
    time = Continuous.of([(Instant(begin), Instant(end))])
    return FileDomain((("rain", Domain.of({Index.TIME: time})),))


def test_pieces_without_ids_unite_only_if_apart() -> None:
    assert combine([timed(0, 2), timed(2, 4)])[0].time == Continuous(((Instant(0), Instant(4)),))
    found, notes = combine([timed(0, 3), timed(2, 4)])
    assert found.time == Continuous(((Instant(2), Instant(3)),))
    assert notes
    assert combine([timed(0, 2), timed(0, 2), timed(2, 4)])[0] == Domain()


def test_an_index_that_one_file_hides_is_left_out() -> None:
    hidden = FileDomain(unknown=frozenset((Index.TIME,)))
    assert combine([timed(0, 2), hidden])[0] == Domain()


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12, unique=True))
def test_a_series_covers_its_stamps_and_no_more_than_its_median_step(times: list[int]) -> None:
    stamps = [Instant(each) for each in sorted(times)]
    steps = sorted(b - a for a, b in pairwise(stamps))
    step = steps[(len(steps) - 1) // 2]
    found = cover(stamps, "time").time
    assert found is not None
    covered = {t for b, e in found.intervals for t in range(b, e)}
    assert covered == {stamp + past for stamp in stamps for past in range(step)}


def test_months_and_years_end_on_the_calendar() -> None:
    for texts, end in (
        (("1979-01-01", "1979-02-01", "1979-03-01"), "1979-04-01"),
        (("1978-12-01", "1979-12-01", "1980-12-01"), "1981-12-01"),
    ):
        found = cover([parse_instant(text) for text in texts], "time")
        assert found.time == Continuous(((parse_instant(texts[0]), parse_instant(end)),))


GOOD = (
    b"time,rain,01234567\n2015-01-01,1,2\n2015-01-02,3,\n",
    b"numpy==2.1.0 --hash=sha256:" + b"a" * 64 + b"\n",
)


@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 90), st.binary(max_size=3)), max_size=4),
    st.integers(0, 100),
    st.sampled_from([None, "TIMESERIES_CSV", "PIP_LOCK", "PRMS_NETCDF"]),
)
def test_a_damaged_text_is_read_or_refused_and_nothing_else(
    good: bytes, changes: list[tuple[int, bytes]], cut: int, wanted: str | None
) -> None:
    data = bytearray(good)
    for at, new in changes:
        data[at : at + len(new)] = new
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(data[:cut])
        try:
            detect_file(path, wanted)
        except FormatError:
            assert wanted is not None
