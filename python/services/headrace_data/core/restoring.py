"""After a restore: jobs whose outputs are in the store have completed, whatever Redis says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from headrace_model.dataset import Dataset, DatasetState
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import Move, move_of
from headrace_model.status import HAS_ATTEMPT, HOLDS_NOTHING, Event, Role, Status
from headrace_model.work import FactKind, Verb, Work

Made = Mapping[JobId, Mapping[int, Mapping[str, Dataset]]]
"""The SEALED outputs of jobs, by attempt and output."""

UNDER_WAY = (*HAS_ATTEMPT, Status.STOPPING)
UNFINISHED = (*HOLDS_NOTHING, *UNDER_WAY)


def made_by_jobs(datasets: Iterable[Dataset]) -> Made:
    """Sort the SEALED datasets by the attempts that made them."""
    made: dict[JobId, dict[int, dict[str, Dataset]]] = {}
    for each in datasets:
        if each.origin and each.output and each.state is DatasetState.SEALED:
            attempts = made.setdefault(each.origin.job, {})
            attempts.setdefault(each.origin.attempt, {})[each.output] = each
    return made


def found_outputs(job: Job, declared: Sequence[str], made: Made) -> Move | None:
    """COMPLETED, where one attempt's outputs are all sealed; None where not.

    They are sealed together, after their workers were gone: what Redis still says of the attempt
    is from before, and its nodes have nothing to do but to clean.
    """
    if not declared or job.status not in UNFINISHED:
        return None
    for outputs in made.get(job.id, {}).values():
        if all(name in outputs for name in declared):
            break
    else:
        return None
    found = replace(
        move_of(
            job,
            Event.OUTPUTS_FOUND,
            Role.DATA,
            detail="its outputs were in the store when Redis was restored from a backup",
        ),
        exit_code=0,
        seals=tuple(outputs[name] for name in declared),
    )
    if job.status not in UNDER_WAY or job.allocation is None:
        return found
    nodes = tuple(share.node for share in job.allocation.shares)
    return replace(
        found,
        returns=nodes,
        work=tuple(Work(node, job.id, job.attempt, Verb.CLEAN) for node in nodes),
        consumes=tuple((node, kind) for node in nodes for kind in FactKind),
    )
