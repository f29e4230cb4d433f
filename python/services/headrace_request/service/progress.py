"""How far a job is, as it is shown: by its tasks, or by what its workers write."""

import time
from dataclasses import dataclass
from typing import Any

from headrace_model.job import Job
from headrace_model.progress import pace_of
from headrace_request.service.jobs import JobDesk
from headrace_request.service.usage import UsageReader
from headrace_wire.progress import progress_view, rank_view, tasks_view


@dataclass(frozen=True, slots=True)
class ProgressDesk:
    """Asks the nodes of an attempt how far its workers are."""

    desk: JobDesk
    reader: UsageReader

    async def show(self, user: str, job: Job, attempt: int) -> dict[str, Any]:
        """Show how far an attempt of a job is, or was."""
        if tasks := await self.desk.tasks(job):
            return tasks_view(job.id, attempt, tasks)
        now_ms = time.time_ns() // 1_000_000
        return progress_view(
            job.id,
            attempt,
            [
                rank_view(each.rank, each.node, each.marks[-1], pace_of(each.marks, now_ms))
                for each in await self.reader.progress(user, job, attempt)
            ],
        )
