"""What the leader does once after a restore, before any job may start again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace_data.catalogue import Catalogue
from headrace_data.core.restoring import UNFINISHED, Made, found_outputs, made_by_jobs
from headrace_model.errors import NotFound, Stale
from headrace_model.ids import JobId
from headrace_service.logs import logger

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore

_AT_ONCE = 500


@dataclass(slots=True)
class Reconciliation:
    """Completes jobs whose outputs the store has; call it when the catalogue is whole again."""

    catalogue: Catalogue
    jobs: "JobStore"

    async def run(self, term: int) -> None:
        """Do it where Redis was restored; a repeat is success. Raises `Fenced`."""
        if not (backup := await self.jobs.restored_from()):
            return
        made, found = made_by_jobs(self.catalogue.all()), 0
        for status in UNFINISHED:
            ids = [job for job in await self.jobs.in_status(status) if job in made]
            for first in range(0, len(ids), _AT_ONCE):
                for job in await self.jobs.get_many(ids[first : first + _AT_ONCE]):
                    found += await self._complete(job.id, made, term)
        await self.jobs.reconciled(term)
        logger("data").info(
            f"reconciled after a restore from {backup}: {found} jobs have their outputs",
            action="reconciled",
            jobs=found,
        )

    async def _complete(self, job_id: JobId, made: Made, term: int) -> bool:
        """Complete a job as it is now, where its outputs are there."""
        while True:
            try:
                job = await self.jobs.get(job_id)
                names = [output.name for output in self.catalogue.expand(job).outputs]
                move = found_outputs(job, names, made)
                if move is None:
                    return False
                await self.jobs.apply(move, term)
            except Stale:
                continue  # an agent told something meanwhile
            except NotFound:
                return False
            else:
                return True
