"""What the monitor does with an attempt: facts in, one move out."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from headrace_model.array import ArrayRecord, failed_sentence, lost_from
from headrace_model.cause import Cause
from headrace_model.estimate import Run
from headrace_model.ids import NodeId
from headrace_model.job import Job, Need
from headrace_model.move import Learned, Move, move_of
from headrace_model.resources import Allocation, Resources
from headrace_model.spec import Retry
from headrace_model.status import HAS_ATTEMPT, TAKES_TASKS, Desired, Event, Role, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_monitor.core.again import judge

Facts = Mapping[tuple[NodeId, FactKind], Fact]

_MAY_RUN_AGAIN = frozenset({Event.RETRY, Event.END_STOPPED})

# What is seen of a worker until it is gone.
_ENDED = (FactKind.STARTED, FactKind.EXITED, FactKind.STOPPED)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision about one attempt rests on."""

    facts: Facts
    lost: Set[NodeId]  # nodes that are called lost now
    holding: Set[NodeId]  # nodes whose share of the attempt has not come back (read in STOPPING
    # and of spread jobs)
    retry: Retry
    now_ms: int  # by the clock that timed `job.entered_ms`
    array: ArrayRecord | None = None  # of an array
    exclusive: bool = False  # two workers of the job must never live at once
    confirmed: Set[NodeId] = frozenset()  # lost nodes of which an admin said that they are gone
    asked: Resources | None = None  # what the job asked at first (read in STOPPING)
    rooms: Sequence[Resources] = ()  # the nodes that it may use, when they are empty

    @property
    def doubtful(self) -> Set[NodeId]:
        """Lost nodes where workers may live on, as far as that matters to the job."""
        return self.lost - self.confirmed if self.exclusive else frozenset()

    def sure(self, nodes: Iterable[NodeId]) -> tuple[NodeId, ...]:
        """Those of `nodes` about which the decision trusts an admin."""
        return tuple(n for n in nodes if n in self.confirmed) if self.exclusive else ()


def decide(job: Job, seen: Seen) -> Move | None:
    """The next move of `job`, or None while there is nothing to do."""
    if job.status is Status.STOPPING:
        return _while_stopping(job, seen)
    if job.status not in HAS_ATTEMPT:
        return None
    return _bad_end(job, seen) or _good_step(job, seen) or _out_of_reach(job, seen)


def _nodes(job: Job) -> tuple[NodeId, ...]:
    return job.allocation.nodes if job.allocation else ()


def _bad_end(job: Job, seen: Seen) -> Move | None:
    match job.desired:
        case Desired.CANCEL:
            return _stop(job, Event.CANCEL, Cause.CANCELED, "canceled by its owner")
        case Desired.STOP:
            return _stop(job, Event.STOP, Cause.STOPPED, "stopped by its owner")
        case Desired.RUN | Desired.HOLD:
            pass
    for node in _nodes(job):
        for kind in FactKind:
            fact = seen.facts.get((node, kind))
            if fact and fact.cause:
                lost = fact.cause in (Cause.ATTEMPT_LOST, Cause.RESTORED)
                event = Event.ATTEMPT_LOST if lost else Event.FAILED
                stopped = _stop(job, event, fact.cause, fact.detail)
                return replace(stopped, exit_code=_exit_code(fact), peak_memory_bytes=_peak(seen))
    return None


def _out_of_reach(job: Job, seen: Seen) -> Move | None:
    """A lost node or a passed time limit; neither undoes what all nodes have done already."""
    nodes = _nodes(job)
    if job.status is Status.AWAITING_COLLECTION and all(
        (node, FactKind.COLLECTED) in seen.facts for node in nodes
    ):
        return None  # the outputs are in the store: the data service seals them
    if job.is_array and job.status is Status.AWAITING_COLLECTION:
        return None  # so they are since each of its tasks was done
    if job.is_array and job.status in TAKES_TASKS and (away := lost_from(nodes, seen.lost)):
        # Its tasks on a doubtful node stay there: the others run meanwhile.
        away, nodes = tuple(node for node in away if node not in seen.doubtful), ()
        if away:
            return replace(_node_left(job, away), confirmed=seen.sure(away))
    for node in nodes:
        if node in seen.lost:
            why = f"node {node} no longer answers"
            return replace(_stop(job, Event.ATTEMPT_LOST, Cause.NODE_LOST, why), lost=(node,))
    limit = job.ask.time_ms
    if job.status is Status.RUNNING and limit and seen.now_ms - job.entered_ms >= limit:
        why = f"it ran longer than its time limit of {limit / 1000:g} s"
        stop = _stop(job, Event.FAILED, Cause.TIME_LIMIT, why)
        return replace(stop, learns=_learned(job, seen))
    return None


def _node_left(job: Job, away: tuple[NodeId, ...]) -> Move:
    """Go on without lost nodes: what they had not finished comes back with their shares."""
    if job.allocation is None:
        raise AssertionError(f"job {job.id} is in {job.status} without an allocation")
    left = tuple(share for share in job.allocation.shares if share.node not in away)
    named = ", ".join(away)
    return replace(
        move_of(job, Event.NODE_LEFT, Role.MONITOR),
        detail=f"it goes on without {named}, which no longer answer{'s' * (len(away) == 1)}",
        keeps=Allocation(left),
        returns=away,
        lost=away,
        forgets=away,
        consumes=tuple((node, kind) for node in away for kind in FactKind),
    )


def _peak(seen: Seen) -> int | None:
    """The most memory that a worker used; None where none of them was measured."""
    peaks = (fact.peak_memory_bytes for fact in seen.facts.values())
    return max((peak for peak in peaks if peak), default=None)


def _learned(job: Job, seen: Seen) -> Learned | None:
    """What a run tells that ended well, or at its time limit: others that fail say nothing."""
    if job.likeness is None:
        return None
    run_ms = max(0, seen.now_ms - job.entered_ms)
    return Learned(job.likeness.keys(job.input_bytes), Run(run_ms, _peak(seen)))


def _exit_code(fact: Fact) -> int | None:
    """The worker's exit code; -n where signal n ended it; None where no worker ended."""
    return -fact.signal if fact.exit_code is None and fact.signal else fact.exit_code


def _stop(job: Job, event: Event, cause: Cause, detail: str) -> Move:
    """Lead to STOPPING; each node gets a STOP record, a lost one for the case that it returns."""
    nodes = _nodes(job)
    return replace(
        move_of(job, event, Role.MONITOR, cause=cause, detail=detail),
        work=_stop_records(job, nodes),
        consumes=tuple(
            (node, kind) for node in nodes for kind in FactKind if kind is not FactKind.STOPPED
        ),
    )


def _stop_records(job: Job, nodes: Iterable[NodeId]) -> tuple[Work, ...]:
    """`nodes` are some of the attempt's; what a stopped worker leaves is kept by its rank."""
    rank_of = {node: rank for rank, node in enumerate(_nodes(job))}
    return tuple(
        Work(node, job.id, job.attempt, Verb.STOP, spec=job.spec, rank=rank_of[node])
        for node in nodes
    )


def _good_step(job: Job, seen: Seen) -> Move | None:
    nodes = _nodes(job)

    def all_have(*kinds: FactKind) -> bool:
        """Tell whether each node has seen one of `kinds`."""
        return bool(nodes) and all(
            any((node, kind) in seen.facts for kind in kinds) for node in nodes
        )

    match job.status:
        case Status.SCHEDULED if all_have(FactKind.STARTED, FactKind.EXITED):
            consumed = tuple((node, FactKind.STARTED) for node in nodes)
            return replace(move_of(job, Event.STARTED, Role.MONITOR), consumes=consumed)
        case Status.RUNNING if job.is_spread and (still := _still_there(job, seen)):
            return _leader_exited(job, seen, still)
        case Status.RUNNING if job.is_spread or all_have(FactKind.EXITED):
            if seen.array and seen.array.counts.failed:
                return _tasks_failed(job, seen.array)
            collect = Need.COLLECTION in job.needs
            event = Event.NEEDS_COLLECTION if collect else Event.COMPLETED
            # The outputs of an array's tasks are in the store already.
            verb = Verb.COLLECT if collect and not job.is_array else Verb.CLEAN
            spec = job.spec if verb is Verb.COLLECT else ""
            return replace(
                move_of(job, event, Role.MONITOR),
                exit_code=0,
                peak_memory_bytes=_peak(seen),
                learns=_learned(job, seen),
                returns=nodes,
                work=tuple(Work(node, job.id, job.attempt, verb, spec=spec) for node in nodes),
                consumes=tuple((node, kind) for node in nodes for kind in _ENDED),
            )
        case _:
            return None


def _still_there(job: Job, seen: Seen) -> list[NodeId]:
    """The nodes of a spread attempt whose worker is not known to be gone."""
    return [
        node
        for node in _nodes(job)
        if node in seen.holding
        and (node, FactKind.EXITED) not in seen.facts
        and (node, FactKind.STOPPED) not in seen.facts
    ]


def _leader_exited(job: Job, seen: Seen, still: list[NodeId]) -> Move | None:
    """End the other workers once the first has ended well: its share comes back with this move,
    which so is made once."""
    leader = _nodes(job)[0]
    if leader in still or leader not in seen.holding:
        return None
    return replace(
        move_of(job, Event.LEADER_EXITED, Role.MONITOR),
        detail="the command has ended well: the workers of its other ranks are ended",
        returns=(leader,),
        work=_stop_records(job, still),
        consumes=tuple((leader, kind) for kind in _ENDED),
    )


def _tasks_failed(job: Job, array: ArrayRecord) -> Move:
    """All tasks have ended, and some failed after their retries."""
    stop = _stop(job, Event.FAILED, Cause.TASKS, failed_sentence(array))
    first = array.first_failed(1)
    return replace(stop, exit_code=first[0].exit_code if first else None)


def _while_stopping(job: Job, seen: Seen) -> Move | None:
    nodes = _nodes(job)
    gone = [n for n in nodes if n in seen.lost or (n, FactKind.STOPPED) in seen.facts]
    # Its share has not come back, so a worker was there, and nobody has heard of its end.
    doubtful = {
        node
        for node in gone
        if node in seen.doubtful & seen.holding and (node, FactKind.STOPPED) not in seen.facts
    }
    if len(gone) == len(nodes):
        end = _end(job, seen)
        if end.event not in _MAY_RUN_AGAIN or not doubtful:
            return end
    back = tuple(node for node in gone if node in seen.holding and node not in doubtful)
    if not back:
        return None
    share_returned = move_of(
        job, Event.SHARE_RETURNED, Role.MONITOR, cause=job.cause, detail=job.detail
    )
    unheard = tuple(node for node in back if (node, FactKind.STOPPED) not in seen.facts)
    return replace(
        share_returned,
        returns=back,
        lost=unheard,
        confirmed=seen.sure(unheard),
        exit_code=job.exit_code,
    )


def _end(job: Job, seen: Seen) -> Move:
    nodes = _nodes(job)
    verdict = judge(job, seen.retry, seen.asked or job.ask.resources, seen.rooms, seen.now_ms)
    cause, detail = job.cause, job.detail
    match job.desired:
        case Desired.CANCEL:
            event = Event.END_CANCELED
        case Desired.STOP:
            event = Event.END_STOPPED
        case _:
            event = Event.RETRY if verdict.ask else Event.END_FAILED
            cause, detail = verdict.cause, verdict.detail
    failed = event in (Event.RETRY, Event.END_FAILED)
    partial = failed and Need.COLLECTION in job.needs and not job.is_array
    end = replace(
        move_of(job, event, Role.MONITOR, cause=cause, detail=detail),
        exit_code=job.exit_code,
        returns=nodes,
        work=tuple(
            Work(node, job.id, job.attempt, Verb.CLEAN, spec=job.spec if partial else "")
            for node in nodes
            if node not in seen.lost
        ),
        lost=tuple(node for node in nodes if node in seen.lost),
        confirmed=seen.sure(node for node in nodes if node in seen.lost),
        forgets=tuple(node for node in nodes if node in seen.lost),
        consumes=tuple((node, kind) for node in nodes for kind in FactKind),
    )
    if event is not Event.RETRY or verdict.ask is None:
        return end
    tasks = max(1, seen.array.counts.unfinished) if seen.array else job.ask.tasks
    counted = job.cause is not Cause.RESTORED
    return replace(
        end,
        opens=replace(verdict.ask, tasks=tasks),
        retries=job.retries + counted,
        losses=verdict.losses,
    )
