"""What a quota counts, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput, OverQuota
from headrace_model.quota import check_quotas, parse_quota, quotas_of

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


@pytest.mark.parametrize(
    ("text", "limit"), [("none", None), ("0", 0), ("2TiB", 2 * 2**40), ("8192TiB", 2**53)]
)
def test_a_quota_is_a_size_or_none(text: str, limit: int | None) -> None:
    assert parse_quota(text) == limit


@pytest.mark.parametrize("text", ["", "2", "-1GiB", "much", "8193TiB", "None"])
def test_all_else_is_no_quota(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_quota(text)
