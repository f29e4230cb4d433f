"""Whether an amount could fit into nodes at all, and the largest that could.

The arithmetic of shares is in `can_hold` and what it calls; docs/design.md, section 5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from headrace_model.resources import GPUS, NOTHING, Generic, Paradigm, Resources, generic

CPU = 1000  # millicpus


def undivided(asked: Resources, paradigm: Paradigm) -> bool:
    """Tell whether the job goes to one node as a whole."""
    return paradigm is Paradigm.SINGLE_NODE or asked.millicpus <= CPU


def memory_with(asked: Resources, millicpus: int) -> int:
    """Bytes that a node must have free for that part of the job's CPUs (rounded up)."""
    return -(-asked.memory_bytes * millicpus // asked.millicpus) if asked.millicpus else 0


def part_with(asked: Resources, millicpus: int) -> Resources:
    """What a node must have free for that part of the job's CPUs (each rounded up)."""
    memory_bytes = memory_with(asked, millicpus)
    if not asked.generic or not asked.millicpus:
        return Resources(millicpus, memory_bytes)
    amounts = {name: -(-amount * millicpus // asked.millicpus) for name, amount in asked.generic}
    return Resources(millicpus, memory_bytes, generic(amounts))


def whole_cpus(asked: Resources, millicpus: int, memory_bytes: int, pieces: Generic = ()) -> int:
    """How many whole CPUs of the job, each with all that goes with it, that much room can hold."""
    if memory_bytes < 0:
        return 0
    by_cpu = millicpus // CPU
    if asked.memory_bytes > 0:
        by_cpu = min(by_cpu, memory_bytes * asked.millicpus // (asked.memory_bytes * CPU))
    if asked.generic:
        here = dict(pieces)
        for name, amount in asked.generic:
            by_cpu = min(by_cpu, here.get(name, 0) * asked.millicpus // (amount * CPU))
    return max(by_cpu, 0)


def pieces(asked: Resources, room: Resources) -> tuple[int, bool]:
    """Whole CPUs that fit in the room, and whether the job's fraction fits beside them."""
    if room.generic and any(amount < 0 for _, amount in room.generic):
        return 0, False
    whole = whole_cpus(asked, room.millicpus, room.memory_bytes, room.generic)
    fraction = asked.millicpus % CPU
    with_fraction = whole * CPU + fraction
    return whole, (
        fraction > 0
        and with_fraction <= room.millicpus
        and memory_with(asked, with_fraction) <= room.memory_bytes
        and (not asked.generic or part_with(asked, with_fraction).fits_in(room))
    )


def slots_in(task: Resources, room: Resources) -> int:
    """How many tasks that much room holds at a time (a task asks for a millicpu at least)."""
    slots = room.millicpus // task.millicpus
    if task.memory_bytes:
        slots = min(slots, room.memory_bytes // task.memory_bytes)
    if task.generic:
        here = dict(room.generic)
        slots = min(slots, *(here.get(name, 0) // amount for name, amount in task.generic))
    return max(slots, 0)


def part_of(asked: Resources, begin: int, end: int) -> Resources:
    """What goes with the millicpus from `begin` to `end` of a job that is cut there.

    Exact to the byte and piece: such parts, side by side, add up to what was asked.
    """
    whole = asked.millicpus
    if asked.generic:
        amounts = {
            n: amount * end // whole - amount * begin // whole for n, amount in asked.generic
        }
    return Resources(
        end - begin,
        asked.memory_bytes * end // whole - asked.memory_bytes * begin // whole,
        generic(amounts) if asked.generic else (),
    )


def can_hold(asked: Resources, paradigm: Paradigm, rooms: Iterable[Resources]) -> bool:
    """Tell whether `place` would find an allocation, without saying which."""
    if undivided(asked, paradigm):
        return any(asked.fits_in(room) for room in rooms)
    return can_hold_cut(asked, ((room, 1) for room in rooms))


def can_hold_cut(asked: Resources, rooms: Iterable[tuple[Resources, int]]) -> bool:
    """The same of a job that is cut; of each room there are so many."""
    wanted, fraction = divmod(asked.millicpus, CPU)
    # A whole CPU's place also takes the fraction, unless some node has a corner left for it.
    corner = fraction == 0
    total = 0
    for room, count in rooms:
        whole, corner_here = pieces(asked, room)
        total += whole * count
        corner = corner or corner_here
        if total > wanted or (corner and total == wanted):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job could never start; `largest` is what could, asked in the same way."""

    largest: Resources
    sentence: str


def never_fits(
    resources: Resources,
    paradigm: Paradigm,
    backend: str,
    nodes: Sequence[tuple[Resources, frozenset[str]]],
    of_pool: str = "",
) -> Refusal | None:
    """Refuse at submit what all known nodes together couldn't hold even if they were empty.

    `nodes` holds the capacity and backends of all nodes (`of_pool`, for people) that were not
    removed; drained and lost ones count, since they may come back. While no node is known nothing
    is refused: a fresh installation takes jobs before its first node has joined, and they wait as
    "no node has joined yet". Once there are nodes and none offers the backend, nothing is the
    largest fit.
    """
    if not nodes:
        return None
    rooms = [capacity for capacity, backends in nodes if backend in backends]
    if not rooms:
        offered = sorted({name for _, backends in nodes for name in backends})
        return Refusal(
            NOTHING,
            f"no known node{of_pool} offers the backend {backend!r} "
            f"(offered: {', '.join(offered) or 'none'})",
        )
    if can_hold(resources, paradigm, rooms):
        return None
    return Refusal(
        largest_fit(resources, paradigm, rooms),
        f"the job asks {asked_text(resources, paradigm)}; "
        + largest_text(
            resources, paradigm, rooms, f"when all nodes{of_pool} with its backend are empty"
        ),
    )


def largest_fit(resources: Resources, paradigm: Paradigm, rooms: Iterable[Resources]) -> Resources:
    """The largest request of this kind that such rooms hold (none of them holds `resources`).

    For a job on one node: the room that holds the greatest part of it. Else as many whole CPUs as
    fit with the same memory per CPU, and if not even one does, what one node has at best.
    """
    rooms = list(rooms)
    if not undivided(resources, paradigm):
        cpus = sum(pieces(resources, room)[0] for room in rooms) * CPU
        if cpus:
            return part_of(resources, 0, cpus)

    def part_held(room: Resources) -> tuple[Fraction, int, int]:
        here = dict(room.generic)
        parts = [
            Fraction(has, wants)
            for has, wants in (
                (room.millicpus, resources.millicpus),
                (room.memory_bytes, resources.memory_bytes),
                *((here.get(name, 0), amount) for name, amount in resources.generic),
            )
            if wants > 0
        ]
        return min(parts, default=Fraction(1)), room.millicpus, room.memory_bytes

    return max(rooms, key=part_held, default=NOTHING)


def asked_text(resources: Resources, paradigm: Paradigm) -> str:
    """What a job asks, for people."""
    where = " on one node" if undivided(resources, paradigm) else f" ({paradigm})"
    return amount_text(resources) + where


def largest_text(
    resources: Resources, paradigm: Paradigm, rooms: Sequence[Resources], when: str
) -> str:
    """What would fit instead, for people; `when` says under which condition."""
    if can_hold(resources, paradigm, rooms):
        return f"that much fits {when}"  # the nodes changed since the plan
    fit = amount_text(largest_fit(resources, paradigm, rooms))
    if undivided(resources, paradigm):
        return f"the nearest that one node has is {fit}, {when}"
    return f"the largest that fits is {fit}, {when}"


def amount_text(resources: Resources) -> str:
    """An amount for people: `2 CPUs and 4 GiB`, `2 CPUs, 1 GPU and 4 GiB`."""
    cpus = f"{Fraction(resources.millicpus, CPU).__float__():.3f}".rstrip("0").rstrip(".")
    plural = "" if resources.millicpus == CPU else "s"
    counted = "".join(f", {text}" for text in piece_texts(resources.generic))
    return f"{cpus} CPU{plural}{counted} and {_bytes(resources.memory_bytes)}"


def piece_texts(pieces: Generic) -> list[str]:
    """Generic resources for people: `2 GPUs`, `1 licence_x`."""
    return [
        f"{amount} GPU{'' if amount == 1 else 's'}" if name == GPUS else f"{amount} {name}"
        for name, amount in pieces
    ]


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{count} B"
