"""What a quota counts, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput, OverQuota
from headrace_model.quota import (
    CPU_HOUR,
    What,
    check_quotas,
    parse_quota,
    parse_quotas,
    quotas_of,
    run_quota_text,
)

_USERS = st.sampled_from(["ann", "bob", "carol"])
_GROUPS = st.sampled_from(["models", "floods"])
_BYTES = st.integers(0, 50)


@given(
    owner=_USERS,
    groups=st.dictionaries(_USERS, st.lists(_GROUPS, unique=True)),
    limits=st.dictionaries(
        _USERS.map("user:{}".format) | _GROUPS.map("group:{}".format), st.integers(0, 120)
    ),
    stored=st.dictionaries(_USERS, _BYTES),
    coming=_BYTES,
)
def test_just_what_would_pass_a_quota_is_refused(
    owner: str,
    groups: dict[str, list[str]],
    limits: dict[str, int],
    stored: dict[str, int],
    coming: int,
) -> None:
    def held(who: str) -> int:
        kind, _, name = who.partition(":")
        return sum(
            size
            for user, size in stored.items()
            if (user == name if kind == "user" else name in groups.get(user, ()))
        )

    mine = [f"user:{owner}", *(f"group:{group}" for group in groups.get(owner, ()))]
    passed = [who for who in mine if who in limits and held(who) + max(coming, 1) > limits[who]]
    quotas = quotas_of(owner, groups, limits)
    if not passed:
        check_quotas(quotas, stored, coming)
        return
    with pytest.raises(OverQuota) as refused:
        check_quotas(quotas, stored, coming)
    assert any(who.partition(":")[2] in refused.value.message for who in passed)
    assert "delete NAME --now" in (refused.value.hint or "")


@pytest.mark.parametrize(("text", "limit"), [("0", 0), ("2TiB", 2 * 2**40), ("8192TiB", 2**53)])
def test_a_quota_of_bytes_is_a_size(text: str, limit: int) -> None:
    assert parse_quota(text) == limit


@pytest.mark.parametrize("text", ["", "2", "-1GiB", "none", "much", "8193TiB", "None"])
def test_all_else_is_no_quota(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_quota(text)


def _run_limits() -> st.SearchStrategy[dict[str, int | None]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "": st.sampled_from([None, 0, 2**40]),
            "cpus": st.none() | st.integers(1, 10**6).map(lambda cpus: cpus * 1000),
            "memory": st.none() | st.integers(0, 2**20).map(lambda mib: mib * 2**20),
            "jobs": st.none() | st.integers(0, 10**6),
            "gpus": st.none() | st.integers(0, 10**6),
        },
    )


@given(_run_limits(), st.none() | st.tuples(st.integers(0, 10**6), st.integers(1, 70)))
def test_quotas_of_running_use_are_read_as_they_are_shown(
    limits: dict[str, int | None], hours: tuple[int, int] | None
) -> None:
    if hours:
        limits |= {"cpu_hours": hours[0] * CPU_HOUR, "cpu_hours_days": hours[1]}
    kept = {
        f"user:ann:{what}": limit for what, limit in limits.items() if what and limit is not None
    }
    told = run_quota_text(
        "user:ann", kept | {"user:ann": 5, "user:anna:cpus": 1, "group:ann:jobs": 2}
    )
    there = {what: limit for what, limit in limits.items() if what and limit is not None}
    assert (parse_quotas(told) if told else {}) == there


@given(_run_limits(), st.none() | st.tuples(st.integers(0, 10**6), st.integers(1, 70)))
def test_none_takes_away_each_quota_that_is_not_said_beside_it(
    limits: dict[str, int | None], hours: tuple[int, int] | None
) -> None:
    if hours:
        limits |= {"cpu_hours": hours[0] * CPU_HOUR, "cpu_hours_days": hours[1]}
    kept = {f"user:ann:{what}": limit for what, limit in limits.items() if limit is not None}
    said = run_quota_text("user:ann", kept)
    every = dict.fromkeys(["", *What, "cpu_hours_days"])
    there = parse_quotas(said) if said else {}
    assert parse_quotas(f"none {said}") == parse_quotas(f"{said} none") == every | there


def test_none_beside_a_size_leaves_the_size_alone() -> None:
    assert parse_quotas("none 2TiB")[""] == 2 * 2**40
    assert parse_quotas("none 2TiB")["cpus"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none 2TiB 1TiB", "twice"),
        ("cpus=", "no size|not a size"),
        ("tpus=2", "there is no quota 'tpus'"),
        ("gpus=1.5", "no whole number"),
        ("cpus=64 cpus=2", "twice"),
        ("jobs=-1", "no whole number"),
        ("cpu_hours=10/90d", "1 to 70 whole days"),
        ("cpu_hours=10/36h", "whole days"),
        ("memory=4", "no unit"),
        ("cpus=many", "quota cpus"),
        ("", "quota"),
    ],
)
def test_what_is_no_quota_of_running_use_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_quotas(text)
