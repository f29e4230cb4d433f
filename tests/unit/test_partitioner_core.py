"""How a drainage network is split: even, with few cut edges, and so that ngen loses no water."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_partitioner.core.check import check
from headrace_partitioner.core.config import SENTINEL, config_of, read_plain, to_text
from headrace_partitioner.core.drainage import Drainage, by_number
from headrace_partitioner.core.explain import figures_of, naive_figures
from headrace_partitioner.core.order import order_of
from headrace_partitioner.core.split import TOLERANCE, in_file_order, lightest, split
from headrace_partitioner.errors import PartitioningFailed
from tests.support.partition_configs import Flows, problems

SUGAR: Flows = (
    {"cat-27": "nex-26", "cat-52": "nex-34", "cat-67": "nex-68"},
    {"nex-26": "cat-26", "nex-34": "cat-34", "nex-68": "cat-68"},
)


@st.composite
def rivers(draw: st.DrawFn, most: int = 24) -> Flows:
    """Catchment i flows to one of a later number, to an outlet, or astray; ids in any order."""
    count = draw(st.integers(1, most))
    names = draw(st.permutations(range(count)))
    catchments: dict[str, str] = {}
    for i in range(count):
        below = draw(st.integers(i + 1, min(count + 2, i + 4)))
        where = f"nex-{names[below]}" if below < count else f"tnx-{below}"
        catchments[f"cat-{names[i]}"] = where
    astray = draw(st.booleans())
    nexuses = {
        to: f"wb-{to.removeprefix('nex-')}" if to.startswith("nex-") else "wb-0"
        for to in catchments.values()
        if not (astray and to == f"tnx-{count + 1}")
    }
    ends = draw(st.sampled_from(["", "NA", "wb-999"]))
    nexuses |= {to: ends for to in nexuses if to.startswith("tnx-")}
    return catchments, nexuses


def _split(river: Flows, parts: int, areas: dict[str, float] | None = None) -> Any:
    drainage = Drainage.of(*river, areas)
    return drainage, split(drainage, parts)


def _edges(river: Flows) -> list[tuple[str, str]]:
    """From what to what each edge goes, by brute force: a catchment, or an outlet."""
    catchments, nexuses = river
    found = []
    for id_, nexus in catchments.items():
        if nexus in nexuses:
            below = nexuses[nexus].replace("wb-", "cat-")
            found.append((id_, below if below in catchments else nexus))
    return found


def _fewest_cuts(river: Flows, part_of: dict[str, int]) -> int:
    """The edges between two parts, each outlet being where it costs least."""
    cuts = 0
    at_outlets: dict[str, Counter[int]] = {}
    for above, below in _edges(river):
        if below in part_of:
            cuts += part_of[above] != part_of[below]
        else:
            at_outlets.setdefault(below, Counter())[part_of[above]] += 1
    return cuts + sum(sum(each.values()) - max(each.values()) for each in at_outlets.values())


@settings(max_examples=40)
@given(rivers(), st.data())
def test_every_catchment_is_in_one_part_and_no_part_is_empty_or_much_heavier(
    river: Flows, data: st.DataObject
) -> None:
    count = len(river[0])
    parts = data.draw(st.integers(1, count))
    drainage, found = _split(river, parts)
    sizes = Counter(found)
    assert sorted(sizes) == list(range(parts))
    assert max(sizes.values()) <= max(-(-count // parts), count / parts * (1 + TOLERANCE))
    assert len(found) == count == len(drainage.ids)


@settings(max_examples=40)
@given(rivers(), st.data())
def test_by_area_the_heaviest_part_is_the_lightest_that_the_order_allows_or_within_tolerance(
    river: Flows, data: st.DataObject
) -> None:
    areas = {id_: data.draw(st.floats(1e-6, 50)) for id_ in river[0]}
    parts = data.draw(st.integers(1, len(areas)))
    drainage, found = _split(river, parts, areas)
    weights = [0] * parts
    for number, part in enumerate(found):
        weights[part] += drainage.weights[number]
    assert min(Counter(found)[part] for part in range(parts)) > 0
    in_order = [drainage.weights[each] for each in order_of(drainage).catchments]
    mean = sum(in_order) / parts
    assert max(weights) <= max(_bottleneck(in_order, parts), mean * (1 + TOLERANCE))


@st.composite
def brooks(draw: st.DrawFn) -> Flows:
    """A few catchments that have nothing to do with each other, as in Sugar Creek."""
    names = draw(st.permutations(range(draw(st.integers(1, 6)))))
    return {f"cat-{i}": f"nex-{i}" for i in names}, {f"nex-{i}": "NA" for i in names}


@settings(max_examples=100)
@given(brooks() | rivers(most=8), st.data())
def test_no_split_is_less_even_than_blocks_of_the_file_that_cut_no_more(
    river: Flows, data: st.DataObject
) -> None:
    areas = {id_: float(data.draw(st.integers(1, 50))) for id_ in river[0]}
    parts = data.draw(st.integers(1, len(areas)))
    drainage, found = _split(river, parts, areas)
    mine, naive = figures_of(drainage, found, parts), naive_figures(drainage, parts)
    assert naive.cut_edges > mine.cut_edges or naive.imbalance >= mine.imbalance


def _bottleneck(weights: Sequence[int], parts: int) -> int:
    """The least heaviest block, by dynamic programming."""
    best: list[float] = [0] + [float("inf")] * len(weights)
    for _ in range(parts):
        best = [
            min(
                (max(best[begin], sum(weights[begin:end])) for begin in range(end + 1)),
                default=0,
            )
            for end in range(len(weights) + 1)
        ]
    return int(best[-1])


@settings(max_examples=40)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=14), st.integers(1, 14))
def test_the_lightest_bottleneck_is_that_of_brute_force(weights: list[int], parts: int) -> None:
    sums = [sum(weights[:place]) for place in range(len(weights) + 1)]
    assert lightest(sums, parts) == _bottleneck(weights, parts)


@settings(max_examples=40)
@given(rivers(), st.data())
def test_cut_edges_are_those_of_brute_force_for_any_split(
    river: Flows, data: st.DataObject
) -> None:
    drainage = Drainage.of(*river)
    count = len(drainage.ids)
    parts = data.draw(st.integers(1, 4))
    assigned = data.draw(st.lists(st.integers(0, parts - 1), min_size=count, max_size=count))
    figures = figures_of(drainage, assigned, parts)
    part_of = dict(zip(drainage.ids, assigned, strict=True))
    assert figures.cut_edges == _fewest_cuts(river, part_of)
    assert figures.edges == len(_edges(river))
    assert sum(each.sends for each in figures.parts) == figures.messages <= figures.cut_edges
    assert sum(each.receives for each in figures.parts) == figures.messages


@settings(max_examples=40)
@given(rivers())
def test_the_edges_open_at_a_place_are_those_that_a_cut_there_cuts(river: Flows) -> None:
    drainage = Drainage.of(*river)
    order = order_of(drainage)
    assert sorted(order.catchments) == list(range(len(drainage.ids)))
    for at, opened in enumerate(order.open):
        before = {drainage.ids[each] for each in order.catchments[:at]}
        # All above an outlet stand before what follows it, so that it goes with the last of them.
        last = {below: above for above, below in _edges(river) if below not in river[0]}
        for number in order.catchments:
            below = drainage.below[number]
            if below >= len(drainage.ids):
                last[drainage.outlets[below - len(drainage.ids)]] = drainage.ids[number]
        cut = [
            (above, below)
            for above, below in _edges(river)
            if (above in before) != (last.get(below, below) in before)
        ]
        assert opened == len(cut)


def _strahler(river: Flows) -> int:
    """The Horton-Strahler order of the river that has the highest."""
    above: dict[str, list[str]] = {}
    for id_, below in _edges(river):
        above.setdefault(below, []).append(id_)

    def of(id_: str) -> int:
        orders = sorted((of(each) for each in above.get(id_, ())), reverse=True)
        if len(orders) > 1 and orders[0] == orders[1]:
            return orders[0] + 1
        return orders[0] if orders else 1

    return max(of(each) for each in {*river[0], *above})


@st.composite
def binary_rivers(draw: st.DrawFn) -> Flows:
    """Rivers in which no more than two meet."""
    count = draw(st.integers(1, 40))
    free = [0, 0]
    catchments = {"cat-0": "nex-out"}
    for i in range(1, count):
        catchments[f"cat-{i}"] = f"nex-{free.pop(draw(st.integers(0, len(free) - 1)))}"
        free += [i, i]
    return catchments, {to: to.replace("nex", "wb") for to in catchments.values()}


@settings(max_examples=40)
@given(binary_rivers())
def test_no_cut_costs_more_than_the_order_of_the_river(river: Flows) -> None:
    assert max(order_of(Drainage.of(*river)).open) <= _strahler(river)


def test_a_river_of_two_long_branches_is_cut_once() -> None:
    catchments = {f"cat-{i}": f"nex-{i + 1}" for i in (*range(1, 10), *range(11, 19))}
    catchments |= {"cat-10": "nex-30", "cat-19": "nex-30"}
    nexuses = {to: to.replace("nex", "wb") for to in catchments.values()}
    drainage = Drainage.of(catchments, nexuses)
    figures = figures_of(drainage, split(drainage, 2), 2)
    assert (figures.cut_edges, figures.messages) == (1, 1)
    assert sorted(each.catchments for each in figures.parts) == [9, 10]


@settings(max_examples=40)
@given(rivers(), st.data())
def test_what_is_written_is_what_ngen_needs_and_reads_back(
    river: Flows, data: st.DataObject
) -> None:
    count = len(river[0])
    parts = data.draw(st.integers(1, count))
    drainage, found = _split(river, parts)
    config = config_of(drainage, found, parts)
    plain = json.loads(to_text(config))
    assert problems(river, plain) == []
    assert read_plain(plain) == config
    checked = check(drainage, config)
    assert checked.findings == ()
    assert checked.assigned == tuple(found)
    assert figures_of(drainage, checked.assigned, parts, checked.receivers) == figures_of(
        drainage, found, parts
    )


@settings(max_examples=40)
@given(rivers(), st.data())
def test_what_is_wrong_with_a_config_is_found_whatever_it_is(
    river: Flows, data: st.DataObject
) -> None:
    count = len(river[0])
    parts = data.draw(st.integers(1, count))
    drainage = Drainage.of(*river)
    assigned = data.draw(st.permutations([*range(parts), *[0] * (count - parts)]))
    plain = json.loads(to_text(config_of(drainage, assigned, parts)))
    assert problems(river, plain) == []
    each = data.draw(st.sampled_from(plain["partitions"]))
    keys = [key for key in ("cat-ids", "nex-ids", "remote-connections") if each[key]]
    key = data.draw(st.sampled_from(keys))
    taken = each[key].pop(data.draw(st.integers(0, len(each[key]) - 1)))
    said = [str(found) for found in check(drainage, read_plain(plain)).findings]
    needless = key == "nex-ids" and taken not in river[0].values()
    assert bool(said) != needless, (key, taken, said)


@settings(max_examples=40)
@given(rivers(), st.data())
def test_the_same_fabric_in_another_order_is_split_alike(
    river: Flows, data: st.DataObject
) -> None:
    parts = data.draw(st.integers(1, len(river[0])))
    catchments, nexuses = (
        dict(data.draw(st.permutations(sorted(each.items())))) for each in river
    )
    one, other = Drainage.of(*river), Drainage.of(catchments, nexuses)
    texts = {to_text(config_of(each, split(each, parts), parts)) for each in (one, other)}
    assert len(texts) == 1


@settings(max_examples=40)
@given(rivers())
def test_a_naive_split_takes_blocks_as_the_file_has_them(river: Flows) -> None:
    drainage = Drainage.of(*river)
    parts = min(3, len(river[0]))
    assigned = in_file_order(drainage, parts)
    in_file = [assigned[drainage.ids.index(id_)] for id_ in river[0]]
    assert in_file == sorted(in_file)
    sizes = Counter(in_file)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    part_of = dict(zip(drainage.ids, assigned, strict=True))
    assert naive_figures(drainage, parts).cut_edges == _fewest_cuts(river, part_of)


def test_a_long_river_without_branches_needs_no_recursion() -> None:
    count = 5_000
    catchments = {f"cat-{i}": f"nex-{i + 1}" for i in range(count)}
    nexuses = {f"nex-{i + 1}": f"wb-{i + 1}" for i in range(count)}
    drainage = Drainage.of(catchments, nexuses)
    assert figures_of(drainage, split(drainage, 64), 64).cut_edges == 63


def test_at_an_outlet_of_two_partitions_one_receives() -> None:
    river = {"cat-1": "nex-9", "cat-2": "nex-9", "cat-3": "nex-9"}, {"nex-9": ""}
    drainage, found = _split(river, 3)
    config = config_of(drainage, found, 3)
    (receiver,) = [rank for rank, p in enumerate(config) if f"{SENTINEL}nex-9" in p.catchments]
    assert len(config[receiver].connections) == 2
    assert figures_of(drainage, found, 3).cut_edges == 2


@pytest.mark.parametrize("parts", [0, 4, -1])
def test_more_partitions_than_catchments_are_refused(parts: int) -> None:
    with pytest.raises(PartitioningFailed, match=f"can't be split into {parts} partitions"):
        split(Drainage.of(*SUGAR), parts)


@pytest.mark.parametrize(
    ("areas", "said"),
    [
        ({"cat-27": 1.0, "cat-52": 2.0}, "cat-67: it has none"),
        ({"cat-27": 1.0, "cat-52": 0.0, "cat-67": 1.0}, "cat-52: it says 0 km2"),
        ({"cat-27": float("nan"), "cat-52": 1.0, "cat-67": 1.0}, "cat-27: it says nan km2"),
    ],
)
def test_an_area_that_is_none_is_refused(areas: dict[str, float], said: str) -> None:
    with pytest.raises(PartitioningFailed, match=said):
        Drainage.of(*SUGAR, areas)


def test_a_loop_is_refused() -> None:
    with pytest.raises(PartitioningFailed, match="has a loop: cat-1 → nex-2 → cat-1 ") as refused:
        Drainage.of({"cat-1": "nex-2", "cat-3": "nex-2"}, {"nex-2": "wb-1"})
    assert "look at that of nex-2" in str(refused.value.hint)


def test_no_catchment_is_no_fabric() -> None:
    with pytest.raises(PartitioningFailed, match="no catchment"):
        Drainage.of({}, {"nex-1": "wb-1"})


def test_ids_are_sorted_as_people_count() -> None:
    ids = ["cat-10", "cat-9", "cat-", "cat-09", "7", "é-1", f"cat-{'9' * 40}"]
    assert sorted(ids, key=by_number) == [
        *("7", "cat-", f"cat-{'9' * 40}", "cat-09", "cat-9", "cat-10", "é-1"),
    ]


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ([], "the file must be an object"),
        ({}, "partitions must be a list"),
        ({"partitions": []}, "their ids must be 0, 1, 2"),
        ({"partitions": [{"id": 1, "cat-ids": [], "nex-ids": []}]}, "their ids must be 0, 1, 2"),
        ({"partitions": [{"id": True, "cat-ids": [], "nex-ids": []}]}, r"\[0\].id must be a num"),
        ({"partitions": [{"id": 0, "cat-ids": [1], "nex-ids": []}]}, r"cat-ids\[0\] must be text"),
        ({"partitions": [{"id": 0, "cat-ids": []}]}, r"\[0\].nex-ids must be a list"),
        (
            {"partitions": [{"id": "0", "cat-ids": [], "nex-ids": []}] * 2},
            r"\[1\].id: another partition is 0 too",
        ),
        (
            {
                "partitions": [
                    {
                        "id": 0,
                        "cat-ids": [],
                        "nex-ids": [],
                        "remote-connections": [{"cat-direction": "up"}],
                    }
                ]
            },
            r"remote-connections\[0\].cat-direction must be orig_cat-to-nex or nex-to-dest_cat",
        ),
    ],
)
def test_a_config_that_is_none_is_an_error_with_its_place(plain: Any, said: str) -> None:
    with pytest.raises(PartitioningFailed, match=said):
        read_plain(plain)


def test_every_split_of_a_small_river_in_two_cuts_at_least_as_much_at_that_balance() -> None:
    # Seven catchments as a full binary tree; nothing that is as even cuts less.
    catchments = {f"cat-{i}": f"nex-{i // 2}" for i in range(1, 8)}
    nexuses = {f"nex-{i}": f"wb-{i}" for i in range(4)}
    river = catchments, nexuses
    drainage, found = _split(river, 2)
    mine = figures_of(drainage, found, 2).cut_edges
    best = min(
        _fewest_cuts(river, {id_: int(id_ in chosen) for id_ in catchments})
        for chosen in combinations(catchments, 3)
    )
    assert mine == best == 1
