"""When nodes together hold a job that is cut: sums over all nodes of what each holds of it.

The arithmetic is that of `headrace_model/fit.py` (`pieces`), over arrays. Products of amounts
don't fit into machine words, so what is needed for one CPU, two, three... stands in a table.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace_model.fit import CPU
from headrace_model.resources import Resources
from headrace_scheduler.core.running import Amounts, Moments, words

Flags = NDArray[np.bool_]
# Steps of one node after the other, by their moments: which are the first of a node; whole CPUs of
# the job that fit from then on; whether its fraction fits beside them.
Change = tuple[Moments, Flags, Amounts, Amounts]
_OPEN: Final = 2
_SPAN: Final = 2**43  # ms; further off is as far as that


class Pieces:
    """How much of a job that is cut a room holds; rows as a timeline has them."""

    def __init__(self, asked: Resources, names: Sequence[str], most_millicpus: int) -> None:
        self.wanted, self.fraction = divmod(asked.millicpus, CPU)
        # With more than is wanted it fits, however much more it is.
        self._most = min(self.wanted, max(most_millicpus, 0) // CPU) + 1
        by_row = {1: asked.memory_bytes}
        by_row |= {_OPEN + 1 + names.index(name): amount for name, amount in asked.generic}
        self._whole = {
            row: self._with(asked.millicpus, amount, 1, 0) for row, amount in by_row.items()
        }
        self._beside = {
            row: self._with(asked.millicpus, amount, 0, self.fraction)
            for row, amount in by_row.items()
        }

    def _with(self, millicpus: int, amount: int, first: int, fraction: int) -> Amounts:
        """What goes with each number of CPUs and the fraction, rounded up."""
        counts = range(first, self._most + 1)
        needed = (-(-amount * (count * CPU + fraction) // millicpus) for count in counts)
        return words(needed)

    def in_room(self, room: Amounts, usable: Flags | None) -> tuple[Amounts, Amounts]:
        """Whole CPUs that fit, and whether (0, 1) the fraction fits beside them."""
        ok = (room[1:] >= 0).all(axis=0)
        if usable is not None:
            ok &= usable
        whole = np.minimum(room[0] // CPU, self._most)
        for row, needed in self._whole.items():
            whole = np.minimum(whole, np.searchsorted(needed, room[row], side="right"))
        whole = np.where(ok, np.maximum(whole, 0), 0)
        if not self.fraction:
            return whole, np.zeros_like(whole)
        ok &= whole * CPU + self.fraction <= room[0]
        for row, needed in self._beside.items():
            ok &= needed[whole] <= room[row]
        return whole, ok.astype(np.int64)


def windows(
    at: Moments, first: Flags, room: Amounts, lasts_ms: float, now_ms: int
) -> tuple[Moments, Flags, NDArray[np.int64], Amounts]:
    """What nodes have all the time for so long, from each moment on at which that changes: the
    moments, which are the first of a node, a step of that node, and what it has."""
    node = np.cumsum(first, dtype=np.int64) - 1
    # Whole numbers: with some hundred nodes in one order floating point rounds the moments.
    since = np.minimum(at - now_ms, _SPAN).astype(np.int64)
    lasts = int(min(lasts_ms, _SPAN))
    moments = np.concatenate([since, since - lasts + 1])
    nodes = np.concatenate([node, node])
    places = np.concatenate([np.arange(len(at)), np.arange(len(at))])
    coming = moments >= 0
    moments, nodes, places = moments[coming], nodes[coming], places[coming]
    order = np.lexsort((moments, nodes))
    moments, nodes, places = moments[order], nodes[order], places[order]
    # All steps in one order: those of a node lie within a span of their own.
    keys = node * (4 * _SPAN) + since
    own = nodes * (4 * _SPAN)
    begin = np.searchsorted(keys, own + moments, side="right") - 1
    end = np.searchsorted(keys, own + moments + lasts, side="left")
    pairs = np.stack([begin, np.maximum(end, begin + 1)], axis=1).ravel()
    closed = np.concatenate([room, room[:, -1:]], axis=1)
    least = np.minimum.reduceat(closed, pairs, axis=1)[:, ::2]
    begins = np.r_[True, nodes[1:] != nodes[:-1]]
    return (moments + now_ms).astype(np.float64), begins, places, least


def first_sum(changes: Sequence[Change], pieces: Pieces) -> int | None:
    """The first moment at which all nodes together hold the job."""
    at = np.concatenate([change[0] for change in changes])
    more = np.concatenate([_steps(change[2], change[1]) for change in changes])
    corners = np.concatenate([_steps(change[3], change[1]) for change in changes])
    changed = np.flatnonzero((more != 0) | (corners != 0))
    changed = changed[np.argsort(at[changed], kind="stable")]
    if not len(changed):
        return None
    at = at[changed]
    whole, corner = more[changed].cumsum(), corners[changed].cumsum()
    fits = whole > pieces.wanted
    fits |= (whole == pieces.wanted) & ((corner > 0) if pieces.fraction else True)
    fits &= np.append(at[1:], inf) > at  # once all that changes at that moment is counted
    found = np.flatnonzero(fits)
    return int(at[found[0]]) if len(found) else None


def _steps(held: Amounts, first: Flags) -> Amounts:
    """By how much each differs from the one before it of the same node."""
    by = held.copy()
    by[1:] -= np.where(first[1:], 0, held[:-1])
    return by
