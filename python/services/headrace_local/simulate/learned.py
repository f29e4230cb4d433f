"""What earlier runs of a trace tell of how long a job will run, learned as the services learn."""

from headrace_local.simulate.trace import TraceJob
from headrace_model.estimate import KEPT, Estimate, Likeness, Run, estimate_of


class Learned:
    """Run times by what a job is like: the same application of a user, else the same user; each
    with as many CPUs."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    def estimate(self, job: TraceJob) -> Estimate | None:
        """Estimate from the runs that were noted; None where too few were alike."""
        return estimate_of(_likeness(job), 0, self._runs)

    def note(self, job: TraceJob) -> None:
        """Keep a run that has ended well; one that its time limit ended tells nothing."""
        if job.held_ms == job.run_ms:
            for key in _likeness(job).keys(0):
                runs = self._runs.setdefault(key, [])
                runs.append(Run(job.run_ms))
                del runs[:-KEPT]


def _likeness(job: TraceJob) -> Likeness:
    who = f"{job.user}/{job.cpus}"
    return Likeness(command=f"c/{who}/{job.application}", program=f"p/{who}")
