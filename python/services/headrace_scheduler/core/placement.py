"""Where the resources of one attempt go, all or nothing (gang).

A node can hold `c` of the `C` millicpus of a job that asks `M` bytes when it has `c` millicpus and
at least `M * c / C` bytes free: memory goes with the CPUs. Shares are whole bytes: the part of
each is its exact proportion rounded down or up, and all shares together are exactly what was
asked. Since free memory is a whole number, rounding up never takes more than a node has. What is
counted by the piece (GPUs, generic resources) goes with the CPUs in the same way.

A job is cut between whole CPUs only (1000 millicpus); at most one share holds the fraction. Less
than one CPU is never cut, whatever the paradigm, nor is a job that asks no CPU at all.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import StrEnum

from headrace_model.fit import CPU, can_hold_cut, part_of, part_with, undivided, whole_cpus
from headrace_model.ids import NodeId
from headrace_model.resources import Allocation, Generic, Paradigm, Resources, Share
from headrace_scheduler.core.slots import dealt, share_out


class Reason(StrEnum):
    """Why a job waits. `place` answers NO_NODE_UP or NO_ROOM; the others come from `plan`."""

    HELD = "HELD"
    NOT_BEFORE = "NOT_BEFORE"
    BACK_OFF = "BACK_OFF"
    DEADLINE = "DEADLINE"  # it can't end in time any more, and is about to be ended
    QUOTA = "QUOTA"  # its owner, or a group of theirs, uses as much as they may at a time
    NO_NODE_KNOWN = "NO_NODE_KNOWN"
    NO_NODE_UP = "NO_NODE_UP"
    NO_BACKEND = "NO_BACKEND"
    TOO_LARGE = "TOO_LARGE"  # larger than all nodes that are up, even when they are empty
    RESERVED = "RESERVED"  # first of the blocked jobs: room is kept for it
    BEHIND_RESERVATION = "BEHIND_RESERVATION"  # there is room, but it is reserved for others
    MAINTENANCE = "MAINTENANCE"  # first of the blocked jobs: it would run into a window
    IN_TURN = "IN_TURN"  # the policy lets no job pass the first of the blocked ones
    NO_ROOM = "NO_ROOM"
    NEXT_PLAN = "NEXT_PLAN"  # this plan was full before the job's turn


# The nodes that hold inputs of a job, those with most of them first.
Near = Sequence[NodeId]
_AtHand = Mapping[tuple[int, int], Sequence[NodeId]]
_Asked = tuple[int, int, Generic]


def place(
    asked: Resources,
    paradigm: Paradigm,
    nodes_free: Mapping[NodeId, Resources],
    near: Near = (),
    spread: bool = False,
) -> Allocation | Reason:
    """Find an allocation in what the nodes have free, or tell why there is none.

    * SINGLE_NODE: the node that keeps the fewest free CPUs, then the least memory, then by id;
      with `spread` the one that has most.
    * FILL_NODES: the node with the most free CPUs is filled first, and so on; as soon as one node
      can hold all the rest, the tightest such node takes it.
    * ROUND_ROBIN: CPUs are dealt one by one, over and over, beginning with the node that has the
      most free; a node that can take no more is passed over.

    What goes to one node and asks nothing by the piece leaves nodes that have GPUs or other
    generic resources free to those who ask them, if it fits elsewhere.
    Of nodes that have as much free, those that hold inputs (`near`, in that order) go before the
    one with the lowest id: what is left free is the same with it and without.

    Total for every non-negative request; a node with negative room counts as full. An allocation
    is found exactly if one exists, and doesn't depend on the order of `nodes_free`.
    """
    return Room(nodes_free).find(asked, paradigm, near, spread)


class Room:
    """An index of free room for many searches: nodes ordered by free CPUs, memory, id.

    What was not found is remembered until room grows, and what `holds` has found until room
    shrinks, so that a queue of thousands of jobs that can't start costs little.
    """

    __slots__ = (
        "_cpus",
        "_free",
        "_kinds",
        "_no_cut",
        "_no_whole",
        "_order",
        "_pieces",
        "_yes_cut",
        "_yes_whole",
    )

    def __init__(self, nodes_free: Mapping[NodeId, Resources]) -> None:
        self._free = {node: _usable(free) for node, free in nodes_free.items()}
        self._order = sorted((cpus, memory, node) for node, (cpus, memory) in self._free.items())
        # Nodes with generic resources free.
        self._pieces = {node: free.generic for node, free in nodes_free.items() if free.generic}
        self._cpus = sum(cpus // CPU for cpus, _ in self._free.values() if cpus > 0)  # whole ones
        self._kinds: Counter[Resources] | None = None  # how many nodes have just so much free
        self._no_whole: list[_Asked] = []
        self._no_cut: list[_Asked] = []
        self._yes_cut: list[_Asked] = []
        self._yes_whole: list[_Asked] = []

    def copy(self) -> "Room":
        """One that changes apart."""
        room = Room({})
        room._free, room._order = self._free.copy(), self._order.copy()
        room._pieces, room._cpus = self._pieces.copy(), self._cpus
        room._no_whole, room._no_cut = self._no_whole.copy(), self._no_cut.copy()
        room._yes_whole, room._yes_cut = self._yes_whole.copy(), self._yes_cut.copy()
        return room

    def __contains__(self, node: NodeId) -> bool:
        return node in self._free

    def set(self, node: NodeId, free: Resources) -> None:
        """Write what a node of this index has free now."""
        cpus, memory = self._free[node]
        now = _usable(free)
        del self._order[bisect_left(self._order, (cpus, memory, node))]
        insort(self._order, (*now, node))
        self._free[node] = now
        self._cpus += max(now[0], 0) // CPU - max(cpus, 0) // CPU
        self._kinds = None
        self._yes_cut.clear()
        self._yes_whole.clear()
        before = self._pieces.pop(node, ())
        if free.generic:
            self._pieces[node] = free.generic
        if now[0] > cpus or now[1] > memory or before != free.generic:
            self._no_whole.clear()
            self._no_cut.clear()

    def find(
        self, asked: Resources, paradigm: Paradigm, near: Near = (), spread: bool = False
    ) -> Allocation | Reason:
        """Search as `place` does."""
        if not self._order:
            return Reason.NO_NODE_UP
        cpus, memory, pieces = asked.millicpus, asked.memory_bytes, asked.generic
        if undivided(asked, paradigm):
            for no_cpus, no_memory, no_pieces in self._no_whole:
                if no_cpus <= cpus and no_memory <= memory and no_pieces in ((), pieces):
                    return Reason.NO_ROOM
            search = self._emptiest if spread else self._tightest
            node = search(asked, (), self._by_room(near))
            if node is None:
                _remember(self._no_whole, asked)
                return Reason.NO_ROOM
            return Allocation((Share(node, asked),))
        if self._too_much(asked):
            return Reason.NO_ROOM
        at_hand = self._by_room(near)
        fill = paradigm is Paradigm.FILL_NODES
        parts = self._fill(asked, at_hand) if fill else self._deal(asked, at_hand)
        if parts is None:
            _remember(self._no_cut, asked)
            return Reason.NO_ROOM
        return _with_the_rest(asked, parts)

    def find_slots(
        self,
        task: Resources,
        paradigm: Paradigm,
        most: int,
        near: Near = (),
        spread: bool = False,
    ) -> Allocation | Reason:
        """Search slots for up to `most` tasks, one at least (see `slots`)."""
        one = self.find(task, Paradigm.SINGLE_NODE, near, spread)
        if not isinstance(one, Allocation) or most == 1:
            return one
        rooms = ((*each, self._pieces.get(each[2], ())) for each in self._order)
        return share_out(task, paradigm, most, rooms, near, spread) or Reason.NO_ROOM

    def holds(self, asked: Resources, paradigm: Paradigm) -> bool:
        """Tell whether `find` would find an allocation; cheaper when asked again and again."""
        cpus, memory, pieces = asked.millicpus, asked.memory_bytes, asked.generic
        whole = undivided(asked, paradigm)
        # What asks no more of each (a job that is cut: no more memory per CPU) has room too.
        if whole:
            for yes_cpus, yes_memory, yes_pieces in self._yes_whole:
                if cpus <= yes_cpus and memory <= yes_memory and pieces in ((), yes_pieces):
                    return True
        elif not pieces:
            for yes_cpus, yes_memory, _ in self._yes_cut:
                if cpus <= yes_cpus and memory * yes_cpus <= yes_memory * cpus:
                    return True
        if whole:
            found = isinstance(self.find(asked, paradigm), Allocation)
        else:
            found = not self._too_much(asked) and self._holds_cut(asked)
        if found:
            _remember(self._yes_whole if whole else self._yes_cut, asked)
        elif not whole:
            _remember(self._no_cut, asked)
        return found

    def _too_much(self, asked: Resources) -> bool:
        """Tell whether it is known that a job that is cut has no room."""
        cpus, memory, pieces = asked.millicpus, asked.memory_bytes, asked.generic
        if cpus // CPU > self._cpus:
            return True
        # At least as many CPUs with at least as much memory per CPU have no room either.
        for no_cpus, no_memory, no_pieces in self._no_cut:
            if no_pieces:
                if (no_cpus, no_memory, no_pieces) == (cpus, memory, pieces):
                    return True
            elif no_cpus <= cpus and no_memory * cpus <= memory * no_cpus:
                return True
        return False

    def _holds_cut(self, asked: Resources) -> bool:
        if self._kinds is None:
            self._kinds = Counter(
                Resources(cpus, memory, self._pieces.get(node, ()))
                for cpus, memory, node in self._order
            )
        return can_hold_cut(asked, self._kinds.items())

    def _tightest(
        self, part: Resources, taken: Set[NodeId] | tuple[()], at_hand: _AtHand
    ) -> NodeId | None:
        order, memory = self._order, part.memory_bytes
        begin = bisect_left(order, (part.millicpus,))
        if self._pieces or part.generic:
            rooms = (order[position] for position in range(begin, len(order)))
            return self._first(part, rooms, taken, at_hand)
        for position in range(begin, len(order)):
            entry = order[position]
            if entry[1] >= memory and entry[2] not in taken:
                alike = at_hand.get(entry[:2], ())
                return next((node for node in alike if node not in taken), entry[2])
        return None

    def _emptiest(
        self, part: Resources, taken: Set[NodeId] | tuple[()], at_hand: _AtHand
    ) -> NodeId | None:
        rooms = self._roomiest_first(at_hand, part.millicpus)
        return self._first(part, rooms, taken, at_hand)

    def _first(
        self,
        part: Resources,
        rooms: Iterator[tuple[int, int, NodeId]],
        taken: Set[NodeId] | tuple[()],
        at_hand: _AtHand,
    ) -> NodeId | None:
        """The first of `rooms` that holds the part, or one near inputs with as much."""
        memory, pieces = part.memory_bytes, self._pieces
        with_pieces: NodeId | None = None
        for entry in rooms:
            node = entry[2]
            if entry[1] < memory or node in taken:
                continue
            if part.generic and not self._has(node, part):
                continue
            alike = at_hand.get(entry[:2], ())
            node = next((n for n in alike if n not in taken and self._has(n, part)), node)
            if part.generic or node not in pieces:
                return node
            with_pieces = with_pieces or node
            if len(pieces) == len(self._free):
                break
        return with_pieces

    def _has(self, node: NodeId, part: Resources) -> bool:
        here = dict(self._pieces.get(node, ()))
        return all(amount <= here.get(name, 0) for name, amount in part.generic)

    def _by_room(self, near: Near) -> _AtHand:
        """The nodes that are near, by what they have free."""
        found: dict[tuple[int, int], list[NodeId]] = {}
        for node in near:
            free = self._free.get(node)
            if free is not None:
                found.setdefault(free, []).append(node)
        return found

    def _roomiest_first(
        self, at_hand: _AtHand, least: int = CPU
    ) -> Iterator[tuple[int, int, NodeId]]:
        """Most CPUs, then most memory, then the nearest, then the lowest id; stops where less than
        `least` millicpus are left (a whole CPU)."""
        order = self._order
        end = len(order)
        while end:
            cpus, memory, _ = order[end - 1]
            if cpus < least:
                return
            begin = bisect_left(order, (cpus, memory), 0, end)
            first = at_hand.get((cpus, memory), ())
            yield from ((cpus, memory, node) for node in first)
            others = order[begin:end]
            yield from [each for each in others if each[2] not in first] if first else others
            end = begin

    def _fill(self, asked: Resources, at_hand: _AtHand) -> list[tuple[NodeId, int]] | None:
        left, fraction = divmod(asked.millicpus, CPU)
        parts: dict[NodeId, int] = {}
        rest = 0
        for cpus, memory, node in self._roomiest_first(at_hand):
            if left == 0:
                break
            if rest != left * CPU + fraction:
                rest = left * CPU + fraction
                last = self._tightest(part_with(asked, rest), parts.keys(), at_hand)
                if last is not None:
                    parts[last] = rest
                    return list(parts.items())
            here = self._pieces.get(node, ())
            whole = min(whole_cpus(asked, cpus, memory, here), left)
            if whole:
                parts[node] = whole * CPU
                left -= whole
        if left:
            return None
        return self._add_fraction(asked, parts, fraction, list(parts), at_hand)

    def _deal(self, asked: Resources, at_hand: _AtHand) -> list[tuple[NodeId, int]] | None:
        wanted, fraction = divmod(asked.millicpus, CPU)
        nodes: list[NodeId] = []
        limits: list[int] = []
        for cpus, memory, node in self._roomiest_first(at_hand):
            whole = whole_cpus(asked, cpus, memory, self._pieces.get(node, ()))
            if whole:
                nodes.append(node)
                limits.append(whole)
                if len(nodes) > wanted:  # each gets one at most; more nodes change nothing
                    break
        if sum(limits) < wanted:
            return None
        counts, following = dealt(limits, wanted)
        parts = {node: count * CPU for node, count in zip(nodes, counts, strict=True)}
        in_turn = nodes[following:] + nodes[:following]
        return self._add_fraction(asked, parts, fraction, in_turn, at_hand)

    def _add_fraction(
        self,
        asked: Resources,
        parts: dict[NodeId, int],
        fraction: int,
        in_turn: list[NodeId],
        at_hand: _AtHand,
    ) -> list[tuple[NodeId, int]] | None:
        """Give the fraction to the first of `in_turn` with a corner left, else to another node."""
        if fraction:
            for node in in_turn:
                cpus, memory = self._free[node]
                with_fraction = parts[node] + fraction
                needed = part_with(asked, with_fraction)
                if with_fraction <= cpus and needed.memory_bytes <= memory:
                    if needed.generic and not self._has(node, needed):
                        continue
                    parts[node] = with_fraction
                    break
            else:
                other = self._tightest(part_with(asked, fraction), parts.keys(), at_hand)
                if other is None:
                    return None
                parts[other] = fraction
        return [(node, cpus) for node, cpus in parts.items() if cpus]


def _usable(free: Resources) -> tuple[int, int]:
    """Millicpus and bytes; an overdrawn node is below 0, so that not even 0 fits."""
    if free.millicpus < 0 or free.memory_bytes < 0:
        return -1, -1
    if free.generic and any(amount < 0 for _, amount in free.generic):
        return -1, -1
    return free.millicpus, free.memory_bytes


def _remember(answers: list[_Asked], asked: Resources) -> None:
    """Keep an answer, but not so many that reading them costs more than a new search."""
    if len(answers) < 128:
        answers.append((asked.millicpus, asked.memory_bytes, asked.generic))


def _with_the_rest(asked: Resources, parts: list[tuple[NodeId, int]]) -> Allocation:
    """Cut what goes with the CPUs at the running sums of these, so that each part is exact."""
    shares = []
    begin = 0
    for node, cpus in parts:
        shares.append(Share(node, part_of(asked, begin, begin + cpus)))
        begin += cpus
    return Allocation(tuple(shares))
