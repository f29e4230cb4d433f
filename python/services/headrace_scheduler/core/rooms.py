"""What may be used now, by how long a job may run: past a moment from which on something is kept
on a node there is less of it.

Jobs that end before anything is kept have all that is free. Each moment at which something begins
to be kept parts those who end by then from those who may run on.
"""

from bisect import bisect_left
from collections.abc import Collection, Hashable, Mapping
from math import inf

from headrace_model.ids import NodeId
from headrace_model.resources import Allocation, Share
from headrace_scheduler.core.placement import Near, Reason, Room
from headrace_scheduler.core.profile import Profile, usable
from headrace_scheduler.core.snapshot import Node, WaitingJob


class Rooms:
    """Room for jobs that end by `until_ms`, indexed by each kind of node that jobs ask for."""

    def __init__(self, profile: Profile, nodes: Mapping[NodeId, Node], until_ms: float) -> None:
        self._profile = profile
        self._nodes = nodes
        self._until_ms = until_ms
        self._rooms: dict[Hashable, tuple[WaitingJob, Room]] = {}
        self.changed: set[NodeId] = set()

    def copy(self, until_ms: float) -> "Rooms":
        """The same room for jobs that end earlier, before anything more is kept."""
        rooms = Rooms(self._profile, self._nodes, until_ms)
        rooms._rooms = {where: (job, room.copy()) for where, (job, room) in self._rooms.items()}
        rooms.changed = self.changed.copy()
        return rooms

    def find(self, job: WaitingJob, near: Near) -> Allocation | Reason:
        """Search a place as `placement.place` does."""
        room = self._room(job)
        if job.tasks is None:
            found = room.find(job.resources, job.paradigm, near, job.spread)
        else:
            found = room.find_slots(job.resources, job.paradigm, job.tasks, near, job.spread)
        if job.whole_node and isinstance(found, Allocation):
            free = self._profile.free
            return Allocation(tuple(Share(s.node, free[s.node]) for s in found.shares))
        return found

    def holds(self, job: WaitingJob) -> bool:
        """Tell whether there is a place."""
        return self._room(job).holds(job.resources, job.cut)

    def _room(self, job: WaitingJob) -> Room:
        if self.changed:
            self._count_changes()
        found = self._rooms.get(job.where)
        if found is None:
            free = self._profile.all_through(self._until_ms)
            able = [node for node in self._nodes.values() if job.may_use(node)]
            if job.whole_node:
                room = Room({node.id: usable(job, node, free[node.id]) for node in able})
            else:
                room = Room({node.id: free[node.id] for node in able})
            found = self._rooms[job.where] = job, room
        return found[1]

    def _count_changes(self) -> None:
        for id in self.changed:
            free = self._profile.through(id, self._until_ms)
            for job, room in self._rooms.values():
                if id in room:
                    whole = job.whole_node
                    room.set(id, usable(job, self._nodes[id], free) if whole else free)
        self.changed.clear()


class Horizons:
    """The rooms for each time by which a job may end."""

    def __init__(self, profile: Profile, nodes: Mapping[NodeId, Node]) -> None:
        self._profile = profile
        self._nodes = nodes
        self._begins: list[float] = []  # when something begins to be kept
        self._rooms = [Rooms(profile, nodes, inf)]

    def ending(self, by_ms: float) -> Rooms:
        """What a job may use that ends by then."""
        return self._rooms[bisect_left(self._begins, by_ms)]

    def begin(self, at_ms: float) -> None:
        """Something is to be kept from then on: to be called before the profile has it."""
        position = bisect_left(self._begins, at_ms)
        if self._begins[position : position + 1] != [at_ms]:
            self._rooms.insert(position, self._rooms[position].copy(at_ms))
            self._begins.insert(position, at_ms)

    def change(self, nodes: Collection[NodeId]) -> None:
        """There is less room on these nodes."""
        for rooms in self._rooms:
            rooms.changed.update(nodes)
