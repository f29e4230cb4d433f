"""Outputs of jobs become datasets: grants for their files, manifests, seals."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from headrace_data.catalogue import Catalogue
from headrace_data.core.collecting import Refused, manifests, part_fact
from headrace_data.core.keys import (
    checkpoints_folder,
    folder,
    kept_attempt,
    manifest_key,
    output_key,
)
from headrace_model.cause import Cause
from headrace_model.dataset import Item, Manifest
from headrace_model.errors import Conflict, InvalidInput, NotFound
from headrace_model.ids import NodeId
from headrace_model.job import Job, Need
from headrace_model.move import Move, move_of
from headrace_model.outputs import output_dataset
from headrace_model.status import TAKES_TASKS, Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_ports.object_store import ObjectStore
from headrace_wire.datasets import OutputFile
from headrace_wire.records import decode_fulfilments, decode_outputs

if TYPE_CHECKING:
    from headrace_adapters.redis.arrays import ArrayStore
    from headrace_adapters.redis.jobs import JobStore


_COLLECTS: Final = frozenset({Status.AWAITING_COLLECTION})
_PART_BYTES: Final = 64 * 2**20
_TELLS: Final = frozenset(TAKES_TASKS)  # tasks bring their outputs while others run


@dataclass(slots=True)
class Collection:
    """Collects jobs in AWAITING_COLLECTION."""

    catalogue: Catalogue
    jobs: "JobStore"
    arrays: "ArrayStore"
    store: ObjectStore
    derived_ms: int = 0  # how long derived data is kept; 0: for good

    async def collect(self, job: Job, term: int) -> Move | None:
        """COMPLETED with seals once every node has collected; None: not yet, or refused.

        The manifests are in the store before the move is decided. A refusal is told to the
        monitor, which ends the attempt.
        """
        try:
            facts = await (self._parts(job) if job.is_array else self._facts(job))
            if facts is None:
                return None
            declared = self.catalogue.expand(job).outputs
            fulfilments = decode_fulfilments(job.fulfilments)
            # In a thread: the tasks of an array may have written files by the ten thousand.
            made = await asyncio.to_thread(
                manifests, job, declared, facts, fulfilments, self.derived_ms
            )
            for manifest in made:
                await self._check(manifest, facts)
        except Refused as error:
            await self._refuse(job, term, error.node, error.detail)
            return None
        except InvalidInput as error:
            node = job.allocation.shares[0].node if job.allocation else NodeId("")
            await self._refuse(job, term, node, f"the outputs can't be sealed: {error}")
            return None
        for manifest in made:
            key = manifest_key(manifest.dataset, manifest.sha256)
            await self.store.put_bytes(key, manifest.canonical_bytes)
        now = await self.jobs.now_ms()
        # Read last: it may have been shared, or not any more, while files were looked at.
        shared = (await self.jobs.get(job.id)).shared
        nodes = [] if job.is_array else [fact.node for fact in facts]
        return replace(
            move_of(job, Event.COMPLETED, Role.DATA),
            work=tuple(Work(node, job.id, job.attempt, Verb.CLEAN) for node in nodes),
            consumes=tuple((node, FactKind.COLLECTED) for node in nodes),
            seals=tuple(replace(manifest.sealed(now), shared=shared) for manifest in made),
        )

    async def grants(
        self, job: Job, attempt: int, node: NodeId, files: Sequence[OutputFile]
    ) -> list[dict[str, object]]:
        """Where a node puts the files of outputs; raises `Conflict`, `InvalidInput`."""
        check_current(job, attempt, node, _TELLS if job.is_array else _COLLECTS)
        names = {output.name for output in self.catalogue.expand(job).outputs}
        granted: list[dict[str, object]] = []
        for file in files:
            if file.output not in names:
                raise InvalidInput(f"job {job.id} declares no output {file.output[:80]!r}")
            key = output_key(job.id, kept_attempt(job), file.output, file.sha256)
            Item(file.path, file.size_bytes, file.sha256, key)  # refuses tricks before any grant
            grant = await self.store.grant_put(key, file.size_bytes, file.upload)
            granted.append({"output": file.output, "path": file.path, "key": key, "grant": grant})
        return granted

    async def tidy(self, job: Job) -> bool:
        """Remove what attempts of a final job put into the store and no seal took.

        False: there can't be anything.
        """
        if not job.status.final:
            return False
        checkpoint = Need.CHECKPOINT in job.needs
        if checkpoint:
            await self.store.delete(checkpoints_folder(job.id))
        return await self._tidy_outputs(job) or checkpoint

    async def _tidy_outputs(self, job: Job) -> bool:
        if Need.COLLECTION not in job.needs:
            return False
        # One that was cancelled when it was stopped already is listed, whether it ever ran or not.
        never_ran = job.allocation is None and job.status is not Status.CANCELED
        if job.attempt == 1 and (never_ran or job.status is Status.COMPLETED):
            return False
        sealed = set(json.loads(job.outputs or "{}").values())
        for output in self.catalogue.expand(job).outputs:
            for attempt in range(1, job.attempt + 1):
                one = output_dataset(job.id, attempt, output.name)
                # After a restore a job may have run again beside what an attempt had sealed.
                if one not in sealed and self.catalogue.get(one) is None:
                    await self.store.delete(folder(one))
        return True

    async def _facts(self, job: Job) -> list[Fact] | None:
        """What every node collected; None while one is missing, or went wrong (the monitor's)."""
        nodes = [share.node for share in job.allocation.shares] if job.allocation else []
        known = await self.jobs.facts(job.id, job.attempt, nodes)
        facts = [known.get((node, FactKind.COLLECTED)) for node in nodes]
        good = [fact for fact in facts if fact is not None and fact.cause is None]
        return good if good and len(good) == len(nodes) else None

    async def _parts(self, job: Job) -> list[Fact]:
        """What the tasks of an array brought, one fact a part; raises `Refused`."""
        record = await self.arrays.read(job.id)
        if record is None or job.allocation is None:
            raise InvalidInput(f"job {job.id} has lost its record of tasks")
        node, first = job.allocation.shares[0].node, self.catalogue.expand(job).outputs[0]
        facts = []
        for part in record.parts:
            key = output_key(job.id, kept_attempt(job), first.name, part.digest)
            try:
                text = (await self.store.get_bytes(key, _PART_BYTES)).decode()
            except NotFound:
                raise Refused(
                    node,
                    f"the store has lost what tasks {part.spans[0][0]} and others wrote "
                    f"({key}); start the job again",
                ) from None
            facts.append(part_fact(job, node, part, decode_outputs(text)))
        # Without a part nothing was written at all: what is said of that needs a fact.
        return facts or [Fact(node, job.id, job.attempt, FactKind.COLLECTED)]

    async def _check(self, manifest: Manifest, facts: Sequence[Fact]) -> None:
        """Raise `Refused` unless the store holds each item in its full size."""
        for item in manifest.items:
            known = await self.store.stat(item.key)
            if known is None or known.size_bytes != item.size_bytes:
                has = "nothing" if known is None else f"{known.size_bytes:,} bytes"
                raise Refused(
                    _writer(item, facts),
                    f"output {manifest.dataset.output!r}: of {item.path!r} the store holds {has}, "
                    f"not {item.size_bytes:,} bytes as was reported; start the job again",
                )

    async def _refuse(self, job: Job, term: int, node: NodeId, detail: str) -> None:
        await self.jobs.reject(
            job, node, FactKind.COLLECTED, Cause.COLLECTION, detail[:2_000], term
        )


def check_current(job: Job, attempt: int, node: NodeId, among: frozenset[Status]) -> None:
    """Raise `Conflict` unless `attempt` is the job's, on `node`, and in one of these steps."""
    held = [share.node for share in job.allocation.shares] if job.allocation else []
    if job.attempt != attempt or job.status not in among or node not in held:
        raise Conflict(
            f"job {job.id} is in {job.status} with attempt {job.attempt}: nothing is granted to "
            f"attempt {attempt} on node {node[:80]}"
        )


def _writer(item: Item, facts: Sequence[Fact]) -> NodeId:
    """The node that reported an item."""
    for fact in facts:
        if any(found.key == item.key for output in fact.outputs for found in output.items):
            return fact.node
    return facts[0].node
