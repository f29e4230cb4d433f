"""resources.yaml: what it says, what is wrong in it, and what that makes of the nodes."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.bounds import Bounds, Policy, Window
from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.resources import NOTHING, Resources, generic
from headrace_scheduler.core.limits import limited
from headrace_scheduler.core.snapshot import Node
from headrace_scheduler.limits_file import LimitsFile
from headrace_wire.resourcesfile import UNLIMITED, parse_resources

A, B = NodeId("a"), NodeId("b")
HOUR_MS = 3_600_000
WINDOW = "{nodes: [a], from: 2026-03-01T06:00Z, until: 2026-03-01T18:00Z, why: disks}"
GOOD = """
nodes:
  a: {cpus: 1.5, memory: 2GiB}
  b:
  c: {memory: 500MB}
"""


def test_it_says_how_much_of_each_node_may_be_used() -> None:
    said = {
        A: Resources(1_500, 2 * 2**30),
        B: UNLIMITED,
        NodeId("c"): Resources(UNLIMITED.millicpus, 500_000_000),
    }
    assert parse_resources(GOOD) == Bounds(said)
    assert parse_resources("nodes: {}") == Bounds({})


def test_it_names_pools_of_nodes_with_bounds_or_without() -> None:
    pools = {"large": frozenset({A, B}), "gpu.old": frozenset({B})}
    text = "pools:\n  large: [a, b]\n  gpu.old: [b]\n"
    assert parse_resources(text) == Bounds(None, pools)
    assert parse_resources(GOOD + text).pools == pools
    assert parse_resources(text).pools_of(B) == {"large", "gpu.old"}
    assert parse_resources(text).usable(A, Resources(1, 2)) == Resources(1, 2)


def test_it_says_when_nodes_are_away() -> None:
    other = WINDOW.replace("[a]", "[a, b]").replace("-03-01", "-02-01").replace("disks", "roof")
    first, second = (
        Window(month_ms + 6 * HOUR_MS, month_ms + 18 * HOUR_MS, why)
        for month_ms, why in ((1_769_904_000_000, "roof"), (1_772_323_200_000, "disks"))
    )
    said = parse_resources(f"maintenance: [{WINDOW}, {other}]")
    assert said == Bounds(maintenance={A: (first, second), B: (first,)})
    node = Node(A, Resources(1, 1), Resources(1, 1), NodeState.UP, frozenset())
    assert limited([node], said)[0].windows == (first, second)


def test_pieces_are_there_because_the_agent_or_the_file_says_so() -> None:
    text = "nodes:\n  a: {gpus: 1, generic: {licence_x: 4}}\n  b: {gpus: 0}\n"
    bounds = parse_resources(text)
    has = Resources(1, 1, (("fpgas", 2), ("gpus", 3)))
    assert bounds.usable(A, has).generic == (("fpgas", 2), ("gpus", 1), ("licence_x", 4))
    assert bounds.usable(A, Resources(1, 1)).generic == (("gpus", 1), ("licence_x", 4))
    assert bounds.usable(B, has).generic == (("fpgas", 2),)
    assert bounds.usable(NodeId("c"), has) == NOTHING


@pytest.mark.parametrize("policy", Policy)
def test_it_says_who_may_pass_whom(policy: Policy) -> None:
    assert parse_resources(f"policy: {policy}") == Bounds(policy=policy)
    assert parse_resources("nodes: {}").policy is Policy.EASY


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold keys and values"),
        ("nodes: [a]", "nodes must hold keys"),
        ("{}", "none of `nodes`, `pools`, `policy`"),
        (
            "nodes: {}\npolicy: easy",
            "line 2: the policy must be one of FIFO, EASY, CONSERVATIVE, not",
        ),
        ("policy: [EASY]", "line 1: the policy must be one of"),
        ("nodes: {}\npool: {}", "line 2: 'pool' is not a key of it; did you mean pools?"),
        ("pools: [a]", "pools must hold keys"),
        ("pools:\n  large: a", "line 2: the pool large must be a list of nodes"),
        ("pools:\n  large: []", "line 2: the pool large must be a list of nodes"),
        ("pools:\n  Large: [a]", "line 2: 'Large' can't be the name of a pool"),
        ("pools:\n  large: [a, [b]]", "line 2: \"['b']\" can't be the name of a node"),
        ("nodes: {node1: }\npools:\n  l: [node2]", "line 3: `nodes` lacks node2 of the pool l"),
        ("nodes:\n  A: {}", "line 2: 'A' can't be the name of a node"),
        ("nodes:\n  a: 4", "line 2: nodes.a must hold keys"),
        ("nodes:\n  a:\n    cpu: 4", "line 3: 'cpu' is not a key of a node; did you mean cpus?"),
        ("nodes:\n  a: {cpus: many}", "line 2: node a: 'many' is not a number of CPUs"),
        ("nodes:\n  a: {cpus: [1]}", "line 2: node a"),
        ("nodes:\n  a: {memory: 4}", "line 2: node a: '4' has no unit"),
        ("nodes:\n  a: {}\n  a: {}", "stands twice"),
        ("nodes:\n  a: {gpus: -1}", "line 2: node a: gpus must be a whole number from 0"),
        ("nodes:\n  a: {generic: {x: 1.5}}", "line 2: node a: x must be a whole number from 0"),
        ("nodes:\n  a: {generic: {gpus: 1}}", "line 2: node a: GPUs are no generic resource"),
        ("nodes:\n  a: {generic: {X y: 1}}", "can't be the name of a generic resource"),
        ("nodes:\n  a: {generic: [x]}", "generic must hold at most"),
        ("maintenance: {}", "line 1: the maintenance must be a list"),
        ("maintenance:\n  - {nodes: [a]}", "line 2: a window of maintenance has all of these"),
        (f"maintenance:\n  - {WINDOW}\nnodes: {{b: }}", "line 2: `nodes` lacks a of a window's"),
        (
            f"maintenance:\n  - {WINDOW.replace('06:', '19:')}",
            "maintenance: `until` must be later than `from`",
        ),
        (f"maintenance:\n  - {WINDOW.replace('06:00', 'noon')}", "line 2: a window of maint"),
        (f"maintenance:\n  - {WINDOW.replace('disks', '7')}", "line 2: the why of a maintenance"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_resources(text)
    assert says in str(error.value)


pieces = st.dictionaries(st.sampled_from(["gpus", "licence_x"]), st.integers(0, 3)).map(generic)
amounts = st.builds(Resources, st.integers(0, 9_000), st.integers(0, 9_000), pieces)


@given(amounts, amounts, st.none() | amounts)
def test_a_node_gives_no_more_than_it_may_beside_what_it_gives_already(
    capacity: Resources, held: Resources, most: Resources | None
) -> None:
    node = Node(A, capacity, capacity - held, NodeState.UP, frozenset())
    (seen,) = limited([node], Bounds({B: capacity} if most is None else {A: most}))
    plain = replace(seen.capacity, generic=())
    assert plain.fits_in(most or NOTHING)
    assert plain.fits_in(capacity)
    assert seen.free + held == seen.capacity
    assert (seen.id, seen.state) == (A, NodeState.UP)


def test_a_file_that_is_wrong_or_gone_stops_the_start_and_later_changes_nothing(
    tmp_path: Path,
) -> None:
    node = Node(A, Resources(4_000, 100), Resources(4_000, 100), NodeState.UP, frozenset())
    file = LimitsFile(tmp_path / "resources.yaml")
    with pytest.raises(InvalidInput, match="can't be read"):
        asyncio.run(file.open())
    (tmp_path / "resources.yaml").write_text("nodes: {a: {cpus: 2}}")
    asyncio.run(file.open())
    for spoil in (lambda path: path.write_text("nodes: x"), Path.unlink):
        spoil(tmp_path / "resources.yaml")
        asyncio.run(file.look())
        assert file.limit([node])[0].capacity.millicpus == 2_000
    assert file.policy is Policy.EASY
    (tmp_path / "resources.yaml").write_text("nodes: {a: {cpus: 1}}\npolicy: FIFO")
    asyncio.run(file.look())
    assert file.policy is Policy.FIFO
    assert file.limit([node])[0].capacity.millicpus == 1_000
    assert LimitsFile(None).limit([node]) == (node,)
