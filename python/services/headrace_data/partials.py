"""What attempts that failed had written, kept for a while to look at.

An OPEN dataset with an origin, which nobody fills or seals: so it is matched by nothing, is no
result, and expires as any other does. A lost Redis takes it along.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace_data.catalogue import Catalogue
from headrace_data.core.describing import GENERIC
from headrace_data.core.keys import partial_key
from headrace_model.dataset import Dataset, Item, Origin
from headrace_model.domain import Domain
from headrace_model.errors import Conflict, InvalidInput
from headrace_model.job import Job
from headrace_model.outputs import partial_dataset, partial_name
from headrace_model.spec import OutputSpec
from headrace_model.status import Status
from headrace_ports.object_store import ObjectStore
from headrace_wire.datasets import OutputFile

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore
    from headrace_adapters.redis.jobs import JobStore


@dataclass(slots=True)
class Partials:
    """Every method may be repeated. `keep_ms` 0: nothing is kept."""

    catalogue: Catalogue
    datasets: "DatasetStore"
    jobs: "JobStore"
    store: ObjectStore
    keep_ms: int
    most_items: int

    async def grants(
        self, job: Job, attempt: int, files: Sequence[OutputFile]
    ) -> list[dict[str, object]]:
        """Where a node puts files; their datasets are made. Raises `Conflict`, `InvalidInput`."""
        items = self._items(job, attempt, files)
        for output in self._outputs(job, files):
            await self._make(job, attempt, output)
        return [
            {
                "output": file.output,
                "path": file.path,
                "key": item.key,
                "grant": await self.store.grant_put(item.key, file.size_bytes, file.upload),
            }
            for file, item in zip(files, items, strict=True)
        ]

    async def keep(self, job: Job, attempt: int, files: Sequence[OutputFile]) -> None:
        """Make items of files that are in the store. Raises as `grants`, and `TooLarge`."""
        items = self._items(job, attempt, files)
        for item in items:
            known = await self.store.stat(item.key)
            if known is None or known.size_bytes != item.size_bytes:
                raise InvalidInput(f"the store does not hold {item.path!r} as was said")
        for output in self._outputs(job, files):
            one = partial_dataset(job.id, attempt, output.name)
            some = [
                item for file, item in zip(files, items, strict=True) if file.output == output.name
            ]
            await self.datasets.put_items(one, some, self.most_items)
            await self.catalogue.refresh([one])

    async def _make(self, job: Job, attempt: int, output: OutputSpec) -> None:
        now = await self.jobs.now_ms()
        partial = Dataset(
            id=partial_dataset(job.id, attempt, output.name),
            name=partial_name(job.name, output.name, job.id, attempt),
            version=1,
            category=output.category,
            format=GENERIC,
            domain=Domain(),
            owner=job.owner,
            created_ms=now,
            expires_ms=now + self.keep_ms,
            origin=Origin(job.id, attempt),
            output=output.name,
            description=f"what attempt {attempt} of job {job.id} had written when it failed",
            shared=job.shared,
        )
        known = self.catalogue.get(partial.id)
        if known is None:
            await self.datasets.create(partial, new_version=False, newest="")
            await self.catalogue.refresh([partial.id])

    def _items(self, job: Job, attempt: int, files: Sequence[OutputFile]) -> list[Item]:
        """The files as items: checked before any grant."""
        if not self.keep_ms:
            raise Conflict("what failed attempts had written is not kept (partial_keep_days)")
        over = attempt < job.attempt or (job.status.closed and job.status is not Status.COMPLETED)
        if not (1 <= attempt <= job.attempt and over):
            raise Conflict(f"attempt {attempt} of job {job.id} has not failed")
        return [
            Item(
                file.path,
                file.size_bytes,
                file.sha256,
                partial_key(job.id, attempt, file.output, file.sha256),
            )
            for file in files
        ]

    def _outputs(self, job: Job, files: Sequence[OutputFile]) -> list[OutputSpec]:
        """The outputs that the files are of."""
        declared = {output.name: output for output in self.catalogue.expand(job).outputs}
        named = dict.fromkeys(file.output for file in files)
        for name in named:
            if name not in declared:
                raise InvalidInput(f"job {job.id} declares no output {name[:80]!r}")
        return [declared[name] for name in named]
