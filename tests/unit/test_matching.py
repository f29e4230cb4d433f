"""Matching finds data exactly where brute force over written-out points finds it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_data.core.entry import dataset_entry
from headrace_data.core.matching import Matcher
from headrace_data.core.timeline import Timeline
from headrace_kinds.derivation import Plan, Recipe, Step, derivation_key
from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.domain import ALL, Continuous, Discrete, Domain, Index, Restriction, union
from headrace_model.errors import Conflict
from headrace_model.ids import DatasetId, JobId
from headrace_model.people import Level, Share, User, UserRole
from headrace_model.requirement import Fulfilment, Miss, Promise, Promised, Requirement, Shape
from headrace_model.times import Instant
from headrace_model.visible import reader_keys, readers_of

NOW = 1_000
ADA = readers_of("ada", ())


def dataset(
    id_: str, domain: Domain | dict[str, object], format_: str = "CSV", **fields: object
) -> Dataset:
    plain = domain if isinstance(domain, Domain) else Domain.from_plain(domain)
    made = Dataset(
        id=DatasetId(id_),
        name=f"run-{id_}",
        version=1,
        category=Category.OUTPUT,
        format=format_,
        domain=plain,
        owner="ada",
        created_ms=1,
        state=DatasetState.SEALED,
        sealed_ms=2,
        manifest_sha256="0" * 64,
    )
    return replace(made, **fields)


def fabric(name: str, *catchments: str) -> Dataset:
    domain = {"HYDROFABRIC_DATA_ID": name, "CATCHMENT_ID": list(catchments)}
    return dataset(f"fabric-{name}", domain, category=Category.HYDROFABRIC)


def wanting(domain: Domain | dict[str, object], format_: str | None = "CSV") -> Requirement:
    plain = domain if isinstance(domain, Domain) else Domain.from_plain(domain)
    return Requirement("flow", Category.OUTPUT, format_, plain)


def matcher(*datasets: Dataset) -> Matcher:
    made = Matcher()
    for each in datasets:
        made.add(each)
    return made


def ids(found: object) -> list[str]:
    assert isinstance(found, Fulfilment)
    return list(found.datasets)


# --- brute force -------------------------------------------------------------------------------

NAMES = "abcd"
pairs = st.tuples(st.integers(-2, 5), st.integers(1, 4)).map(
    lambda pair: (Instant(pair[0]), Instant(pair[0] + pair[1]))
)
times = st.lists(pairs, min_size=1, max_size=2).map(Continuous.of)
some_names: st.SearchStrategy[Restriction] = st.one_of(
    st.just(ALL), st.frozensets(st.sampled_from(NAMES), min_size=1).map(Discrete)
)
domains = st.fixed_dictionaries(
    {},
    optional={Index.TIME: times, Index.GAUGE_ID: some_names, Index.DATA_ID: some_names},
).map(Domain.of)
fields = st.tuples(
    domains,
    st.sampled_from(["CSV", "NETCDF"]),
    st.integers(0, 3),  # created_ms
    st.sampled_from([None, NOW, NOW + 1]),  # expires_ms
)
catalogues = st.lists(fields, max_size=6).map(
    lambda rows: [
        dataset(str(place), domain, format_, created_ms=created, expires_ms=expires)
        for place, (domain, format_, created, expires) in enumerate(rows)
    ]
)


def points(restriction: Restriction) -> frozenset[object]:
    if restriction is ALL:
        return frozenset((*NAMES, "*"))
    if isinstance(restriction, Discrete):
        return frozenset(restriction.values)
    return frozenset(at for begin, end in restriction.intervals for at in range(begin, end))


def covers(have: Domain, want: Domain, besides: Index | None = None) -> bool:
    return all(
        (held := have.get(index)) is not None and points(asked) <= points(held)
        for index, asked in want.restrictions
        if index is not besides
    )


def among(domain: Domain, want: Domain) -> Domain:
    """What a domain says of the indexes that `want` names."""
    return Domain.of({index: restriction(domain, index) for index, _ in want.restrictions})


def candidates(catalogue: list[Dataset], wanted: Requirement) -> list[Dataset]:
    return [
        each
        for each in catalogue
        if (wanted.format is None or each.format == wanted.format)
        and (each.expires_ms is None or each.expires_ms > NOW)
    ]


def union_exists(catalogue: list[Dataset], wanted: Requirement) -> bool:
    for format_, (index, asked) in product(("CSV", "NETCDF"), wanted.domain.restrictions):
        parts = [
            points(held)
            for each in candidates(catalogue, wanted)
            if each.format == format_
            and covers(each.domain, wanted.domain, besides=index)
            and (held := each.domain.get(index)) is not None
        ]
        if parts and asked is not ALL and points(asked) <= frozenset().union(*parts):
            return True
    return False


@settings(max_examples=200)
@given(
    catalogues,
    domains,
    st.sampled_from(["CSV", None]),
    st.sampled_from(Shape),
    st.randoms(use_true_random=False),
)
def test_matching_agrees_with_brute_force(
    catalogue: list[Dataset],
    want: Domain,
    format_: str | None,
    shape: Shape,
    shuffle: random.Random,
) -> None:
    wanted = replace(wanting(want, format_), shape=shape)
    found = matcher(*catalogue).match(wanted, NOW, ADA)
    alone = [each for each in candidates(catalogue, wanted) if covers(each.domain, want)]
    if shape is Shape.EXACT:
        alone = [each for each in alone if covers(want, among(each.domain, want))]
    if alone:
        best = min(alone, key=lambda each: (-each.created_ms, each.id))
        assert ids(found) == [best.id]
    elif shape is Shape.ANY and union_exists(catalogue, wanted):
        assert_exact_union(found, catalogue, want)
    else:
        assert_true_miss(found, catalogue, wanted)
    shuffled = list(catalogue)
    shuffle.shuffle(shuffled)
    assert matcher(*shuffled).match(wanted, NOW, ADA) == found


def assert_exact_union(found: object, catalogue: list[Dataset], want: Domain) -> None:
    assert isinstance(found, Fulfilment)
    assert found.over is not None
    parts = [next(each for each in catalogue if each.id == id_) for id_ in found.datasets]
    assert len({part.format for part in parts}) == 1
    assert all(covers(part.domain, want, besides=found.over) for part in parts)
    held = [points(restriction(part.domain, found.over)) for part in parts]
    asked = points(restriction(want, found.over))
    assert asked <= frozenset().union(*held)
    if found.over is not Index.TIME:
        for place in range(len(held)):
            others = held[:place] + held[place + 1 :]
            assert not asked <= frozenset().union(*others), "an idle part"


def assert_true_miss(found: object, catalogue: list[Dataset], wanted: Requirement) -> None:
    assert isinstance(found, Miss)
    for index, lack in found.missing:
        assert points(lack) <= points(restriction(wanted.domain, index))
        assert points(lack)
    for near in found.nearest:
        source = next(each for each in catalogue if each.id == near.dataset)
        lacked = dict(near.lacks)
        if wanted.shape is Shape.ANY:
            assert lacked or near.format or not wanted.domain.restrictions
        for index, asked in wanted.domain.restrictions:
            have = source.domain.get(index)
            assert (index in lacked) == (have is None or not points(asked) <= points(have))


def restriction(domain: Domain, index: Index) -> Restriction:
    found = domain.get(index)
    assert found is not None
    return found


@settings(max_examples=100)
@given(catalogues, catalogues, domains)
def test_adding_replacing_and_removing_leaves_no_trace(
    first: list[Dataset], second: list[Dataset], want: Domain
) -> None:
    changed = matcher(*first, *second)
    for each in first[len(second) :]:
        changed.remove(each.id)
        changed.remove(each.id)
    fresh = matcher(*second)
    assert changed.match(wanting(want), NOW, ADA) == fresh.match(wanting(want), NOW, ADA)
    changed = matcher(*first)
    changed.replace_all({each.id: each for each in second})
    assert changed.match(wanting(want, None), NOW, ADA) == fresh.match(
        wanting(want, None), NOW, ADA
    )
    assert len(changed) == len(second)


@given(st.lists(pairs, max_size=8), pairs)
@example([(Instant(0), Instant(3)), (Instant(2), Instant(4))], (Instant(0), Instant(4)))
def test_a_union_over_time_has_the_fewest_parts(
    spans: list[tuple[Instant, Instant]], asked: tuple[Instant, Instant]
) -> None:
    spread = [
        dataset(str(place), Domain.of({Index.TIME: Continuous.of([span])}))
        for place, span in enumerate(spans)
    ]
    want = Continuous.of([asked])
    found = matcher(*spread).match(wanting(Domain.of({Index.TIME: want})), NOW, ADA)
    fewest = min(
        (
            mask.bit_count()
            for mask in range(1, 1 << len(spans))
            if Continuous.of(s for bit, s in enumerate(spans) if mask >> bit & 1).contains(want)
        ),
        default=None,
    )
    if fewest is None:
        assert isinstance(found, Miss)
        everything = Continuous.of(spans)
        assert found.missing == ((Index.TIME, want.subtract(everything)),)
    else:
        assert len(ids(found)) == fewest


# --- single rules ------------------------------------------------------------------------------

DRB = {"HYDROFABRIC_DATA_ID": "drb"}


def test_the_newest_then_highest_then_smallest_then_first_is_taken() -> None:
    rows = [
        dataset("a", DRB),
        dataset("b", DRB, size_bytes=9, version=2, created_ms=5),
        dataset("c", DRB, size_bytes=8, version=2, created_ms=5),
        dataset("d", DRB, size_bytes=8, version=2, created_ms=5),
        dataset("e", DRB, size_bytes=1, version=1, created_ms=5),
    ]
    held = matcher(*rows)
    taken = []
    while isinstance(found := held.match(wanting(DRB), NOW, ADA), Fulfilment):
        taken += found.datasets
        held.remove(found.datasets[0])
    assert taken == ["c", "d", "b", "e", "a"]


def test_all_is_never_met_by_one_catchment() -> None:
    for have in ("cat-1", ["cat-1", "cat-2"]):
        held = matcher(dataset("a", {**DRB, "CATCHMENT_ID": have}))
        found = held.match(wanting({**DRB, "CATCHMENT_ID": "ALL"}), NOW, ADA)
        assert isinstance(found, Miss)
        assert found.missing == ((Index.CATCHMENT_ID, ALL),)


def test_all_of_a_known_fabric_means_its_ids() -> None:
    held = matcher(
        dataset("a", {**DRB, "CATCHMENT_ID": "cat-1"}),
        dataset("b", {**DRB, "CATCHMENT_ID": ["cat-2", "cat-3"]}),
    )
    wanted = wanting({**DRB, "CATCHMENT_ID": "ALL"})
    held.add(fabric("drb", "cat-1", "cat-2", "cat-3"))
    assert ids(held.match(wanted, NOW, ADA)) == ["b", "a"]
    held.add(fabric("drb", "cat-1", "cat-4"))
    found = held.match(wanted, NOW, ADA)
    assert isinstance(found, Miss)
    assert "missing CATCHMENT_ID cat-4" in found.sentence


def test_all_of_several_fabrics_is_met_by_all_only() -> None:
    wanted = wanting({"HYDROFABRIC_DATA_ID": ["drb", "hud"], "CATCHMENT_ID": "ALL"})
    held = matcher(
        dataset("a", {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "ALL"}),
        dataset("b", {"HYDROFABRIC_DATA_ID": "hud", "CATCHMENT_ID": "cat-1"}),
    )
    held.add(fabric("drb", "cat-1"))
    assert isinstance(held.match(wanted, NOW, ADA), Miss)
    held.add(dataset("b", {"HYDROFABRIC_DATA_ID": "hud", "CATCHMENT_ID": "ALL"}))
    assert ids(held.match(wanted, NOW, ADA)) == ["a", "b"]


def test_all_of_another_fabric_does_not_cover_ids_that_name_no_fabric() -> None:
    held = matcher(dataset("a", {**DRB, "CATCHMENT_ID": "ALL"}))
    assert ids(held.match(wanting({**DRB, "CATCHMENT_ID": "cat-1"}), NOW, ADA)) == ["a"]
    assert isinstance(held.match(wanting({"CATCHMENT_ID": "cat-1"}), NOW, ADA), Miss)
    held.add(fabric("drb", "cat-1"))
    assert ids(held.match(wanting({"CATCHMENT_ID": "cat-1"}), NOW, ADA)) == ["a"]
    assert isinstance(held.match(wanting({"CATCHMENT_ID": "cat-2"}), NOW, ADA), Miss)


def test_a_union_never_mixes_formats_or_spans_two_indexes() -> None:
    early, late = ["1979-01-01", "1980-01-01"], ["1980-01-01", "1981-01-01"]
    both = {"TIME": ["1979-01-01", "1981-01-01"], "GAUGE_ID": ["1", "2"]}
    mixed = matcher(
        dataset("a", {**both, "TIME": early}), dataset("b", {**both, "TIME": late}, "NETCDF")
    )
    assert isinstance(mixed.match(wanting(both, None), NOW, ADA), Miss)
    corners = [
        dataset(f"{gauge}{at}", {"TIME": time, "GAUGE_ID": gauge})
        for gauge in "12"
        for at, time in enumerate((early, late))
    ]
    assert isinstance(matcher(*corners).match(wanting(both), NOW, ADA), Miss)


def test_another_category_does_not_match() -> None:
    held = matcher(dataset("a", DRB, category=Category.FORCING))
    found = held.match(wanting(DRB), NOW, ADA)
    assert isinstance(found, Miss)
    assert found.nearest == ()


def test_data_that_is_not_sealed_is_refused() -> None:
    for state in (DatasetState.OPEN, DatasetState.TOMBSTONED):
        with pytest.raises(Conflict):
            Matcher().add(dataset("a", DRB, state=state))


def test_a_promise_counts_only_where_no_dataset_serves() -> None:
    held = Matcher()
    domain = Domain.from_plain(DRB)
    for job in ("b", "a"):
        held.promise(Promise(JobId(job), "flow", Category.OUTPUT, "CSV", domain, "ada"))
    found = held.match(wanting(DRB), NOW, ADA)
    assert isinstance(found, Promised)
    assert found.promise.job == "a"
    assert found.why == "output flow of job a will cover it"
    held.add(dataset("x", DRB))
    assert ids(held.match(wanting(DRB), NOW, ADA)) == ["x"]
    held.remove(DatasetId("x"))
    held.withdraw(JobId("a"))
    held.withdraw(JobId("a"))
    found = held.match(wanting(DRB), NOW, ADA)
    assert isinstance(found, Promised)
    assert found.promise.job == "b"


def test_a_job_waits_for_older_jobs_only() -> None:
    held = Matcher()
    held.promise(Promise(JobId("5"), "o", Category.OUTPUT, "CSV", Domain.from_plain(DRB), "ada"))
    assert isinstance(held.match(wanting(DRB), NOW, ADA, for_job=JobId("4")), Miss)
    assert isinstance(held.match(wanting(DRB), NOW, ADA, for_job=JobId("5")), Miss)
    assert isinstance(held.match(wanting(DRB), NOW, ADA, for_job=JobId("6")), Promised)


_STILL_OPEN = {"HYDROFABRIC_DATA_ID": "drb"}
_IN_TIME = {**_STILL_OPEN, "TIME": ["1980-01-01", "1981-01-01"]}


@pytest.mark.parametrize(
    ("declared", "asked", "waits"),
    [
        (_STILL_OPEN, _IN_TIME, True),
        (_STILL_OPEN, {**_IN_TIME, "CATCHMENT_ID": ["1", "2"]}, True),
        (_STILL_OPEN, {"HYDROFABRIC_DATA_ID": "other"}, False),
        ({"TIME": ["1980-01-01", "1980-06-01"]}, _IN_TIME, False),
        ({"CATCHMENT_ID": ["1"]}, {"CATCHMENT_ID": ["1", "2"]}, False),
        ({}, {"CATCHMENT_ID": ["1"], "GAUGE_ID": "ALL"}, True),
    ],
)
def test_what_a_promise_does_not_declare_counts_as_possible(
    declared: dict[str, object], asked: dict[str, object], waits: bool
) -> None:
    held = Matcher()
    domain = Domain.from_plain(declared)
    for number in range(100):  # more than are tried before the index of times
        held.promise(
            Promise(JobId(f"a{number:03}"), "flow", Category.OUTPUT, "CSV", domain, "ada")
        )
    found = held.match(wanting(asked), NOW, ADA, for_job=JobId("b"))
    assert isinstance(found, Promised) is waits
    if isinstance(found, Promised):
        assert found.why == "output flow of job a000 may cover it"
    for number in range(100):
        held.withdraw(JobId(f"a{number:03}"))
    assert isinstance(held.match(wanting(asked), NOW, ADA), Miss)


def test_a_promise_that_declares_all_comes_before_an_older_one_that_may_hold_it() -> None:
    held = Matcher()
    for job, plain in (("a", _STILL_OPEN), ("b", _IN_TIME)):
        domain = Domain.from_plain(plain)
        held.promise(Promise(JobId(job), "flow", Category.OUTPUT, "CSV", domain, "ada"))
    found = held.match(wanting(_IN_TIME), NOW, ADA, for_job=JobId("c"))
    assert isinstance(found, Promised)
    assert found.why == "output flow of job b will cover it"
    found = held.match(wanting(_IN_TIME), NOW, ADA, for_job=JobId("b"))
    assert isinstance(found, Promised)
    assert found.promise.job == "a"
    assert isinstance(held.match(wanting(_IN_TIME), NOW, ADA, for_job=JobId("a")), Miss)


def test_a_generic_promise_may_turn_out_as_any_format() -> None:
    held = Matcher()
    domain = Domain.from_plain(DRB)
    held.promise(Promise(JobId("a"), "flow", Category.OUTPUT, "GENERIC", domain, "ada"))
    assert isinstance(held.match(wanting(DRB, "CSV"), NOW, ADA), Promised)
    held.promise(Promise(JobId("a"), "flow", Category.OUTPUT, "NETCDF", domain, "ada"))
    assert isinstance(held.match(wanting(DRB, "CSV"), NOW, ADA), Miss)


def test_a_promise_made_again_is_replaced() -> None:
    held = Matcher()
    for plain in (DRB, {"HYDROFABRIC_DATA_ID": "conus"}):
        domain = Domain.from_plain(plain)
        held.promise(Promise(JobId("a"), "flow", Category.OUTPUT, "CSV", domain, "ada"))
    assert isinstance(held.match(wanting(DRB), NOW, ADA), Miss)
    assert isinstance(held.match(wanting({"GAUGE_ID": "1"}), NOW, ADA), Promised)


def test_a_miss_says_what_is_missing_and_what_is_nearest() -> None:
    held = matcher(
        dataset(
            "x",
            {"TIME": ["2015-12-01", "2015-12-31"], "GAUGE_ID": "01434000"},
            name="delaware-run",
        )
    )
    wanted = {"TIME": ["2015-12-01", "2016-01-01"], "GAUGE_ID": ["01434000", "01472000"]}
    lack = "TIME 2015-12-31 to 2016-01-01; GAUGE_ID 01472000"
    found = held.match(wanting(wanted, None), NOW, ADA)
    assert isinstance(found, Miss)
    assert found.sentence == (
        f"no OUTPUT dataset covers it: missing {lack}; nearest: delaware-run v1 (lacks {lack}); "
        "upload what has these too, or leave them out"
    )
    found = held.match(wanting({"GAUGE_ID": "01434000"}, "NETCDF"), NOW, ADA)
    assert isinstance(found, Miss)
    assert found.sentence == (
        "no OUTPUT dataset of format NETCDF covers it; "
        "nearest: delaware-run v1 (its format is CSV); ask for the format CSV, or upload it in "
        "the one asked"
    )


@pytest.mark.parametrize(
    ("wanted", "fix"),
    [
        ({"TIME": ["2015-12-01", "2016-01-01"]}, "upload what has that time too, or ask for a"),
        ({"GAUGE_ID": ["01434000", "01472000"]}, "upload what has these too, or leave them out"),
        ({"GAUGE_ID": "01434000", "DATA_ID": "y"}, "ask for one that is there, or upload it"),
        ({"GAUGE_ID": "01472000"}, "upload such a dataset (`headrace dataset create`)"),
    ],
)
def test_a_miss_says_what_to_do(wanted: dict[str, object], fix: str) -> None:
    has = {"TIME": ["2015-12-01", "2015-12-31"], "GAUGE_ID": "01434000", "DATA_ID": "x"}
    found = matcher(dataset("x", has)).match(wanting(wanted), NOW, ADA)
    assert isinstance(found, Miss)
    assert f"; {fix}" in found.sentence


def test_a_miss_after_half_a_union_says_what_is_left_of_it() -> None:
    held = matcher(
        dataset("a", {**DRB, "TIME": ["1979-01-01", "1980-01-01"]}),
        dataset("b", {**DRB, "TIME": ["1981-01-01", "1982-01-01"]}),
    )
    found = held.match(wanting({**DRB, "TIME": ["1979-01-01", "1983-01-01"]}), NOW, ADA)
    assert isinstance(found, Miss)
    assert (
        "missing TIME 1980-01-01 to 1981-01-01, 1982-01-01 to 1983-01-01; nearest: run-a v1 "
    ) in found.sentence


def test_sets_of_100_000_ids_are_united_and_missed_in_short() -> None:
    every = [f"cat-{number}" for number in range(100_000)]
    parts = [
        dataset(str(at), {"CATCHMENT_ID": every[at * 1000 : (at + 1) * 1000]}) for at in range(100)
    ]
    held = matcher(*parts)
    wanted = wanting({"CATCHMENT_ID": every})
    assert len(ids(held.match(wanted, NOW, ADA))) == 100
    held.remove(DatasetId("7"))
    found = held.match(wanted, NOW, ADA)
    assert isinstance(found, Miss)
    assert "missing CATCHMENT_ID cat-7000, cat-7001 and 998 more; nearest" in found.sentence
    assert len(found.sentence) < 500


def test_a_crowd_of_equal_datasets_does_not_hide_the_one_that_serves() -> None:
    crowd = [
        dataset(str(at), {**DRB, "TIME": ["1979-01-01", "1980-01-01"]}, created_ms=at)
        for at in range(200)
    ]
    last = dataset("x", {**DRB, "TIME": ["1979-01-01", "1981-01-01"]}, created_ms=-1)
    held = matcher(*crowd, last)
    for end in ("1980-07-01", "1981-01-01"):
        found = held.match(wanting({**DRB, "TIME": ["1979-01-01", end]}), NOW, ADA)
        assert ids(found) == ["x"]
        assert isinstance(found, Fulfilment)
        assert found.over is None
    later = wanting({**DRB, "TIME": ["1979-01-01", "1981-01-02"]})
    assert isinstance(held.match(later, NOW, ADA), Miss)


def test_a_part_that_later_parts_make_idle_is_dropped() -> None:
    held = matcher(
        dataset("large", {"GAUGE_ID": ["1", "2", "3", "4"]}),
        dataset("left", {"GAUGE_ID": ["1", "2", "5"]}),
        dataset("right", {"GAUGE_ID": ["3", "4", "6"]}),
    )
    every = wanting({"GAUGE_ID": ["1", "2", "3", "4", "5", "6"]})
    assert ids(held.match(every, NOW, ADA)) == ["left", "right"]


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 40)), max_size=12),
    st.integers(-45, 85),
)
@example([(1, 2)], 2)
@example([(-9, 9)], -1)
def test_the_timeline_finds_exactly_who_covers_an_instant(
    spans: list[tuple[int, int]], instant: int
) -> None:
    entries = [
        dataset_entry(
            dataset(
                str(place),
                Domain.of(
                    {Index.TIME: Continuous.of([(Instant(begin), Instant(begin + length))])}
                ),
            )
        )
        for place, (begin, length) in enumerate(spans)
    ]
    timeline = Timeline()
    for entry in entries:
        timeline.add(entry)
    found = [entry.key for _, same in timeline.at(Instant(instant)) for _, entry in same.pairs()]
    covering = [
        entry.key for entry in entries if entry.intervals[0][0] <= instant < entry.intervals[0][1]
    ]
    assert sorted(found) == sorted(covering)
    later = [begin for begin, _ in spans if begin > instant]
    assert timeline.next_begin(Instant(instant)) == min(later, default=None)
    for entry in entries:
        timeline.remove(entry)
    assert timeline.at(Instant(instant)) == []


def test_more_names_than_stand_under_each_name_are_found_too() -> None:
    gauges = [f"{number:08}" for number in range(200)]
    held = matcher(
        dataset("few", {"GAUGE_ID": gauges[:50]}), dataset("many", {"GAUGE_ID": gauges[50:]})
    )
    assert ids(held.match(wanting({"GAUGE_ID": gauges[60:190]}), NOW, ADA)) == ["many"]
    assert ids(held.match(wanting({"GAUGE_ID": gauges[70]}), NOW, ADA)) == ["many"]
    assert ids(held.match(wanting({"GAUGE_ID": gauges}), NOW, ADA)) == ["many", "few"]


def test_the_union_of_parts_is_what_the_domains_unite_to() -> None:
    one = Domain.from_plain({**DRB, "TIME": ["1979-01-01", "1980-01-01"]})
    other = Domain.from_plain({**DRB, "TIME": ["1980-01-01", "1981-01-01"]})
    whole = one.unite(other)
    assert whole is not None
    assert whole.get(Index.TIME) == union(one.restrictions[0][1], other.restrictions[0][1])
    held = matcher(dataset("b", other), dataset("a", one))
    assert ids(held.match(wanting(whole), NOW, ADA)) == ["a", "b"]


# --- what is derived ---------------------------------------------------------------------------

DAY = {"TIME": ["1979-01-01", "1979-01-02"]}


def _from_netcdf(wanted: Requirement) -> Iterator[Step]:
    yield Step("convert", (Requirement("in", Category.OUTPUT, "NETCDF", wanted.domain),), {})


RECIPES = (Recipe("convert", "", ((Category.OUTPUT, "CSV"),), _from_netcdf),)


def planned(index: Matcher) -> Plan:
    plan = index.plan(wanting(DAY), NOW, ADA, RECIPES)
    assert plan is not None
    return plan


def derived(plan: Plan, id_: str = "derived", **fields: object) -> Dataset:
    key = derivation_key(plan.content, "ada")
    return dataset(id_, DAY, derived_from=plan.datasets, derivation=key, **fields)


def test_what_was_derived_answers_its_question_as_long_as_its_data_would_be_taken() -> None:
    index = matcher(dataset("v1", DAY, "NETCDF", created_ms=1))
    first = planned(index)
    index.add(derived(first))
    assert isinstance(index.match(wanting(DAY), NOW, ADA), Miss), "no other question finds it"
    assert ids(index.made(wanting(DAY), planned(index), NOW, ADA)) == ["derived"]
    index.add(dataset("v2", DAY, "NETCDF", created_ms=2))
    assert index.made(wanting(DAY), planned(index), NOW, ADA) is None, "made of older data"
    index.remove(DatasetId("v2"))
    assert index.made(wanting(DAY), planned(index), NOW, ADA)
    index.remove(DatasetId("derived"))
    assert index.made(wanting(DAY), planned(index), NOW, ADA) is None


def test_what_was_derived_is_for_those_who_may_read_it_and_for_its_time() -> None:
    shared = (Share("user:bob", Level.READ),)
    index = matcher(dataset("v1", DAY, "NETCDF", shared=shared))
    plan = planned(index)
    bob = reader_keys(User("bob", UserRole.USER))
    index.add(derived(plan, expires_ms=NOW + 1))
    assert index.made(wanting(DAY), plan, NOW, ADA)
    assert index.made(wanting(DAY), plan, NOW + 1, ADA) is None
    assert index.made(wanting(DAY), plan, NOW, bob) is None
    index.add(derived(plan, shared=shared))
    assert index.made(wanting(DAY), plan, NOW, bob)


def test_what_can_be_derived_from_a_promise_is_waited_for_and_not_planned() -> None:
    index = matcher()
    domain = Domain.from_plain(DAY)
    job = JobId("0123456789abcdef")
    index.promise(Promise(job, "flow", Category.OUTPUT, "NETCDF", domain, "ada"))
    assert index.plan(wanting(DAY), NOW, ADA, RECIPES) is None
    later = index.plan_later(wanting(DAY), NOW, ADA, RECIPES, None)
    assert isinstance(later, Promised)
    assert later.promise.job == job
    assert index.plan_later(wanting(DAY), NOW, ADA, RECIPES, job) is None, "only older jobs"
    index.withdraw(job)
    assert index.plan_later(wanting(DAY), NOW, ADA, RECIPES, None) is None
