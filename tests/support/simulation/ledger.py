"""What must hold of the shares of nodes: docs/design.md, sections 5 and 8."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace_model.job import Ask
from headrace_model.resources import (
    ANYWHERE,
    NOTHING,
    Generic,
    Resources,
    Share,
    generic,
    parse_pieces,
)
from headrace_model.status import HAS_ATTEMPT, Status
from headrace_wire.records import _ask
from tests.support.simulation.broken import check, hash_of

_HOLDS = frozenset(HAS_ATTEMPT) | {Status.STOPPING}
_FREE_OF_SHARES = (Status.AWAITING_COLLECTION,)  # its shares came back when its workers had ended
_MOST_RAISED = 4
_LATE_MS = 40_000
"""How much later than it was decided a start may be written: faults keep it under way so long."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the admin of this cluster has said.

    `pieces`: of each node, beside what its agent tells; `windows`: (node, from, until) in ms;
    `quotas`: of all running jobs together.
    """

    pieces: Mapping[str, Generic] = field(default_factory=dict)
    windows: tuple[tuple[str, int, int], ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)


class Ledger:
    """Looks at the shares after each step. Raises `Broken`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._started: set[str] = set()  # attempts that were seen to hold a share
        self._first: dict[str, int] = {}  # bytes that each job asked at first
        self.counts: dict[str, int] = defaultdict(int)  # attempts that started, by what they asked

    def look(
        self, state: Mapping[str, Any], jobs: Mapping[str, Mapping[str, str]], now_ms: int
    ) -> None:
        """Check what all nodes give."""
        runs: dict[str, list[Share]] = {}
        nodes = {}
        for key, value in state.items():
            if key.startswith("hr:node:"):
                node = key.removeprefix("hr:node:")
                nodes[node] = hash_of(value)
                self._node(node, nodes[node], state, jobs, runs)
        for run, shares in runs.items():
            job = jobs[run.rpartition(".")[0]]
            ask = _ask(job["ask"])
            for share in shares:
                self._place(run, ask, share, nodes[share.node], runs)
            if run not in self._started:
                self._started.add(run)
                self._start(run, ask, shares, nodes, now_ms)
        self._quotas(runs)

    def _node(
        self,
        node: str,
        fields: Mapping[str, str],
        state: Mapping[str, Any],
        jobs: Mapping[str, Mapping[str, str]],
        runs: dict[str, list[Share]],
    ) -> None:
        """No over-booking, and no share without an attempt that may use it."""
        held = hash_of(state.get(f"hr:held:{node}", ()))
        capacity, used = self._capacity(node, fields), NOTHING
        for run, text in held.items():
            amount = _amount(text)
            used += amount
            runs.setdefault(run, []).append(Share(node, amount))
            job, _, attempt = run.rpartition(".")
            owner = jobs.get(job)
            check(owner is not None, f"{node} gives a share to {run}, and there is no such job")
            if owner is not None:
                check(
                    Status(owner["status"]) in _HOLDS
                    and owner["status"] not in _FREE_OF_SHARES
                    and owner["attempt"] == attempt,
                    f"{node} gives a share to {run}, which is in {owner['status']}, "
                    f"attempt {owner['attempt']}",
                )
        check(used.fits_in(capacity), f"{node} is over-booked: {held} of {capacity}")
        room = hash_of(state.get(f"hr:free:{node}", ())).get("room")
        left = fields.get("left") == "1"  # its agent ended in good order, and none is there yet
        if fields["state"] != "UP" or left:
            check(room is None, f"{node} is {fields['state']}, left: {left}, and offers {room}")
            return
        check(room is not None, f"{node} is UP and offers nothing")
        free = _amount(room or "0 0")
        # Of what an admin names the ledger knows only what is held: below nothing, in this line.
        told = Resources(
            capacity.millicpus, capacity.memory_bytes, parse_pieces(fields["generic"].split())
        )
        check(
            free + used == told and free.millicpus >= 0 and free.memory_bytes >= 0,
            f"{node}: {free} free and {used} held are not {told}: {held}",
        )

    def _capacity(self, node: str, fields: Mapping[str, str]) -> Resources:
        """What may be used of a node: of pieces what the agent tells and the admin names."""
        told = dict(parse_pieces(fields.get("generic", "").split()))
        named = dict(self._rules.pieces.get(node, ()))
        return Resources(
            int(fields["millicpus"]), int(fields["memory_bytes"]), generic({**named, **told})
        )

    def _place(
        self,
        run: str,
        ask: Ask,
        share: Share,
        node: Mapping[str, str],
        runs: Mapping[str, list[Share]],
    ) -> None:
        """A whole node is nobody else's; labels are there."""
        wanted = ask.constraints or ANYWHERE
        if wanted.whole_node:
            others = [
                each
                for each, shares in runs.items()
                if each != run and any(one.node == share.node for one in shares)
            ]
            check(not others, f"{run} has the whole of {share.node}, and so have {others}")
        has = _labels_of(node)
        check(
            all(has.get(name) == value for name, value in wanted.labels),
            f"{run} is on {share.node}, which has labels {has}, and wants {wanted.labels}",
        )

    def _start(
        self,
        run: str,
        ask: Ask,
        shares: list[Share],
        nodes: Mapping[str, Mapping[str, str]],
        now_ms: int,
    ) -> None:
        """An attempt gets what it asks, at a time when it may start."""
        given = sum((share.resources for share in shares), NOTHING)
        wanted = ask.constraints or ANYWHERE
        if wanted.whole_node:
            whole = sum((self._capacity(s.node, nodes[s.node]) for s in shares), NOTHING)
            check(given == whole, f"{run} has {given}, and the whole of its nodes is {whole}")
        elif ask.tasks is not None:
            slots = given.millicpus // ask.resources.millicpus
            check(
                given == ask.resources.times(slots) and 0 < slots <= ask.tasks,
                f"{run} has {given} for {ask.tasks} tasks of {ask.resources}",
            )
        else:
            check(given == ask.resources, f"{run} has {given} and asks {ask.resources}")
        asked = ask.resources.memory_bytes
        first = self._first.setdefault(run.rpartition(".")[0], asked)
        check(
            first <= asked <= _MOST_RAISED * first,
            f"{run} asks {asked} bytes, and the first attempt asked {first}",
        )
        self._time(run, ask, shares, now_ms)
        self._count(ask, asked > first)

    def _time(self, run: str, ask: Ask, shares: list[Share], now_ms: int) -> None:
        if ask.not_before_ms is not None:
            check(
                now_ms >= ask.not_before_ms,
                f"{run} starts {ask.not_before_ms - now_ms} ms before it may",
            )
        decided_ms = now_ms - _LATE_MS
        if ask.deadline_ms is not None:
            ends_ms = decided_ms + (ask.time_ms or 0)
            check(
                ends_ms <= ask.deadline_ms,
                f"{run} starts {now_ms - ask.deadline_ms} ms after its deadline",
            )
        for node, from_ms, until_ms in self._rules.windows:
            check(
                not (from_ms <= decided_ms and now_ms < until_ms)
                or node not in {share.node for share in shares},
                f"{run} starts on {node} {now_ms - from_ms} ms after a window has begun",
            )

    def _count(self, ask: Ask, more: bool) -> None:
        wanted = ask.constraints or ANYWHERE
        for what, is_so in {
            "pieces": bool(ask.resources.generic),
            "whole nodes": wanted.whole_node,
            "labels": bool(wanted.labels),
            "more memory": more,
            "deadline": ask.deadline_ms is not None,
            "quota": bool(self._rules.quotas),
            "window": bool(self._rules.windows),
        }.items():
            if is_so:
                self.counts[what] += 1

    def _quotas(self, runs: Mapping[str, list[Share]]) -> None:
        """What runs never passes a quota."""
        if not self._rules.quotas:
            return
        held = sum((share.resources for shares in runs.values() for share in shares), NOTHING)
        uses = {"cpus": held.millicpus, "memory": held.memory_bytes, "jobs": len(runs)}
        for what, most in self._rules.quotas.items():
            check(uses[what] <= most, f"{uses[what]} of the quota {what}={most} are used: {runs}")


def _labels_of(node: Mapping[str, str]) -> dict[str, str]:
    """The labels of a node by its hash."""
    return dict(json.loads(node.get("labels", "{}")))


def _amount(text: str) -> Resources:
    cpus, memory, *pieces = text.split()
    return Resources(int(cpus), int(memory), parse_pieces(pieces))
