"""What of the nodes may be used, where an admin has said so in resources.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headrace_model.ids import NodeId
from headrace_model.resources import NOTHING, Resources
from headrace_scheduler.core.snapshot import Node


def limited(nodes: Sequence[Node], limits: Mapping[NodeId, Resources]) -> tuple[Node, ...]:
    """The nodes with no more than `limits` gives them; one that is missing there has nothing.

    What jobs hold already stays theirs: a node that gives more than it may now is full.
    """
    return tuple(_limited(node, limits.get(node.id, NOTHING)) for node in nodes)


def _limited(node: Node, most: Resources) -> Node:
    capacity = Resources(
        min(node.capacity.millicpus, most.millicpus),
        min(node.capacity.memory_bytes, most.memory_bytes),
    )
    held = node.capacity - node.free
    return replace(node, capacity=capacity, free=capacity - held)
