"""What of the nodes may be used, where an admin has said so in resources.yaml."""

from collections.abc import Sequence
from dataclasses import replace

from headrace_model.bounds import Bounds
from headrace_scheduler.core.snapshot import Node


def limited(nodes: Sequence[Node], bounds: Bounds) -> tuple[Node, ...]:
    """The nodes with no more than an admin lets be used of them, with their pools and windows.

    What jobs hold already stays theirs: a node that gives more than it may now is full.
    """
    if bounds.nodes is None and not bounds.pools and not bounds.maintenance:
        return tuple(nodes)
    return tuple(_limited(node, bounds) for node in nodes)


def _limited(node: Node, bounds: Bounds) -> Node:
    capacity = bounds.usable(node.id, node.capacity)
    held = node.capacity - node.free
    pools = bounds.pools_of(node.id)
    windows = bounds.maintenance.get(node.id, ())
    return replace(node, capacity=capacity, free=capacity - held, pools=pools, windows=windows)
