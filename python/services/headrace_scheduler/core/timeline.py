"""What all nodes have free from which moment on, in flat arrays, so that one look at all of them
costs a few passes over machine words.

A *step* is a moment, its node, and what that has free from then until its next step. The steps of
a node lie side by side in their order. Where a node changes they are written anew at the end, and
what they were belongs to nobody any more.

There is a row for each thing that is counted: millicpus, bytes, OPEN (0, and less while the node
is shut) and whatever is counted by the piece. A node that has less than nothing of one of them
holds nothing at all.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import repeat
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace_model.ids import NodeId
from headrace_model.resources import Resources, generic
from headrace_scheduler.core.piecewise import Pieces, first_sum, windows
from headrace_scheduler.core.running import Amounts, Moments, Running, words
from headrace_scheduler.core.snapshot import Node, WaitingJob

CLOSED: Final = Resources(-1, -1)  # not even nothing fits
_OPEN: Final = 2
_LATE: Final = 2.0**60  # after all that is known
Flags = NDArray[np.bool_]
# The moments of a node's steps, and their rows.
Listed = tuple[list[float], list[list[int]]]


class Timeline:
    """The steps of these nodes, from `now_ms` on.

    An end that has passed without the room being back is taken to come any moment: 1 ms from now.
    """

    def __init__(self, nodes: Sequence[Node], running: Running, now_ms: int) -> None:
        self._now_ms = now_ms
        self._ids = [node.id for node in nodes]
        self._places = {id: place for place, id in enumerate(self._ids)}
        back = [running.returns(id) for id in self._ids]
        named = {name for node in nodes for name, _ in node.capacity.generic}
        named.update(name for node in nodes for name, _ in node.free.generic)
        self._names = sorted(named.union(*(each.names for each in back if each.names)))
        self._capacity = self._table([*(node.capacity for node in nodes), CLOSED])
        counts = [len(each.ends_ms) for each in back]
        self._end = np.cumsum(counts, dtype=np.int64)
        self._begin = self._end - counts
        size = int(self._end[-1]) if counts else 0
        self._size = size
        spare = size // 2 + 1024
        self._at: Moments = np.full(size + spare, inf)
        self._room: Amounts = np.zeros((len(self._names) + 3, size + spare), dtype=np.int64)
        # Who is nobody stands behind all nodes.
        self._node = np.full(size + spare, len(self._ids), dtype=np.int64)
        self._first: Flags = np.zeros(size + spare, dtype=np.bool_)
        if size:
            self._at[:size] = np.concatenate([each.ends_ms for each in back])
            np.maximum(self._at[:size], now_ms + 1, out=self._at[:size])
            self._at[self._begin] = now_ms
            self._first[self._begin] = True
            self._node[:size] = np.repeat(np.arange(len(back)), counts)
            room = self._table([node.free for node in nodes])
            self._room[:, :size] = np.repeat(room, counts, axis=1)
            self._room[:2, :size] += np.concatenate([each.amounts[:2] for each in back], axis=1)
            for place, each in enumerate(back):
                for row, name in enumerate(each.names, start=2):
                    begin, end = self._begin[place], self._end[place]
                    self._room[self._row(name), begin:end] += each.amounts[row]
        self._dips: Flags = np.zeros(len(self._ids) + 1, dtype=np.bool_)
        self._able: dict[object, Flags] = {}
        self._lists: dict[int, Listed] = {}
        self._changed: set[int] = set()  # whose lists the arrays don't have

    def __len__(self) -> int:
        """How many steps there are."""
        return int((self._end - self._begin).sum())

    def take(
        self, node: NodeId, begin_ms: float, end_ms: float, what: Resources | None = None
    ) -> None:
        """There is so much less from one moment to another; without `what` the node is shut."""
        place = self._places[node]
        at, rows = self._listed(place)
        begin, end = _step_at(begin_ms, at, rows), _step_at(end_ms, at, rows)
        amounts = [0, 0, 1] if what is None else self._column(what)
        for row, amount in zip(rows, amounts, strict=False):
            if amount:
                row[begin:end] = [each - amount for each in row[begin:end]]
        if begin:
            self._dips[place] = True
        self._changed.add(place)

    def through(self, node: NodeId, end_ms: float) -> Resources:
        """What a node has free from now on until then, all the time."""
        at, rows = self._listed(self._places[node])
        end = max(bisect_left(at, end_ms), 1)
        return self._resources([(min(row[:end]),) for row in rows])[0]

    def over(
        self, begin_ms: float, end_ms: float, wanted: Flags | None = None
    ) -> dict[NodeId, Resources]:
        """What each node (with `wanted`: these) has free from one moment to another, all the
        time."""
        size = self._written()
        begin_ms = min(begin_ms, _LATE)
        until = np.full(size, inf)
        until[:-1] = np.where(self._first[1:size], inf, self._at[1:size])
        # The steps of a node end where others begin, whoever's these are.
        known = self._node[:size] < len(self._ids) if wanted is None else wanted[self._node[:size]]
        seen = np.flatnonzero(
            known & (until > begin_ms) & (self._at[:size] < max(end_ms, begin_ms + 1))
        )
        if not len(seen):
            return {}
        nodes = self._node[seen]
        starts = np.flatnonzero(np.r_[True, nodes[1:] != nodes[:-1]])
        least = np.minimum.reduceat(self._room[:, seen], starts, axis=1)
        ids = [self._ids[place] for place in nodes[starts].tolist()]
        return dict(zip(ids, self._resources(least.tolist()), strict=True))

    def first_whole(
        self, job: WaitingJob, nodes: Sequence[Node], lasts_ms: float
    ) -> tuple[int | None, dict[NodeId, Resources]]:
        """The first moment from which on one node holds the job for so long, and what those have
        all that time that do."""
        size = self._written()
        asked = self._asked(job.resources)
        if asked is None:
            return None, {}
        node = self._node[:size]
        fits = self._may_use(job, nodes)[node]
        for row, amount in enumerate(asked):
            fits &= self._room[row, :size] >= amount
        if job.whole_node:
            fits &= self._empty(self._room[:, :size], node)
        begins = fits.copy()
        begins[1:] &= ~fits[:-1] | self._first[1:size]
        begin = np.flatnonzero(begins)
        if not len(begin):
            return None, {}
        misfits = np.append(np.flatnonzero(~fits), size)
        stop = misfits[np.searchsorted(misfits, begin)]
        at = self._at[begin]
        until = np.where(stop < self._end[node[begin]], self._at[np.minimum(stop, size - 1)], inf)
        at, begin = at[until - at >= lasts_ms], begin[until - at >= lasts_ms]
        if not len(at):
            return None, {}
        at_ms = int(at.min())
        able = np.zeros(len(self._ids) + 1, dtype=np.bool_)
        able[node[begin[at == at_ms]]] = True
        return at_ms, self.over(at_ms, at_ms + lasts_ms, able)

    def first_cut(
        self, job: WaitingJob, nodes: Sequence[Node], lasts_ms: float
    ) -> tuple[int | None, dict[NodeId, Resources]]:
        """The first moment from which on the nodes together hold a job that is cut for so long,
        and what those have all that time that hold a part of it."""
        size = self._written()
        asked = self._asked(job.resources)
        if asked is None:
            return None, {}
        able = self._may_use(job, nodes)
        pieces = Pieces(job.resources, self._names, int(self._room[0, :size].max(initial=0)))

        def held(room: Amounts, node: NDArray[np.int64]) -> tuple[Amounts, Amounts]:
            usable = self._empty(room, node) if job.whole_node else None
            return pieces.in_room(room, usable)

        node = self._node[:size]
        grows = np.flatnonzero((able & ~self._dips)[node])
        dips = np.flatnonzero((able & self._dips)[node])
        changes = [(self._at[grows], self._first[grows], *held(self._room[:, grows], node[grows]))]
        if len(dips):
            at, first, places, room = windows(
                self._at[dips], self._first[dips], self._room[:, dips], lasts_ms, self._now_ms
            )
            changes.append((at, first, *held(room, node[dips][places])))
        at_ms = first_sum(changes, pieces)
        if at_ms is None:
            return None, {}
        rooms = self.over(at_ms, at_ms + lasts_ms, able)
        return at_ms, rooms

    def _listed(self, place: int) -> Listed:
        """The steps of a node that changes."""
        found = self._lists.get(place)
        if found is None:
            begin, end = self._begin[place], self._end[place]
            at = self._at[begin:end]
            last = np.append(at[1:] > at[:-1], True)  # of all that changes at one moment
            rows = self._room[:, begin:end][:, last].tolist()
            found = self._lists[place] = at[last].tolist(), rows
        return found

    def _written(self) -> int:
        """Have the steps of nodes that have changed in the arrays too; how many there are."""
        if not self._changed:
            return self._size
        places = sorted(self._changed)
        self._changed.clear()
        for place in places:
            self._node[self._begin[place] : self._end[place]] = len(self._ids)
        self._close_up()
        begin = self._size
        at: list[float] = []
        rows: list[list[int]] = [[] for _ in self._room]
        for place in places:
            moments, listed = self._lists[place]
            self._begin[place] = begin + len(at)
            at += moments
            self._end[place] = begin + len(at)
            for row, more in zip(rows, listed, strict=True):
                row += more
        self._size = end = begin + len(at)
        if end > len(self._at):
            more_of = max(len(self._at), len(at))
            self._at = np.concatenate([self._at, np.full(more_of, inf)])
            spare = np.zeros((len(rows), more_of), dtype=np.int64)
            self._room = np.concatenate([self._room, spare], axis=1)
            self._node = np.concatenate([self._node, np.full(more_of, len(self._ids))])
            self._first = np.concatenate([self._first, np.zeros(more_of, dtype=np.bool_)])
        self._at[begin:end] = at
        self._room[:, begin:end] = rows
        self._node[begin:end] = np.repeat(places, self._end[places] - self._begin[places])
        self._first[self._begin[places]] = True
        return end

    def _close_up(self) -> None:
        """Where more steps are nobody's than somebody's, let those go."""
        size = self._size
        known = np.flatnonzero(self._node[:size] < len(self._ids))
        if 2 * len(known) > size:
            return
        self._size = left = len(known)
        counts = self._end - self._begin
        self._begin = np.searchsorted(known, self._begin)
        self._end = self._begin + counts
        for row in (self._at, self._node, self._first, *self._room):
            row[:left] = row[known]
        self._first[left:size] = False

    def _row(self, name: str) -> int:
        """The row of what is counted by the piece; of what nobody knows that of OPEN."""
        place = bisect_left(self._names, name)
        known = self._names[place : place + 1] == [name]
        return _OPEN + 1 + place if known else _OPEN

    def _table(self, amounts: Sequence[Resources]) -> Amounts:
        """A column for each amount."""
        table = np.zeros((len(self._names) + 3, len(amounts)), dtype=np.int64)
        table[0] = words([each.millicpus for each in amounts])
        table[1] = words([each.memory_bytes for each in amounts])
        for column, each in enumerate(amounts):
            for name, amount in each.generic:
                table[self._row(name), column] += amount
        return table

    def _column(self, amount: Resources) -> list[int]:
        if not amount.generic:
            return [amount.millicpus, amount.memory_bytes]
        rows = [amount.millicpus, amount.memory_bytes, *[0] * (len(self._names) + 1)]
        for name, count in amount.generic:
            rows[self._row(name)] += count
        return rows

    def _asked(self, asked: Resources) -> list[int] | None:
        """What is asked, by rows; None: something that no node has."""
        rows = words(self._column(asked)).tolist()
        rows += [0] * (len(self._room) - len(rows))
        return None if rows[_OPEN] else rows

    def _may_use(self, job: WaitingJob, nodes: Sequence[Node]) -> Flags:
        """Which nodes are those that a job may use; nobody is never."""
        able = self._able.get(job.where)
        if able is None:
            able = np.zeros(len(self._ids) + 1, dtype=np.bool_)
            able[[self._places[node.id] for node in nodes]] = True
            self._able[job.where] = able
        return able

    def _empty(self, room: Amounts, node: NDArray[np.int64]) -> Flags:
        """Where a whole node is free."""
        empty: Flags = (room == self._capacity[:, node]).all(axis=0)
        return empty

    def _resources(self, rows: Sequence[Sequence[int]]) -> list[Resources]:
        cpus, memory, shut, *counted = rows
        pieces = [
            generic(dict(zip(self._names, each, strict=True)))
            for each in zip(*counted, strict=True)
        ]
        return [
            CLOSED if off < 0 else Resources(c, m, each)
            for off, c, m, each in zip(shut, cpus, memory, pieces or repeat(()), strict=False)
        ]


def _step_at(at_ms: float, at: list[float], rows: list[list[int]]) -> int:
    """Let a step begin at a moment."""
    place = bisect_left(at, at_ms)
    if at_ms < inf and at[place : place + 1] != [at_ms]:
        at.insert(place, at_ms)
        for row in rows:
            row.insert(place, row[place - 1])
    return place
