"""Whether a partition config fits a fabric: a run with one that does not loses water, or waits for
ever. It may come from anywhere, ngen's own generator too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_partitioner.core.config import (
    SENTINEL,
    Config,
    Connection,
    Direction,
    connections_of,
    without_sentinels,
)
from headrace_partitioner.core.drainage import Drainage, by_number

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and with which partition; `rank` None: with several or the whole."""

    rank: int | None
    message: str

    def __str__(self) -> str:
        return self.message if self.rank is None else f"partition {self.rank}: {self.message}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a config, nothing if it fits; `assigned` and `receivers` as `config_of`
    has them, where every catchment has one partition: else None and empty.
    """

    findings: tuple[Finding, ...]
    assigned: tuple[int, ...] | None
    receivers: dict[str, int]


def check(drainage: Drainage, config: Config) -> Checked:
    """Compare a config with the fabric that it is for."""
    findings = list(_check_catchments(drainage, config))
    if findings:
        return Checked(tuple(findings), None, {})
    rank_of = {id_: rank for rank, each in enumerate(config) for id_ in each.catchments}
    assigned = tuple(rank_of[id_] for id_ in drainage.ids)
    receivers = _outlet_receivers(drainage, config, assigned)
    findings += _check_outlets(drainage, assigned, receivers)
    told = {outlet: ranks[0] for outlet, ranks in receivers.items() if len(ranks) == 1}
    findings += _check_nexuses(drainage, config, assigned, told)
    findings += _check_connections(drainage, config, assigned, told)
    return Checked(tuple(findings), assigned, told)


def _check_catchments(drainage: Drainage, config: Config) -> Iterator[Finding]:
    held: dict[str, list[int]] = {}
    for rank, each in enumerate(config):
        real = without_sentinels(each.catchments)
        if not real:
            yield Finding(rank, "it has no catchment")
        for id_ in real:
            held.setdefault(id_, []).append(rank)
    known = set(drainage.ids)
    twice = sorted((id_ for id_, ranks in held.items() if len(ranks) > 1), key=by_number)
    if twice:
        ranks = " and ".join(map(str, held[twice[0]][:_SHOWN]))
        yield Finding(
            None, f"{len(twice):,} in more than one place: {twice[0][:60]} in partitions {ranks}"
        )
    astray = [id_ for id_ in held if id_ not in known]
    if astray:
        yield Finding(None, f"the hydrofabric has not: {_some(astray)}")
    left = [id_ for id_ in drainage.ids if id_ not in held]
    if left:
        yield Finding(None, f"in no partition: {_some(left)}")


def _outlet_receivers(
    drainage: Drainage, config: Config, assigned: Sequence[int]
) -> dict[str, list[int]]:
    """Who receives at each outlet: who has its sentinel, else who alone has catchments above it,
    else who tells that it receives there.
    """
    above = _outlet_ranks(drainage, assigned)
    sentinels: dict[str, list[int]] = {}
    tells: dict[str, list[int]] = {}
    for rank, each in enumerate(config):
        for id_ in each.catchments:
            if id_.startswith(SENTINEL):
                sentinels.setdefault(id_.removeprefix(SENTINEL), []).append(rank)
        for nexus in {c.nexus for c in each.connections if c.direction is Direction.INTO}:
            tells.setdefault(nexus, []).append(rank)
    return {
        outlet: sentinels.get(outlet)
        or (sorted(ranks) if len(ranks) == 1 else sorted(tells.get(outlet, ())))
        for outlet, ranks in above.items()
    }


def _outlet_ranks(drainage: Drainage, assigned: Sequence[int]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {outlet: set() for outlet in drainage.outlets}
    for number, rank in enumerate(assigned):
        below = drainage.below[number]
        if below >= len(drainage.ids):
            found[drainage.outlets[below - len(drainage.ids)]].add(rank)
    return found


def _check_outlets(
    drainage: Drainage, assigned: Sequence[int], receivers: dict[str, list[int]]
) -> Iterator[Finding]:
    above = _outlet_ranks(drainage, assigned)
    for outlet, ranks in receivers.items():
        if len(ranks) != 1:
            between = " and ".join(map(str, sorted(above[outlet])[:_SHOWN]))
            who = "none of them" if not ranks else "more than one"
            yield Finding(
                None,
                f"the outlet {outlet[:60]} is shared by partitions {between}, and {who} receives: "
                f"one must have {SENTINEL}{outlet[:60]}, or each writes a flow of its own",
            )


def _check_nexuses(
    drainage: Drainage, config: Config, assigned: Sequence[int], receivers: dict[str, int]
) -> Iterator[Finding]:
    used = {nexus for nexus in drainage.nexus if nexus}
    known = used.union(*drainage.sources)
    needed: list[set[str]] = [set() for _ in config]
    for number, rank in enumerate(assigned):
        if drainage.nexus[number]:
            needed[rank].add(drainage.nexus[number])
        # A config may do without a nexus that nothing flows to: it tells nothing.
        needed[rank] |= used.intersection(drainage.sources[number])
    for outlet, rank in receivers.items():
        needed[rank].add(outlet)
    for rank, each in enumerate(config):
        lacks = needed[rank].difference(each.nexuses)
        if lacks:
            yield Finding(rank, f"nex-ids lacks {_some(lacks)}")
        more = [nexus for nexus in each.nexuses if nexus not in known]
        if more:
            yield Finding(rank, f"nex-ids names what the hydrofabric has not: {_some(more)}")


def _check_connections(
    drainage: Drainage, config: Config, assigned: Sequence[int], receivers: dict[str, int]
) -> Iterator[Finding]:
    shared = {outlet for outlet in drainage.outlets if outlet not in receivers}
    known = {outlet: receivers.get(outlet, -1) for outlet in drainage.outlets}
    expected = connections_of(drainage, assigned, known)
    for rank, each in enumerate(config):
        wanted = {c for c in expected.get(rank, ()) if c.nexus not in shared}
        have = {c for c in each.connections if c.nexus not in shared}
        for number, connection in enumerate(sorted(wanted - have, key=lambda c: c.key)):
            if number < _SHOWN:
                yield Finding(rank, f"remote-connections lacks: {_said(connection)}")
        for number, connection in enumerate(sorted(have - wanted, key=lambda c: c.key)):
            if number < _SHOWN:
                yield Finding(rank, f"remote-connections has what is not so: {_said(connection)}")
        if max(len(wanted - have), len(have - wanted)) > _SHOWN:
            yield Finding(rank, f"in all {len(wanted ^ have):,} of its connections are not right")


def _said(connection: Connection) -> str:
    rank, nexus, catchment = connection.rank, connection.nexus[:60], connection.catchment[:60]
    if connection.direction is Direction.INTO:
        return f"{catchment} of partition {rank} flows into {nexus} ({connection.direction})"
    return f"{nexus} flows to {catchment} of partition {rank} ({connection.direction})"


def _some(ids: Iterable[str]) -> str:
    found = sorted(ids, key=by_number)
    more = len(found) - _SHOWN
    named = ", ".join(each[:60] for each in found[:_SHOWN])
    return named + (f" and {more:,} more" if more > 0 else "")
