"""The algebra of domains is exact: it agrees with sets of points, written out."""

from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.domain import (
    ALL,
    Continuous,
    Discrete,
    Domain,
    Index,
    Restriction,
    check_format,
    contains,
    describe,
    describe_all,
    intersect,
    is_empty,
    lacking,
    missing,
    subtract,
    union,
)
from headrace_model.errors import InvalidDomain
from headrace_model.times import Instant, parse_instant

NAMES = "abc"
# ALL is more than any names that can be listed: "*" stands for the others.
EVERYTHING = frozenset((*NAMES, "*"))


def points(restriction: Restriction) -> frozenset[object]:
    if restriction is ALL:
        return EVERYTHING
    if isinstance(restriction, Discrete):
        return frozenset(restriction.values)
    return frozenset(at for begin, end in restriction.intervals for at in range(begin, end))


def names(*values: str) -> Discrete:
    return Discrete(frozenset(values))


def time(begin: str, end: str) -> Continuous:
    return Continuous.of([(parse_instant(begin), parse_instant(end))])


pairs = st.tuples(st.integers(-4, 4), st.integers(1, 5)).map(
    lambda pair: (Instant(pair[0]), Instant(pair[0] + pair[1]))
)
continuous = st.lists(pairs, max_size=4).map(Continuous.of)
discrete: st.SearchStrategy[Restriction] = st.one_of(
    st.just(ALL), st.frozensets(st.sampled_from(NAMES)).map(Discrete)
)
two = st.one_of(st.tuples(continuous, continuous), st.tuples(discrete, discrete))
three = st.one_of(
    st.tuples(continuous, continuous, continuous), st.tuples(discrete, discrete, discrete)
)
not_empty = discrete.filter(lambda r: not is_empty(r))
domains = st.fixed_dictionaries(
    {},
    optional={
        Index.TIME: continuous.filter(lambda r: not r.is_empty),
        Index.GAUGE_ID: not_empty,
        Index.CATCHMENT_ID: not_empty,
    },
).map(Domain.of)


@given(two)
def test_contains_intersect_and_union_agree_with_points(
    both: tuple[Restriction, Restriction],
) -> None:
    one, other = both
    assert contains(one, other) == (points(other) <= points(one))
    assert points(intersect(one, other)) == points(one) & points(other)
    assert points(union(one, other)) == points(one) | points(other)


@given(two)
def test_subtract_agrees_with_points_or_says_that_it_can_not(
    both: tuple[Restriction, Restriction],
) -> None:
    one, other = both
    if one is ALL and other is not ALL and not is_empty(other):
        with pytest.raises(InvalidDomain, match="ALL without"):
            subtract(one, other)
    else:
        assert points(subtract(one, other)) == points(one) - points(other)


@given(three)
def test_the_laws_of_sets_hold(
    three_sets: tuple[Restriction, Restriction, Restriction],
) -> None:
    a, b, c = three_sets
    assert union(a, b) == union(b, a)
    assert intersect(a, b) == intersect(b, a)
    assert union(a, union(b, c)) == union(union(a, b), c)
    assert intersect(a, union(b, c)) == union(intersect(a, b), intersect(a, c))
    assert contains(a, b) == (union(a, b) == a) == (intersect(a, b) == b)


@given(st.lists(pairs, max_size=5))
def test_intervals_have_one_canonical_form(some: list[tuple[Instant, Instant]]) -> None:
    built = Continuous.of(some)
    assert built == Continuous.of(reversed(some)) == Continuous(built.intervals)
    ends = [end for _, end in built.intervals[:-1]]
    assert all(end < begin for end, (begin, _) in zip(ends, built.intervals[1:], strict=True))


@given(two)
def test_what_is_lacking_is_nothing_exactly_if_all_is_contained(
    both: tuple[Restriction, Restriction],
) -> None:
    want, have = both
    lack = lacking(want, have)
    assert (lack is None) == contains(have, want)
    assert lacking(want, None) == want
    if lack is not None:
        assert points(want) - points(have) <= points(lack) <= points(want)


@given(domains, domains)
def test_a_domain_contains_another_exactly_if_nothing_is_missing(
    one: Domain, other: Domain
) -> None:
    assert one.contains(other) == (missing(other, one) == {})
    if list(one) == list(other):
        assert one.contains(other) == (corners(other) <= corners(one))


@given(domains, domains)
def test_a_union_of_domains_is_exact_or_refused(one: Domain, other: Domain) -> None:
    both = one.unite(other)
    if list(one) != list(other):
        assert both is None
    else:
        exact = corners(one) | corners(other)
        box = Domain.of({index: union_of(one, other, index) for index in one})
        assert (both is not None) == (corners(box) == exact)
        assert both is None or corners(both) == exact


def test_a_union_that_differs_in_two_indexes_is_refused() -> None:
    one = Domain.of({Index.TIME: time("1979-01-01", "1980-01-01"), Index.GAUGE_ID: names("a")})
    other = Domain.of({Index.TIME: time("1980-01-01", "1981-01-01"), Index.GAUGE_ID: names("b")})
    assert one.unite(other) is None
    assert one.unite(other.replacing(Index.GAUGE_ID, names("a"))) is not None


def union_of(one: Domain, other: Domain, index: Index) -> Restriction:
    mine, theirs = one.get(index), other.get(index)
    assert mine is not None
    assert theirs is not None
    return union(mine, theirs)


def corners(domain: Domain) -> set[tuple[object, ...]]:
    return set(product(*(points(restriction) for _, restriction in domain.restrictions)))


@given(domains)
def test_a_domain_reads_back_as_written(domain: Domain) -> None:
    again = Domain.from_plain(domain.to_plain())
    assert again == domain
    assert hash(again) == hash(domain)


def test_the_end_of_an_interval_is_not_inside() -> None:
    year = time("1979-01-01", "1980-01-01")
    assert not year.contains(time("1979-12-31", "1980-01-01T00:00:00.001Z"))
    assert year.intersect(time("1980-01-01", "1981-01-01")).is_empty
    assert year.union(time("1980-01-01", "1981-01-01")) == time("1979-01-01", "1981-01-01")


def test_all_is_not_the_empty_set() -> None:
    assert not is_empty(ALL)
    assert not contains(names(), ALL)
    assert not contains(names("cat-1"), ALL)
    assert contains(ALL, names("cat-1"))
    assert lacking(ALL, names("cat-1")) is ALL


def test_an_index_that_is_left_out_is_not_asked_and_not_covered() -> None:
    gauges = Domain.of({Index.GAUGE_ID: names("01472000")})
    assert gauges.contains(Domain())
    assert not Domain().contains(gauges)
    assert missing(gauges, Domain()) == {Index.GAUGE_ID: names("01472000")}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([], "a domain is a mapping"),
        ({"TIMES": ["1979-01-01", "1980-01-01"]}, "did you mean TIME"),
        ({"catchment_id": "cat-1"}, "did you mean CATCHMENT_ID"),
        ({1: "cat-1"}, "not an index"),
        ({"TIME": "1979-01-01"}, "a pair"),
        ({"TIME": "ALL"}, "a pair"),
        ({"TIME": []}, "a pair"),
        ({"TIME": ["1979-01-01"]}, "a pair"),
        ({"TIME": ["1979-01-01", 1980]}, "TIME: '1980' is not a time"),
        ({"TIME": [["1979-01-01", "1980-01-01"], "1981-01-01"]}, "a pair"),
        ({"TIME": ["1979-01-01", "1979-01-01"]}, "is empty"),
        ({"TIME": ["1980-01-01", "1979-01-01"]}, "is empty"),
        ({"GAUGE_ID": []}, "restricted to nothing"),
        ({"GAUGE_ID": ""}, "can't be a name"),
        ({"GAUGE_ID": " 01472000"}, "can't be a name"),
        ({"GAUGE_ID": "a\nb"}, "can't be a name"),
        ({"GAUGE_ID": 422_912}, "in quotes"),
        ({"GAUGE_ID": None}, "not text"),
        ({"GAUGE_ID": [["01472000"]]}, "not text"),
        ({"GAUGE_ID": ["ALL", "01472000"]}, "ALL can't stand among names"),
    ],
)
def test_a_wrong_domain_is_refused_with_its_reason(plain: object, message: str) -> None:
    with pytest.raises(InvalidDomain, match=message):
        Domain.from_plain(plain)


def test_the_forms_of_a_job_file_are_read() -> None:
    domain = Domain.from_plain(
        {
            "HYDROFABRIC_DATA_ID": "drb",
            "TIME": [date(1979, 1, 1), "1981-01-01"],
            "GAUGE_ID": ["01472000", "01434000"],
            "CATCHMENT_ID": "ALL",
        }
    )
    assert domain.to_plain() == {
        "TIME": ["1979-01-01", "1981-01-01"],
        "CATCHMENT_ID": "ALL",
        "HYDROFABRIC_DATA_ID": "drb",
        "GAUGE_ID": ["01434000", "01472000"],
    }
    two_years = [["1979-01-01", "1980-01-01"], ["1985-01-01", "1986-01-01"]]
    assert Domain.from_plain({"TIME": two_years}).to_plain() == {"TIME": two_years}


def test_wrong_states_can_not_be_built() -> None:
    year = time("1979-01-01", "1980-01-01")
    for restrictions in (
        ((Index.GAUGE_ID, year),),
        ((Index.TIME, ALL),),
        ((Index.GAUGE_ID, ALL), (Index.GAUGE_ID, ALL)),
        ((Index.GAUGE_ID, ALL), (Index.TIME, year)),
        ((Index.GAUGE_ID, names()),),
    ):
        with pytest.raises(InvalidDomain):
            Domain(restrictions)
    with pytest.raises(InvalidDomain):
        Continuous(((Instant(0), Instant(1)), (Instant(1), Instant(2))))
    with pytest.raises(InvalidDomain):
        contains(year, ALL)


def test_large_sets_are_described_in_short() -> None:
    many = Discrete(frozenset(f"cat-{number}" for number in range(100_000)))
    assert describe(many) == "cat-0, cat-1 and 99,998 more"
    assert contains(ALL, many)
    assert describe(subtract(many, names("cat-0"))) == "cat-1, cat-10 and 99,997 more"
    assert describe_all({Index.TIME: time("1979-01-01", "1980-01-01T06:00")}) == (
        "TIME 1979-01-01 to 1980-01-01T06:00Z"
    )


@pytest.mark.parametrize("name", ["", "netcdf", "_A", "A-B", "A" * 65, "CSV\n"])
def test_a_format_is_an_upper_case_identifier(name: str) -> None:
    assert check_format("PRMS_NETCDF") == "PRMS_NETCDF"
    with pytest.raises(InvalidDomain):
        check_format(name)
