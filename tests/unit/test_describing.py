"""Declared and detected domains are merged exactly, or the mismatch is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_data.core.describing import merged_domain, merged_format, united_domain
from headrace_data.core.naming import Filter, check_new_name, page
from headrace_data.errors import DomainMismatch
from headrace_model.dataset import Category, Dataset
from headrace_model.domain import ALL, Continuous, Discrete, Domain, Index
from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import DatasetId
from headrace_model.times import Instant

INDEXES = (Index.GAUGE_ID, Index.DATA_ID, Index.CATCHMENT_ID)
NAMES = st.frozensets(st.sampled_from("abc"), min_size=1).map(Discrete)
DOMAINS = st.dictionaries(st.sampled_from(INDEXES), NAMES).map(Domain.of)


@given(DOMAINS, DOMAINS)
def test_a_merge_keeps_what_the_files_hold_and_adds_what_they_do_not_tell(
    declared: Domain, detected: Domain
) -> None:
    agrees = all(
        index not in detected or declared.get(index).values <= detected.get(index).values  # type: ignore[union-attr]
        for index in declared
    )
    if not agrees:
        with pytest.raises(DomainMismatch):
            merged_domain(declared, detected)
        return
    merged = merged_domain(declared, detected)
    assert merged.contains(declared)
    assert all(merged.get(index) == detected.get(index) for index in detected)
    assert set(merged) == {*declared, *detected}


@given(st.lists(DOMAINS, min_size=1, max_size=4))
def test_what_several_nodes_cover_claims_no_point_that_none_has(parts: list[Domain]) -> None:
    whole = united_domain(parts)
    named = [index for index in INDEXES if index in whole]
    points: list[dict[Index, str]] = [{}]
    for index in named:
        restriction = whole.get(index)
        assert isinstance(restriction, Discrete)
        points = [{**point, index: name} for point in points for name in restriction.values]
    for point in points:
        wanted = Domain.of({index: Discrete(frozenset({name})) for index, name in point.items()})
        assert any(part.contains(wanted) for part in parts)


def _pair_by_pair(parts: list[Domain]) -> Domain:
    whole = parts[0] if parts else Domain()
    for part in parts[1:]:
        alike = {index: have for index, have in whole.restrictions if part.get(index) == have}
        whole = whole.unite(part) or Domain.of(alike)
    return whole


TIMES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3)).map(lambda at: (at[0], at[0] + at[1])),
    min_size=1,
    max_size=2,
).map(lambda pairs: Continuous.of((Instant(one), Instant(end)) for one, end in pairs))
NAMES_OR_ALL = st.one_of(st.just(ALL), NAMES)
TIMED = st.fixed_dictionaries(
    {Index.CATCHMENT_ID: NAMES_OR_ALL},
    optional={Index.TIME: TIMES, Index.GAUGE_ID: NAMES_OR_ALL},
).map(Domain.of)


@given(st.lists(TIMED, max_size=6))
def test_many_parts_unite_as_they_would_one_after_another(parts: list[Domain]) -> None:
    assert united_domain(parts) == _pair_by_pair(parts)


def test_ten_thousands_of_parts_are_united_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each union copies the whole: one for all parts, not one a part."""
    parts = [
        Domain.from_plain({"TIME": ["1979-01-01", "1980-01-01"], "CATCHMENT_ID": f"cat-{number}"})
        for number in range(15_000)
    ]
    longer = Domain.from_plain({"TIME": ["1979-01-01", "1981-01-01"], "CATCHMENT_ID": "cat-1"})
    made: list[Index] = []
    replacing = Domain.replacing
    monkeypatch.setattr(
        Domain, "replacing", lambda *args: made.append(args[1]) or replacing(*args)
    )
    whole = united_domain(parts)
    ids = whole.get(Index.CATCHMENT_ID)
    assert isinstance(ids, Discrete)
    assert len(ids.values) == 15_000
    assert united_domain([*parts, longer]) == Domain()
    assert made == [Index.CATCHMENT_ID] * 2


def test_the_mismatch_says_what_is_missing() -> None:
    declared = Domain.from_plain({"TIME": ["1979-01-01", "1981-01-01"]})
    detected = Domain.from_plain({"TIME": ["1979-01-01", "1980-01-01"]})
    with pytest.raises(DomainMismatch, match="1980-01-01 to 1981-01-01 is missing"):
        merged_domain(declared, detected)
    with pytest.raises(DomainMismatch, match="declared as ALL, but the files hold g "):
        merged_domain(Domain.from_plain({"GAUGE_ID": "ALL"}), Domain.from_plain({"GAUGE_ID": "g"}))


@pytest.mark.parametrize(
    ("declared", "detected", "merged"),
    [(None, None, "GENERIC"), (None, "CSV", "CSV"), ("GENERIC", "CSV", "CSV"),
     ("CSV", None, "CSV"), ("CSV", "", "CSV"), ("CSV", "GENERIC", "CSV"), ("CSV", "CSV", "CSV")],
)  # fmt: skip
def test_formats_are_merged(declared: str | None, detected: str | None, merged: str) -> None:
    assert merged_format(declared, detected) == merged


def test_formats_that_differ_are_named() -> None:
    with pytest.raises(DomainMismatch, match="NETCDF, not CSV"):
        merged_format("CSV", "NETCDF")


@pytest.mark.parametrize(
    "name", ["01k3m5p7q9r1s3t5", "01k3m5p7q9r1s3t5.1.flow", "run-flow-01k3m5p7q9r1s3t5", "a/b"]
)
def test_names_that_headrace_gives_are_kept_free(name: str) -> None:
    with pytest.raises(InvalidName):
        check_new_name(name)


@pytest.mark.parametrize("name", ["drb", "drb-2020-01-01", "a-precipitation1979"])
def test_ordinary_names_are_free(name: str) -> None:
    assert check_new_name(name) == name


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 5))
def test_pages_hold_every_dataset_once(times: list[int], limit: int) -> None:
    datasets = [
        Dataset(DatasetId(f"d{at}"), "n", 1, Category.CONFIG, "CSV", Domain(), "ann", time)
        for at, time in enumerate(times)
    ]
    ordered = sorted(datasets, key=lambda each: (each.created_ms, each.id), reverse=True)
    seen: list[Dataset] = []
    cursor: str | None = ""
    while cursor is not None:
        found, cursor = page(ordered, Filter(), limit, cursor)
        assert len(found) <= limit
        seen += found
    assert seen == ordered


def test_a_made_up_cursor_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        page([], Filter(), 1, "yesterday")
