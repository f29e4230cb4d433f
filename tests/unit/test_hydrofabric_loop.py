"""Loops in a hydrofabric, found as brute force finds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric_loop import check_loops
from headrace_derivations.hydrofabric_network import Network
from headrace_model.drainage import loops


def fabric(to: list[int | None]) -> Network:
    """Catchment n flows to nexus n, and this to the catchment `to[n]`."""
    return Network(
        catchments={f"cat-{n}": f"nex-{n}" for n in range(len(to))},
        nexuses={f"nex-{n}": f"wb-{'x' if at is None else at}" for n, at in enumerate(to)},
    )


@st.composite
def rivers(draw: st.DrawFn) -> list[int | None]:
    size = draw(st.integers(1, 12))
    return draw(st.lists(st.none() | st.integers(0, size - 1), min_size=size, max_size=size))


@given(rivers())
def test_a_loop_is_found_exactly_where_a_walk_comes_back(to: list[int | None]) -> None:
    def comes_back(start: int) -> bool:
        at: int | None = start
        for _ in to:
            at = None if at is None else to[at]
            if at == start:
                return True
        return False

    inside = {n for n in range(len(to)) if comes_back(n)}
    network = fabric(to)
    all_ = loops(network.catchments, network.nexuses)
    assert sorted(int(id_[4:]) for found in all_ for id_ in found[::2]) == sorted(inside)
    for found in all_:
        assert found[0] == min(found)
        ids = [int(each.removeprefix("cat-")) for each in found if each.startswith("cat-")]
        following = [*found[1:], found[0]]
        assert all(
            one.replace("cat", "nex") == two
            for one, two in zip(found, following, strict=True)
            if one.startswith("cat")
        )
        assert [to[n] for n in ids] == [*ids[1:], ids[0]]


def test_a_loop_is_said_with_its_ids_and_what_to_do() -> None:
    with pytest.raises(DerivationFailed) as raised:
        check_loops(fabric([1, 2, 1, None]))
    assert raised.value.message == (
        "the hydrofabric has a loop: cat-1 → nex-1 → cat-2 → nex-2 → cat-1"
    )
    assert raised.value.hint is not None
    assert "toid" in raised.value.hint


def test_a_long_loop_is_cut_and_a_long_river_is_no_loop() -> None:
    ring = [*range(1, 50_000), 0]
    with pytest.raises(DerivationFailed, match=r"→ 99,992 more → cat-0 "):
        check_loops(fabric(ring))
    check_loops(fabric([*range(1, 50_000), None]))


def test_a_catchment_may_flow_to_itself_by_mistake() -> None:
    assert loops({"cat-1": "cat-1"}, {}) == [("cat-1",)]


def test_only_what_is_taken_must_have_no_loop() -> None:
    network = fabric([1, 0, 1, None])
    check_loops(network, ["cat-2", "cat-3"])
    with pytest.raises(DerivationFailed, match="has a loop: cat-0"):
        check_loops(network, ["cat-0", "cat-1", "cat-2"])
