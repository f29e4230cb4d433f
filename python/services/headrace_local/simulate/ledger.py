"""The ledger of shares, by the rules of transition.lua.

`tests/integration/test_simulated_ledger.py` plays the same moves on both and compares.
"""

from collections.abc import Iterable, Sequence

from headrace_model.ids import NodeId
from headrace_model.resources import Resources, Share


class NoRoom(Exception):
    """A node has less free than a share takes, or offers nothing at all: nothing was taken."""

    def __init__(self, node: NodeId) -> None:
        super().__init__(f"{node} has no room")
        self.node = node


class Ledger:
    """What is free on each node, and which run holds what there."""

    def __init__(self, nodes: Iterable[tuple[NodeId, Resources]]) -> None:
        self.free = dict(nodes)
        self._held: dict[NodeId, dict[str, Resources]] = {node: {} for node in self.free}

    def take(self, run: str, shares: Sequence[Share]) -> None:
        """Take all shares of a run or, with `NoRoom`, none; a run takes one share of a node."""
        if len({share.node for share in shares}) < len(shares):
            raise ValueError("an attempt takes one share of a node")
        for share in shares:
            room = self.free.get(share.node)
            if room is None or not share.resources.fits_in(room):
                raise NoRoom(share.node)
        for share in shares:
            self.free[share.node] -= share.resources
            self._held[share.node][run] = share.resources

    def give_back(self, run: str, nodes: Iterable[NodeId]) -> None:
        """Give back what a run holds on these nodes; what it doesn't hold comes back no more."""
        for node in nodes:
            share = self._held.get(node, {}).pop(run, None)
            if share is not None:
                self.free[node] += share
