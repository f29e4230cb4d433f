"""What a node needs to put a job's inputs beside its worker, and when all nodes have done so."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headrace_data.access import readers_for
from headrace_data.catalogue import Catalogue
from headrace_data.collection import check_current
from headrace_data.core.keys import log_key, manifest_key
from headrace_data.core.staging import layout
from headrace_model.dataset import Dataset, Manifest
from headrace_model.errors import Conflict, NotFound
from headrace_model.ids import DatasetId, NodeId
from headrace_model.job import Job
from headrace_model.move import Move, move_of
from headrace_model.requirement import Fulfilment
from headrace_model.status import Event, Role, Status
from headrace_model.work import FactKind
from headrace_ports.object_store import ObjectStore
from headrace_wire.datasets import LogFile
from headrace_wire.records import decode_fulfilments

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.users import UserStore

_MANIFEST_BYTES = 2**30
_KEPT_ITEMS = 200_000
# An agent that restarted stages again what its worker still needs.
_STAGES = frozenset(
    {Status.AWAITING_DATA, Status.AWAITING_SCHEDULING, Status.SCHEDULED, Status.RUNNING}
)


@dataclass(slots=True)
class Manifests:
    """Reads manifests of SEALED datasets; keeps the last ones, which never change."""

    store: ObjectStore
    _kept: OrderedDict[str, Manifest] = field(default_factory=OrderedDict)

    async def of(self, dataset: Dataset) -> Manifest:
        """The manifest that sealed a dataset; raises `Conflict` where it was damaged."""
        digest = dataset.manifest_sha256 or ""
        if digest in self._kept:
            self._kept.move_to_end(digest)
            return self._kept[digest]
        data = await self.store.get_bytes(manifest_key(dataset, digest), _MANIFEST_BYTES)
        manifest = Manifest.from_bytes(data)
        if manifest.sha256 != digest:
            raise Conflict(f"the manifest of dataset {dataset.title} in the store was changed")
        self._kept[digest] = manifest
        while len(self._kept) > 1 and self._items() > _KEPT_ITEMS:
            self._kept.popitem(last=False)
        return manifest

    def _items(self) -> int:
        return sum(len(manifest.items) for manifest in self._kept.values())


@dataclass(slots=True)
class Staging:
    """Answers agents that stage, and moves jobs whose nodes all have."""

    catalogue: Catalogue
    jobs: "JobStore"
    store: ObjectStore
    manifests: Manifests
    users: "UserStore"

    async def staged(self, job: Job) -> Move | None:
        """STAGED once every node says so; None: not yet, or one failed (the monitor's)."""
        nodes = [share.node for share in job.allocation.shares] if job.allocation else []
        known = await self.jobs.facts(job.id, job.attempt, nodes)
        facts = [known.get((node, FactKind.STAGED)) for node in nodes]
        if not facts or any(fact is None or fact.cause is not None for fact in facts):
            return None
        return replace(
            move_of(job, Event.STAGED, Role.DATA),
            consumes=tuple((node, FactKind.STAGED) for node in nodes),
        )

    async def answer(self, job: Job, attempt: int, node: NodeId) -> list[dict[str, object]]:
        """The items of each requirement with their grants.

        Raises `Conflict`: not this attempt's time, or a dataset is gone from the store, or shared
        with the job's owner no more.
        """
        check_current(job, attempt, node, _STAGES)
        fulfilments = decode_fulfilments(job.fulfilments)
        if job.status is Status.AWAITING_DATA:  # later its worker has had them
            await self._check_shared(job, fulfilments)
        manifests = {
            one: await self._manifest(one) for each in fulfilments for one in each.datasets
        }
        answer: list[dict[str, object]] = []
        for staged in layout(fulfilments, manifests):
            items = [
                {
                    "path": path,
                    "size_bytes": item.size_bytes,
                    "sha256": item.sha256,
                    "grant": await self.store.grant_get(item.key),
                }
                for path, item in staged.items
            ]
            answer.append({"name": staged.name, "items": items, "datasets": staged.datasets})
        return answer

    async def log_grants(
        self, job: Job, attempt: int, files: tuple[LogFile, ...]
    ) -> list[dict[str, object]]:
        """Where a node puts logs; also of attempts that are over."""
        if not 1 <= attempt <= job.attempt:
            raise Conflict(f"job {job.id} has had {job.attempt} attempts, not {attempt}")
        return [
            {
                "name": file.name,
                "grant": await self.store.grant_put(
                    log_key(job.id, attempt, file.name), file.size_bytes, file.upload
                ),
            }
            for file in files
        ]

    async def _check_shared(self, job: Job, fulfilments: Sequence[Fulfilment]) -> None:
        chosen = [one for each in fulfilments for one in each.datasets]
        if hidden := await self.catalogue.hidden(chosen, await readers_for(self.users, job.owner)):
            raise Conflict(
                f"dataset {hidden[0]}, which was chosen for this job, is deleted or not shared "
                f"with {job.owner} any more; `headrace jobs retry {job.id}` looks for other data"
            )

    async def _manifest(self, dataset: DatasetId) -> Manifest:
        known = self.catalogue.get(dataset)
        if known is None or known.manifest_sha256 is None:
            await self.catalogue.refresh([dataset])
            known = self.catalogue.get(dataset)
        if known is None:
            raise Conflict(f"dataset {dataset} was deleted")
        try:
            return await self.manifests.of(known)
        except NotFound as error:
            raise Conflict(f"dataset {known.title} is damaged: {error.message}") from None
