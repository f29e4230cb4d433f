"""The nodes of a simulation: said on the command line, by a resources.yaml, or by the trace."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headrace_local.simulate.trace import Trace
from headrace_model.bounds import Policy
from headrace_model.errors import InvalidInput, NotFound
from headrace_model.ids import NodeId
from headrace_model.nearest import did_you_mean
from headrace_model.node import NodeState
from headrace_model.resources import Resources
from headrace_model.units import parse_cpus, parse_size
from headrace_scheduler.core.snapshot import Node
from headrace_wire.resourcesfile import UNLIMITED, parse_resources

MOST_NODES: Final = 10_000
BACKEND: Final = "process"
_LARGEST_BYTES: Final = 1 << 20
_SAID: Final = re.compile(r"(?:([0-9]{1,6})x)?([0-9]{1,6}(?:\.[0-9]{1,3})?)(?:,(.+))?")
_HOW: Final = "--nodes 16x8,32GiB: 16 nodes of 8 CPUs and 32 GiB each"


def said_nodes(texts: Sequence[str]) -> tuple[Node, ...]:
    """Nodes as `[COUNTx]CPUS[,MEMORY]` says; without MEMORY it is as much as anybody asks."""
    sizes: list[Resources] = []
    for text in texts:
        match = _SAID.fullmatch(text.replace(" ", ""))
        if not match:
            raise InvalidInput(f"--nodes {text[:60]!r} says no nodes", hint=_HOW)
        count = int(match[1] or 1)
        memory = parse_size(match[3]) if match[3] else UNLIMITED.memory_bytes
        size = Resources(parse_cpus(match[2]), memory)
        if not count or not size.millicpus:
            raise InvalidInput(f"--nodes {text}: one node and some CPU at least", hint=_HOW)
        if len(sizes) + count > MOST_NODES:
            raise InvalidInput(f"more than {MOST_NODES:,} nodes", hint="simulate a part of them")
        sizes += [size] * count
    digits = len(str(len(sizes)))
    return tuple(
        _node(f"node{at:0{digits}}", size, frozenset()) for at, size in enumerate(sizes, start=1)
    )


def nodes_of_file(path: Path, pool: str | None) -> tuple[tuple[Node, ...], Policy]:
    """The nodes that a resources.yaml gives, those of `pool` alone if it is said, and the policy.

    Each must say its CPUs: there is no machine here that would tell them.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise InvalidInput(f"{path} is larger than {_LARGEST_BYTES} bytes")
    bounds = parse_resources(content)
    if not bounds.nodes:
        raise InvalidInput(f"{path} names no nodes", hint="nodes: {node1: {cpus: 8}}")
    if pool is not None and pool not in bounds.pools:
        raise NotFound(f"{path} has no pool {pool}", hint=did_you_mean(pool, bounds.pools))
    found = []
    for name, size in bounds.nodes.items():
        if size.millicpus >= UNLIMITED.millicpus:
            raise InvalidInput(
                f"{path}: {name} has no `cpus`, and no machine is there to tell them",
                hint=f"{name}: {{cpus: 8}}",
            )
        pools = bounds.pools_of(name)
        if pool is None or pool in pools:
            found.append(_node(name, size, pools))
    return tuple(found), bounds.policy


def nodes_of_trace(trace: Trace) -> tuple[Node, ...]:
    """The machine that a trace tells of in its head; as many like nodes as it had."""
    if not trace.cpus:
        raise InvalidInput(
            f"{trace.source} doesn't tell its machine (; MaxNodes, ; MaxProcs)",
            hint=f"give nodes, such as {_HOW}",
        )
    count = min(trace.nodes or 1, trace.cpus)
    each, more = divmod(trace.cpus, count)
    texts = [f"{more}x{each + 1}"] if more else []
    return said_nodes([*texts, f"{count - more}x{each}"])


def _node(name: str, size: Resources, pools: frozenset[str]) -> Node:
    return Node(NodeId(name), size, size, NodeState.UP, frozenset({BACKEND}), pools)
