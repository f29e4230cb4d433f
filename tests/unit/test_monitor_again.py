"""Whether a failed attempt is followed by another, and what that one asks."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace_adapters.redis.nodes import NodeRecord
from headrace_model.cause import NOT_THE_JOBS_FAULT, RETRYABLE, Cause
from headrace_model.fit import can_hold
from headrace_model.ids import NodeId
from headrace_model.job import Ask
from headrace_model.node import NodeState
from headrace_model.resources import Allocation, Constraints, Paradigm, Resources, Share
from headrace_model.spec import MOST_RAISED, Retry
from headrace_model.units import rough_size
from headrace_monitor.core.again import FEWEST_LOSSES, MOST_LOSSES, judge
from headrace_monitor.service import Monitor
from headrace_scheduler.core.placement import place

from .test_monitor_decide import NOW, RUNNING

GIB = 2**30
ROOMY = [Resources(8_000, 64 * GIB)]

amounts = st.builds(Resources, st.integers(1, 4_000), st.integers(2**20, 8 * GIB))
rooms = st.lists(st.builds(Resources, st.integers(1, 8_000), st.integers(1, 32 * GIB)), max_size=4)


SINGLE = Paradigm.SINGLE_NODE


@given(
    amounts,
    st.integers(1, MOST_RAISED),
    st.none() | st.integers(2**20, 64 * GIB),
    st.sampled_from(Paradigm),
    rooms,
)
def test_after_an_oom_more_is_asked_than_before_as_much_as_may_be_or_nothing(
    asked: Resources,
    raised: int,
    limit: int | None,
    paradigm: Paradigm,
    nodes: list[Resources],
) -> None:
    before = raised * asked.memory_bytes
    ask = Ask(Resources(asked.millicpus, before), paradigm, "process")
    job = replace(RUNNING, cause=Cause.OOM, detail="too much", ask=ask)
    verdict = judge(job, Retry(memory_limit_bytes=limit), asked, nodes, NOW)
    most = MOST_RAISED * asked.memory_bytes if limit is None else limit
    assert verdict.cause is Cause.OOM
    if verdict.ask is None:
        doubled = replace(ask.resources, memory_bytes=min(2 * before, most))
        assert most <= before or not can_hold(doubled, paradigm, nodes)
        assert "not tried again with more than" in verdict.detail
        return
    after = verdict.ask.resources
    assert before < after.memory_bytes <= min(2 * before, most)
    assert after.millicpus == asked.millicpus
    assert can_hold(after, paradigm, nodes), "it would wait for ever"


def test_the_largest_node_bounds_what_is_asked_after_an_oom() -> None:
    asked = Resources(1_000, 4 * GIB)
    job = replace(RUNNING, cause=Cause.OOM, detail="too much", ask=Ask(asked, SINGLE, "process"))
    nodes = [Resources(4_000, 6 * GIB), Resources(500, 64 * GIB)]
    verdict = judge(job, Retry(), asked, nodes, NOW)
    assert verdict.ask is not None
    assert verdict.ask.resources == Resources(1_000, 6 * GIB)
    assert verdict.detail == "too much; attempt 2 asks 6.0 GiB"
    last = judge(replace(job, ask=verdict.ask), Retry(), asked, nodes, NOW)
    assert last.ask is None
    assert last.detail.endswith("more than 6.0 GiB: no node that it may use has more")


def test_only_nodes_that_hold_the_pieces_too_bound_what_is_asked_after_an_oom() -> None:
    gpu = (("gpus", 1),)
    asked = Resources(1_000, 4 * GIB, gpu)
    job = replace(RUNNING, cause=Cause.OOM, detail="too much", ask=Ask(asked, SINGLE, "process"))
    nodes = [Resources(4_000, 6 * GIB, gpu), Resources(4_000, 64 * GIB)]
    verdict = judge(job, Retry(), asked, nodes, NOW)
    assert verdict.ask is not None
    assert verdict.ask.resources == Resources(1_000, 6 * GIB, gpu)


@given(
    amounts,
    st.none() | st.integers(2**20, 64 * GIB),
    st.sampled_from(Paradigm),
    rooms.filter(bool),
)
def test_after_an_oom_on_whole_nodes_the_next_attempt_gets_more_memory_than_they_had_or_none_runs(
    asked: Resources, limit: int | None, paradigm: Paradigm, nodes: list[Resources]
) -> None:
    ask = Ask(asked, paradigm, "process", constraints=Constraints(whole_node=True))
    had = _whole_nodes(ask, nodes)
    if had is None:
        return
    job = replace(RUNNING, cause=Cause.OOM, detail="too much", ask=ask, allocation=had)
    verdict = judge(job, Retry(memory_limit_bytes=limit), asked, nodes, NOW)
    before = had.total.memory_bytes
    if verdict.ask is not None:
        following = _whole_nodes(verdict.ask, nodes)
        assert following is not None, "it would wait for ever"
        assert following.total.memory_bytes > before
        assert limit is None or verdict.ask.resources.memory_bytes <= limit
        return
    assert f"not tried again with more than {rough_size(before)}" in verdict.detail
    if (limit is None or limit > before) and paradigm is SINGLE:
        rest = replace(asked, memory_bytes=before + 1)
        assert not any(rest.fits_in(room) for room in nodes)


def _whole_nodes(ask: Ask, nodes: list[Resources]) -> Allocation | None:
    """Where an attempt goes that holds whole nodes: all that they have."""
    free = {NodeId(f"n{number}"): room for number, room in enumerate(nodes)}
    found = place(ask.resources, ask.cut, free)
    if not isinstance(found, Allocation):
        return None
    return Allocation(tuple(Share(name, free[name]) for name in found.nodes))


async def test_only_nodes_with_the_labels_of_a_job_bound_what_it_asks_after_an_oom() -> None:
    small, large = Resources(4_000, 6 * GIB), Resources(4_000, 64 * GIB)
    monitor = object.__new__(Monitor)
    monitor._resources = _NoFile()  # type: ignore[assignment]
    monitor._known = [_node("a", small, {"disk": "ssd", "site": "x"}), _node("b", large, {})]
    ask = Ask(small, SINGLE, "process", constraints=Constraints((("disk", "ssd"),)))
    assert await monitor._rooms(replace(RUNNING, ask=ask)) == [small]
    assert await monitor._rooms(replace(RUNNING, ask=replace(ask, constraints=None))) == [
        small, large,
    ]  # fmt: skip


class _NoFile:
    async def get(self) -> None:
        """There is no resources.yaml."""


def _node(name: str, size: Resources, labels: dict[str, str]) -> NodeRecord:
    process = frozenset({"process"})
    return NodeRecord(NodeId(name), size, size, NodeState.UP, process, "1", 0, (), labels, False)


@given(st.sampled_from(sorted(RETRYABLE - {Cause.OOM})), st.integers(0, 5), amounts)
def test_other_causes_leave_what_is_asked(cause: Cause, retries: int, asked: Resources) -> None:
    job = replace(RUNNING, cause=cause, retries=retries, ask=Ask(asked, SINGLE, "process"))
    verdict = judge(job, Retry(9, RETRYABLE), asked, ROOMY, NOW)
    assert verdict.ask is not None
    assert verdict.ask.resources == asked
    assert verdict.losses == (cause is Cause.NODE_LOST)


@given(st.integers(0, 100))
def test_a_job_that_nodes_are_lost_with_comes_to_an_end(limit: int) -> None:
    job, asked = RUNNING, RUNNING.ask.resources
    retry = Retry(limit, NOT_THE_JOBS_FAULT)
    lost = 0
    while True:
        lost += 1
        job = replace(job, cause=Cause.NODE_LOST, detail="node1 no longer answers")
        verdict = judge(job, retry, asked, ROOMY, NOW)
        if verdict.ask is None:
            break
        job = replace(job, attempt=job.attempt + 1, retries=job.retries + 1, losses=verdict.losses)
    assert lost == min(limit + 1, MOST_LOSSES)
    if lost >= FEWEST_LOSSES:
        assert verdict.cause is Cause.POISON
        assert verdict.detail.startswith(f"{lost} times a machine was lost while it ran there")
    else:
        assert verdict.cause is Cause.NODE_LOST


def test_a_job_with_another_failure_after_losses_keeps_its_own_cause() -> None:
    job = replace(RUNNING, cause=Cause.EXIT_CODE, detail="exit code 1", losses=3)
    verdict = judge(job, Retry(), RUNNING.ask.resources, ROOMY, NOW)
    assert (verdict.cause, verdict.detail, verdict.ask) == (Cause.EXIT_CODE, "exit code 1", None)
