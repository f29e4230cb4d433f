"""The data check: from how each requirement is met to the job's next move."""

from collections.abc import Sequence
from dataclasses import replace

from headrace_kinds.command import ENVIRONMENT_FORMAT
from headrace_kinds.derivation import Derivable, asked_by
from headrace_model.dataset import Category
from headrace_model.ids import JobId
from headrace_model.job import Job
from headrace_model.move import Derivation, Move, move_of
from headrace_model.requirement import Fulfilment, Miss, Promised, Requirement
from headrace_model.status import Event, Role, Status

Matched = Fulfilment | Promised | Derivable | Miss
DETAIL_CHARACTERS = 2_000


def is_lock_list(requirement: Requirement) -> bool:
    """Tell whether it asks for the lock list of a software environment: a job can make that."""
    return requirement.category is Category.CONFIG and requirement.format == ENVIRONMENT_FORMAT


def to_derive(matched: Sequence[Matched]) -> tuple[Derivable, ...]:
    """What child jobs have to make before the job can go on, each content once; empty while it
    waits or fails.
    """
    if _lost(matched) or awaited(matched):
        return ()
    return tuple({each.content: each for each in _derivable(matched)}.values())


def made_by(wanted: Derivable, children: Sequence[Job]) -> Job | None:
    """The closed child that was asked for this, be it of other data than it would read now."""
    question = asked_by(wanted.content)
    return next((each for each in children if asked_by(each.derivation) == question), None)


def _lost(matched: Sequence[Matched]) -> tuple[Miss, ...]:
    """The misses that nothing can help."""
    return tuple(each for each in matched if isinstance(each, Miss))


def _derivable(matched: Sequence[Matched]) -> tuple[Derivable, ...]:
    return tuple(each for each in matched if isinstance(each, Derivable))


def awaited(matched: Sequence[Matched]) -> frozenset[JobId]:
    """The live jobs whose outputs are waited for."""
    return frozenset(each.promise.job for each in matched if isinstance(each, Promised))


def decide(
    job: Job, matched: Sequence[Matched], derivations: Sequence[Derivation] = ()
) -> Move | None:
    """The move of a job in AWAITING_DATA_CHECK, or in AWAITING_DERIVATION when its children
    are closed; None: it stays until the jobs close that it waits for.
    """
    if lost := _lost(matched):
        deriving = job.status is Status.AWAITING_DERIVATION
        event = Event.DERIVATION_FAILED if deriving else Event.UNPROVIDEABLE
        return move_of(job, event, Role.DATA, detail=_said(lost))
    if awaited(matched):
        return None
    if _derivable(matched):
        change = move_of(job, Event.NEEDS_DERIVATION, Role.DATA)
        return replace(change, children=tuple(derivations))
    met = tuple(each for each in matched if isinstance(each, Fulfilment))
    return replace(move_of(job, Event.NEEDS_ALLOCATION, Role.DATA), fulfilments=met)


def broken(job: Job, detail: str) -> Move:
    """End a job whose data can't even be asked for, or whose derivation failed."""
    derives = job.status is Status.AWAITING_DERIVATION
    event = Event.DERIVATION_FAILED if derives else Event.UNPROVIDEABLE
    return move_of(job, event, Role.DATA, detail=shortened(detail))


def failed_child(child: Job, log: str) -> str:
    """Say why a derivation failed, with the end of its log where that is known."""
    text = f"job {child.id} ({child.name}), which makes missing data, ended {child.status}"
    if child.detail:
        text += f": {child.detail}"
    return f"{text}; its log ends:\n{log}" if log else text


def shortened(text: str) -> str:
    """Keep the start and the end of a long detail: both matter in a log."""
    if len(text) <= DETAIL_CHARACTERS:
        return text
    half = DETAIL_CHARACTERS // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _said(misses: Sequence[Miss]) -> str:
    """Name each; what has to be derived not beside all that it would be made from."""
    said = [_lack(each) for each in misses]
    told = [
        each
        for each in misses
        if not each.causes or any(_lack(cause) not in said for cause in each.causes)
    ]
    sentences = (f"input {each.requirement.name}: {each.sentence}" for each in told)
    return shortened("; ".join(sentences))


def _lack(miss: Miss) -> tuple[object, ...]:
    return miss.requirement.category, miss.requirement.format, miss.missing
