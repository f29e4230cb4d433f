"""The pure core of the request service: verbs, pages, pieces of logs, room, acceptance."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput, InvalidSpec
from headrace_model.ids import JobId, job_id
from headrace_model.job import Ask, Job, Need
from headrace_model.listing import Place
from headrace_model.move import Move
from headrace_model.resources import Paradigm, Resources
from headrace_model.spec import ArraySpec, JobSpec, Parallel, ResourceSpec
from headrace_model.status import EDGES, HAS_ATTEMPT, HOLDS_NOTHING, Desired, Event, Role, Status
from headrace_request.core.accept import accept, ask_of, refuse_unserved, without_backend
from headrace_request.core.desire import DesireVerb, Done, Refusal, desire
from headrace_request.core.listing import read_cursor, statuses_named, write_cursor
from headrace_request.core.live import BadMessage, read_message, write_error
from headrace_request.core.logpiece import join, read_piece
from headrace_request.core.room import Filling, Watermarks, full
from headrace_request.core.waits import waits_for

ASK = Ask(Resources(1000, 2**30), Paradigm.SINGLE_NODE, "process", not_before_ms=7)
JOB = Job(
    id=job_id(1, 1),
    owner="ann",
    name="j",
    kind="command",
    spec="{}",
    status=Status.AWAITING_ALLOCATION,
    desired=Desired.RUN,
    version=3,
    attempt=1,
    retries=0,
    priority=50,
    rank=1.0,
    created_ms=1,
    entered_ms=1,
    ask=ASK,
    needs=frozenset(),
    after=(),
    parents=(),
    origin=None,
    request_id="",
    allocation=None,
    cause=None,
    detail="",
    exit_code=None,
    fulfilments="",
    outputs="",
)
JOBS = st.builds(
    lambda status, desired, needs, attempt, retries, fulfilments: replace(
        JOB,
        status=status,
        desired=desired,
        needs=needs,
        attempt=attempt,
        retries=retries,
        fulfilments=fulfilments,
    ),
    st.sampled_from(Status),
    st.sampled_from(Desired),
    st.frozensets(st.sampled_from(Need)),
    st.integers(1, 3),
    st.integers(0, 2),
    st.sampled_from(["", "{}"]),
)


@given(JOBS, st.sampled_from(DesireVerb))
def test_every_verb_has_an_answer_that_the_table_knows(job: Job, verb: DesireVerb) -> None:
    match desire(job, verb):
        case Move() as change:
            assert (change.version, change.status) == (job.version, job.status)
            assert change.desired is not None
            if change.event is None:
                assert change.to is job.status
            else:
                edge = EDGES[job.status, change.event]
                assert (edge.to, edge.writer) == (change.to, Role.REQUEST)
        case Refusal(sentence, next_step):
            assert sentence
            assert next_step
        case Done():
            pass


@given(JOBS, st.sampled_from(DesireVerb))
def test_a_verb_that_was_done_is_done_when_it_is_repeated(job: Job, verb: DesireVerb) -> None:
    change = desire(job, verb)
    if isinstance(change, Move):
        assert change.desired is not None
        after = replace(
            job,
            status=change.to,
            desired=change.desired,
            version=job.version + 1,
            attempt=job.attempt + (change.opens is not None),
            retries=job.retries if change.retries is None else change.retries,
        )
        assert desire(after, verb) == Done()


@given(JOBS, st.sampled_from(DesireVerb))
def test_cancel_is_never_overwritten_and_what_is_final_never_moves(
    job: Job, verb: DesireVerb
) -> None:
    change = desire(job, verb)
    if isinstance(change, Move):
        assert not job.status.final
        if job.desired is Desired.CANCEL:
            assert change.desired is Desired.CANCEL


@pytest.mark.parametrize("status", HAS_ATTEMPT)
def test_hold_is_refused_from_awaiting_data_on(status: Status) -> None:
    answer = desire(replace(JOB, status=status), DesireVerb.HOLD)
    assert isinstance(answer, Refusal)
    assert "use stop" in answer.next_step


@pytest.mark.parametrize("status", HOLDS_NOTHING)
def test_stop_and_cancel_end_a_job_that_holds_nothing_at_once(status: Status) -> None:
    for verb, to in ((DesireVerb.STOP, Status.STOPPED), (DesireVerb.CANCEL, Status.CANCELED)):
        change = desire(replace(JOB, status=status), verb)
        assert isinstance(change, Move)
        assert change.to is to


def test_a_restart_whose_job_has_completed_since_is_done_when_it_is_repeated() -> None:
    completed = replace(JOB, status=Status.COMPLETED, desired=Desired.RUN, attempt=2, retries=0)
    assert desire(completed, DesireVerb.RESTART) == Done()
    never_restarted = replace(completed, attempt=1)
    assert isinstance(desire(never_restarted, DesireVerb.RESTART), Refusal)
    failed = replace(completed, status=Status.FAILED)
    assert isinstance(desire(failed, DesireVerb.RESTART), Refusal)


def test_a_restart_opens_the_next_attempt_without_the_back_off() -> None:
    stopped = replace(JOB, status=Status.STOPPED, desired=Desired.STOP, retries=2)
    change = desire(stopped, DesireVerb.RESTART)
    assert isinstance(change, Move)
    assert change.opens == replace(ASK, not_before_ms=None)
    assert (change.retries, change.event) == (0, Event.NEEDS_ALLOCATION)


@given(st.integers(0, 2**52), st.integers(0, 2**30 - 1))
def test_a_cursor_reads_back(at: int, bits: int) -> None:
    place = Place(at, job_id(1, bits))
    assert read_cursor(write_cursor(place)) == place


@given(st.text(max_size=60))
def test_a_strange_cursor_is_invalid_input(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_cursor(text)


def test_statuses_are_named_whole_by_phase_or_by_step() -> None:
    assert statuses_named(["running"]) == (Status.RUNNING,)
    assert Status.FAILED in statuses_named(["closed"])
    assert statuses_named([]) == tuple(Status)
    with pytest.raises(InvalidInput):
        statuses_named(["nowhere"])


@given(
    st.binary(max_size=60).map(lambda b: b.hex()), st.lists(st.tuples(*[st.integers(0, 60)] * 2))
)
def test_joined_pieces_lose_nothing_unsaid_and_repeat_nothing(
    text: str, cuts: list[tuple[int, int]]
) -> None:
    at, read, skipped = 0, "", 0
    for begin, length in cuts:
        data = text[begin : begin + length]
        sent = f'{{"offset": {begin}, "data": "{data}", "eof": false, "state": "running"}}'
        joined = join(at, read_piece(sent))
        at, read, skipped = joined.at, read + joined.data, skipped + joined.skipped
    assert len(read) + skipped == at
    if not skipped:
        assert read == text[:at]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"offset": "x", "data": "", "eof": 1}'])
def test_a_strange_piece_is_invalid_input(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_piece(text)


def test_new_work_stops_at_the_watermarks_only() -> None:
    marks = Watermarks(memory_percent=80, disk_percent=80, disk_spare_bytes=2 * 2**30)
    gib = 2**30
    roomy = Filling(0, 100 * gib)
    assert full(Filling(79, 100), roomy, marks) is None
    assert full(Filling(80, 100), roomy, marks) is not None
    assert full(Filling(10**12, 0), roomy, marks) is None  # no maxmemory
    assert full(Filling(0, 100), Filling(95 * gib, 100 * gib), marks) is None  # 5 GiB are free
    assert full(Filling(0, 100), Filling(99 * gib, 100 * gib), marks) is not None
    assert full(Filling(0, 100), Filling(8 * gib, 10 * gib), marks) is None
    assert full(Filling(0, 100), Filling(8 * gib + 1, 10 * gib), marks) is not None


def test_a_job_with_everything_begins_with_its_prerequisites() -> None:
    spec = JobSpec("command", "x", command=("true",), after=(JobId("0" * 16),))
    made = accept(spec, "{}", job=JOB.id, owner="ann", after=spec.after)
    assert made.status is Status.AWAITING_PREREQUISITES
    # What has to complete first may have done so long ago.
    assert accept(spec, "{}", job=JOB.id, owner="ann").new.needs == frozenset()
    assert accept(replace(spec, image="x"), "{}", job=JOB.id, owner="a").new.ask.backend == (
        "container"
    )


def test_what_is_not_served_is_refused_with_a_next_step() -> None:
    spec = JobSpec("command", "x", command=("true",))
    refuse_unserved(spec)
    with pytest.raises(InvalidSpec) as caught:
        refuse_unserved(replace(spec, kind="derivation"))
    assert caught.value.hint


def test_an_array_asks_for_one_task_and_names_how_many_there_are() -> None:
    spec = JobSpec("command", "x", command=("true",), array=ArraySpec(items=("a",)))
    ask = accept(spec, "{}", job=JOB.id, owner="a").new.ask
    assert (ask.tasks, ask.cut) == (1, Paradigm.SINGLE_NODE)
    assert ask_of(replace(spec, array=ArraySpec())).tasks is None


def test_a_restarted_array_asks_for_the_tasks_that_have_not_ended() -> None:
    array = replace(JOB, status=Status.STOPPED, ask=replace(JOB.ask, tasks=50))
    change = desire(array, DesireVerb.RESTART, 7)
    assert isinstance(change, Move)
    assert change.opens is not None
    assert change.opens.tasks == 7


@given(JOBS)
def test_every_job_can_say_what_it_waits_for(job: Job) -> None:
    reason = waits_for(job)
    assert reason.sentence
    assert reason.next_step


@pytest.mark.parametrize("text", ["x", "[]", '{"op":"dance","id":"a"}', '{"op":"follow"}'])
def test_a_message_without_sense_is_answered_with_a_next_step(text: str) -> None:
    with pytest.raises(BadMessage) as error:
        read_message(text)
    assert "docs/websocket.md" in json.loads(write_error(error.value, None))["hint"]


def test_ranks_that_may_spread_ask_for_nodes_whose_workers_reach_each_other() -> None:
    spread = ResourceSpec(Resources(3000, 2**30), Paradigm.ROUND_ROBIN)
    spec = JobSpec("command", "x", image="mpi", parallel=Parallel.MPI, resources=spread)
    assert ask_of(spec).backend == "parallel"
    assert ask_of(replace(spec, parallel=None)).backend == "container"
    one = replace(spec, resources=ResourceSpec(Resources(3000, 2**30)))
    assert ask_of(one).backend == "container", "on one node nothing has to reach anything"
    assert ask_of(replace(one, image=None)).backend == "process"


@pytest.mark.parametrize(
    ("backend", "said"), [("parallel", "SINGLE_NODE"), ("container", "leave `image` out")]
)
def test_what_no_node_offers_is_refused_with_a_next_step(backend: str, said: str) -> None:
    assert said in without_backend(replace(ASK, backend=backend))
