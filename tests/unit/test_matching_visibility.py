"""Matching takes, waits for and names only what the asker may see: against brute force."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_data.core.matching import Matcher
from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.domain import Domain
from headrace_model.ids import DatasetId, JobId
from headrace_model.people import Level, Share, Standing, User, UserRole
from headrace_model.requirement import Fulfilment, Miss, Promise, Promised, Requirement
from headrace_model.visible import own_first, reader_keys, readers_of

NOW = 1_000
PEOPLE, GROUPS = ("ada", "bob", "eve"), ("hydro", "met")
DRB: dict[str, object] = {"TIME": ["1979-01-01", "1981-01-01"], "HYDROFABRIC_DATA_ID": "drb"}

shares = st.lists(
    st.builds(
        Share,
        st.sampled_from(
            ["everyone", *(f"user:{name}" for name in PEOPLE), *(f"group:{g}" for g in GROUPS)]
        ),
        st.sampled_from(Level),
    ),
    max_size=3,
).map(tuple)
users = st.builds(
    User,
    st.sampled_from(PEOPLE),
    st.sampled_from(UserRole),
    st.frozensets(st.sampled_from(GROUPS)),
)
domains = st.sampled_from(
    [
        Domain.from_plain(plain)
        for plain in (
            {"GAUGE_ID": "a"},
            {"GAUGE_ID": "b"},
            {"GAUGE_ID": ["a", "b"]},
            {"GAUGE_ID": "ALL"},
            {"TIME": ["1979-01-01", "1980-01-01"], "GAUGE_ID": ["a", "b"]},
            {"TIME": ["1980-01-01", "1981-01-01"], "GAUGE_ID": ["a", "b"]},
            {"TIME": ["1979-01-01", "1981-01-01"], "GAUGE_ID": "a"},
            {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "ALL"},
            {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": ["c1", "c2"]},
            {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "c1"},
            {},
        )
    ]
)
owned = st.tuples(st.sampled_from(PEOPLE), shares)
datasets = st.lists(
    st.tuples(
        domains,
        owned,
        st.sampled_from([Category.OUTPUT, Category.OUTPUT, Category.HYDROFABRIC]),
        st.sampled_from(["CSV", "NETCDF"]),
        st.integers(0, 3),
    ),
    max_size=8,
).map(lambda rows: [made(str(place), *row) for place, row in enumerate(rows)])
promises = st.lists(st.tuples(domains, owned), max_size=4).map(
    lambda rows: [
        Promise(JobId(str(place)), "flow", Category.OUTPUT, "CSV", domain, owner, shared)
        for place, (domain, (owner, shared)) in enumerate(rows)
    ]
)
requirements = st.builds(
    Requirement,
    st.just("flow"),
    st.just(Category.OUTPUT),
    st.sampled_from(["CSV", None]),
    domains,
)


def made(
    id_: str,
    domain: Domain,
    owned_by: tuple[str, tuple[Share, ...]],
    category: Category = Category.OUTPUT,
    format_: str = "CSV",
    created_ms: int = 1,
) -> Dataset:
    owner, shared = owned_by
    dataset = Dataset(
        DatasetId(id_), f"d{id_}", 1, category, format_, domain, owner, created_ms, shared=shared
    )
    return replace(dataset, state=DatasetState.SEALED, sealed_ms=2, manifest_sha256="0" * 64)


def filled(all_: list[Dataset], promised: list[Promise]) -> Matcher:
    matcher = Matcher()
    for each in all_:
        matcher.add(each)
    for promise in promised:
        matcher.promise(promise)
    return matcher


def sees(user: User, owner: str, shared: tuple[Share, ...]) -> bool:
    """Written without the keys of readers; an admin is somebody like everybody here."""
    return user.standing(owner, shared) is not Standing.STRANGER


@settings(max_examples=100)
@given(datasets, promises, requirements, users, st.randoms(use_true_random=False))
def test_a_match_is_the_match_over_what_the_asker_may_see(
    all_: list[Dataset],
    promised: list[Promise],
    wanted: Requirement,
    user: User,
    rng: random.Random,
) -> None:
    readers = reader_keys(user)
    found = filled(all_, promised).match(wanted, NOW, readers)
    seen = [each for each in all_ if sees(user, each.owner, each.shared)]
    waited = [each for each in promised if sees(user, each.owner, each.shared)]
    assert filled(seen, waited).match(wanted, NOW, readers) == found
    # However it came to be seen; but one's own fabric counts before a shared one.
    if not any(each.category is Category.HYDROFABRIC for each in seen):
        mine = [replace(each, owner=user.name, shared=()) for each in seen]
        own = [replace(each, owner=user.name, shared=()) for each in waited]
        alone = filled(mine, own).match(wanted, NOW, readers)
        assert _told(alone) == _told(found)
    shuffled = list(all_)
    rng.shuffle(shuffled)
    assert filled(shuffled, promised).match(wanted, NOW, readers) == found


def _told(found: Fulfilment | Promised | Miss) -> object:
    """A result but for who owns what is promised."""
    return (found.promise.job, found.why) if isinstance(found, Promised) else found


@settings(max_examples=100)
@given(datasets, datasets, requirements, users)
def test_shares_that_come_and_go_leave_no_trace(
    before: list[Dataset], after: list[Dataset], wanted: Requirement, user: User
) -> None:
    changed = filled(before, [])
    changed.replace_all({each.id: each for each in after})
    readers = reader_keys(user)
    fresh = filled(after, [])
    assert changed.match(wanted, NOW, readers) == fresh.match(wanted, NOW, readers)
    changed.replace_all({})
    assert changed.match(wanted, NOW, readers) == Matcher().match(wanted, NOW, readers)


@given(users, st.sampled_from(PEOPLE), shares)
def test_keys_of_readers_agree_with_standings(
    user: User, owner: str, shared: tuple[Share, ...]
) -> None:
    assert bool(reader_keys(user) & readers_of(owner, shared)) == sees(user, owner, shared)


def test_a_miss_names_nothing_that_is_hidden() -> None:
    hidden = made("hidden", Domain.from_plain(DRB), ("ada", ()))
    held = filled([hidden], [])
    found = held.match(
        Requirement("f", Category.OUTPUT, "NETCDF", Domain.from_plain(DRB)),
        NOW,
        reader_keys(User("bob", UserRole.ADMIN)),
    )
    assert isinstance(found, Miss)
    assert found.nearest == ()
    assert "dhidden" not in found.sentence


def test_a_fabric_tells_its_ids_only_to_those_who_may_see_it() -> None:
    fabric = {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": ["c1", "c2"]}
    every = {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "ALL"}
    wanted = Requirement("f", Category.OUTPUT, "CSV", Domain.from_plain(every))
    secret = made("f", Domain.from_plain(fabric), ("ada", ()), Category.HYDROFABRIC)
    shown = made("d", Domain.from_plain(fabric), ("ada", (Share("everyone"),)))
    held = filled([secret, shown], [])
    ada, bob = (reader_keys(User(name, UserRole.USER)) for name in ("ada", "bob"))
    assert isinstance(held.match(wanted, NOW, ada), Fulfilment)
    missed = held.match(wanted, NOW, bob)
    assert isinstance(missed, Miss)
    assert "c1" not in missed.sentence
    held.add(replace(secret, shared=(Share("user:bob"),)))
    assert isinstance(held.match(wanted, NOW, bob), Fulfilment)


def test_a_fabric_that_somebody_shares_does_not_change_what_one_s_own_means() -> None:
    mine = {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": ["c1", "c2"]}
    other = {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "c1"}
    every = {"HYDROFABRIC_DATA_ID": "drb", "CATCHMENT_ID": "ALL"}
    held = filled(
        [
            made("1", Domain.from_plain(mine), ("ada", ()), Category.HYDROFABRIC),
            made(
                "2",
                Domain.from_plain(other),
                ("eve", (Share("user:ada"),)),
                Category.HYDROFABRIC,
                created_ms=9,
            ),
            made("3", Domain.from_plain(other), ("ada", ())),
        ],
        [],
    )
    wanted = Requirement("f", Category.OUTPUT, "CSV", Domain.from_plain(every))
    found = held.match(wanted, NOW, reader_keys(User("ada", UserRole.USER)))
    assert isinstance(found, Miss)
    assert "missing CATCHMENT_ID c2" in found.sentence


def test_what_one_owns_comes_first_and_what_all_see_last() -> None:
    keys = reader_keys(User("ada", UserRole.USER, frozenset({"met", "hydro"})))
    assert own_first(keys) == ["owner:ada", "group:hydro", "group:met", "user:ada", "everyone"]
