"""Which waiting jobs the runs of others tell of, so that they are estimated anew when some end."""

from dataclasses import dataclass, field

from headrace_model.estimate import Estimate, Likeness
from headrace_model.ids import JobId
from headrace_model.job import Job


@dataclass(slots=True)
class Group:
    """Waiting jobs that the same runs tell of, and what these told of them."""

    likeness: Likeness
    input_bytes: int
    told: Estimate | None = None
    jobs: set[JobId] = field(default_factory=set)

    def is_news(self, made: Estimate | None) -> bool:
        """Tell whether an estimate differs from what was told by a tenth at least: with less no
        start changes that anybody looks at, and runs end all the time."""
        if made is None or self.told is None:
            return made is not self.told
        pairs = (made.p10_ms, self.told.p10_ms), (made.p90_ms, self.told.p90_ms)
        return any(
            10 * abs(new - old) >= old for new, old in (*pairs, (made.p50_ms, self.told.p50_ms))
        )


class Alike:
    """The waiting jobs by the keys of the runs that tell of them."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], Group] = {}
        self._keys: dict[JobId, tuple[str, ...]] = {}
        self._learned: set[str] = set()

    def put(self, job: Job, estimate: Estimate | None) -> None:
        """Take in a job that waits, and what it was estimated at."""
        if job.likeness is None:
            return
        keys = job.likeness.keys(job.input_bytes)
        group = self._groups.get(keys)
        if group is None:
            group = self._groups[keys] = Group(job.likeness, job.input_bytes, estimate)
        group.jobs.add(job.id)
        self._keys[job.id] = keys

    def drop(self, id: JobId) -> None:
        """Forget a job, known or not."""
        keys = self._keys.pop(id, None)
        if keys is not None:
            group = self._groups[keys]
            group.jobs.discard(id)
            if not group.jobs:
                del self._groups[keys]

    def ended(self, job: Job) -> None:
        """Note that a run of a job has told something."""
        if job.likeness is not None:
            self._learned.update(job.likeness.keys(job.input_bytes))

    def take(self) -> tuple[set[str], list[Group]]:
        """The keys of runs that were noted since, and the groups that they tell of."""
        learned, self._learned = self._learned, set()
        return learned, [
            group for keys, group in self._groups.items() if not learned.isdisjoint(keys)
        ]
