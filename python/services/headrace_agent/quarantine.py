"""What lies on the node and Redis does not know, after Redis was restored or replaced.

Nothing of it is removed before an admin says so, or a new attempt needs its name. Workers of jobs
that Redis does not know either live on, since a backup that does may still be restored; their
shares of the node are not offered. Those of jobs that Redis knows end: the job runs anew.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from headrace_agent.core.restored import NEEDS_WHAT_WAS, Seen, compare
from headrace_agent.folders import AttemptFolder, read_seen, write_seen
from headrace_model.cause import Cause
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import NOTHING, Resources
from headrace_model.work import Fact, FactKind, Work
from headrace_service.logs import logger
from headrace_wire.records import decode_work

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.nodes import NodeStore


class Quarantine:
    """Keeps the list, over the end of the agent too."""

    def __init__(self, state: Path, node: NodeId, jobs: "JobStore", nodes: "NodeStore") -> None:
        self._state = state
        self._node = node
        self._jobs = jobs
        self._nodes = nodes
        self._seen = Seen("")
        self._unknown: frozenset[str] = frozenset()  # of jobs that Redis does not know
        self._told = False  # Redis may list some of this node

    @property
    def runs(self) -> frozenset[str]:
        """Every "<job>.<attempt>" that is kept."""
        return self._seen.quarantined

    @property
    def unknown(self) -> frozenset[str]:
        """Those of jobs that Redis does not know: their workers live on."""
        return self._unknown & self._seen.quarantined

    async def compare(self, epoch: str, here: frozenset[str]) -> bool:
        """Compare the node with Redis; tells whether it is another Redis than before."""
        before = await asyncio.to_thread(read_seen, self._state)
        records = await self._jobs.work(self._node)
        expected = {run: decode_work(text).verb for run, text in records.items()}
        self._seen = compare(before, epoch, here, expected)
        await self._keep(self._seen)
        jobs = {JobId(run.rpartition(".")[0]) for run in self.runs}
        known = await self._jobs.known(jobs)
        self._unknown = frozenset(r for r in self.runs if r.rpartition(".")[0] not in known)
        self._told = True
        is_new = before is not None and before.epoch != epoch
        if is_new:
            logger("agent").warning(
                "Redis was restored or replaced: what Redis does not know is kept, not removed",
                action="quarantine",
                runs=sorted(self.runs),
                gone=sorted(self._seen.gone),
            )
        return is_new

    async def let_go(self, run: str) -> None:
        """Keep a run no longer."""
        if run in self._seen.quarantined:
            seen = self._seen
            await self._keep(Seen(seen.epoch, seen.quarantined - {run}, seen.gone))

    async def tell(self, incarnation: str) -> None:
        """Tell Redis what is kept, and let go what an admin has discarded. Raises `Fenced`."""
        kept = self.runs
        if not (kept or self._told):
            return
        for run in await self._nodes.tell_quarantine(self._node, incarnation, kept):
            await self.let_go(run)
        self._told = bool(kept)

    def missing(self, work: Work) -> Fact | None:
        """The bad end of an attempt that the node should have and has not; None: it has."""
        run = f"{work.job}.{work.attempt}"
        if run not in self._seen.gone or work.verb not in NEEDS_WHAT_WAS:
            return None
        why = f"Redis was restored from a backup, and node {work.node} has this attempt no more"
        return Fact(
            work.node, work.job, work.attempt, FactKind.EXITED, cause=Cause.RESTORED, detail=why
        )

    async def share(self, living: Iterable[str]) -> Resources:
        """What the node gives to living workers of unknown jobs."""
        runs = self.unknown & frozenset(living)
        return await asyncio.to_thread(lambda: sum(map(self._given, runs), NOTHING))

    def _given(self, run: str) -> Resources:
        return AttemptFolder(self._state / "attempts" / run).share() or NOTHING

    async def _keep(self, seen: Seen) -> None:
        await asyncio.to_thread(write_seen, self._state, seen)
        self._seen = seen
