"""The order of the queue: age, priority and share; the turn of each job comes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_model.ids import JobId
from headrace_model.priority import CLASSES, WEIGHT_MS, class_of, rank_of
from headrace_model.share import MOST_SHIFT_MS
from headrace_scheduler.core.order import in_order
from headrace_scheduler.core.plan import plan
from headrace_scheduler.core.snapshot import Snapshot, WaitingJob
from headrace_scheduler.core.waiting import Waiting
from tests.unit.test_plan import job, node

HOUR_MS = 3_600_000


def test_a_class_is_the_highest_that_a_priority_reaches():
    assert [class_of(each) for each in (0, 25, 49, 50, 74, 75, 99, 100)] == [
        "low", "low", "low", "normal", "normal", "high", "high", "urgent",
    ]  # fmt: skip


def test_no_share_makes_up_for_a_class_of_priority():
    low, normal = CLASSES["low"], CLASSES["normal"]
    assert rank_of(0, normal) + MOST_SHIFT_MS < rank_of(0, low)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["ann", "bob", "cyd"])), max_size=20),
    st.dictionaries(st.sampled_from(["ann", "bob"]), st.integers(0, 40)),
)
def test_the_queue_is_read_in_the_order_of_places(specs, shifts):
    queued = sorted(
        (float(rank), JobId(f"j{i:02}"), owner) for i, (rank, owner) in enumerate(specs)
    )
    by_owner = {
        owner: [(rank, id) for rank, id, theirs in queued if theirs == owner]
        for _, _, owner in queued
    }
    expected = sorted(((rank + shifts.get(owner, 0), id), id) for rank, id, owner in queued)
    assert list(in_order(by_owner, shifts)) == expected


# A stream: at each step some jobs come, of whatever owner, priority and size.
streams = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "cyd"]), st.integers(0, 100), st.integers(1, 4)),
        max_size=4,
    ),
    min_size=1,
    max_size=25,
)
STEP_MS = 6 * HOUR_MS
# Whoever comes later than this after a job goes behind it.
PASSED_FOR_MS = 100 * WEIGHT_MS + MOST_SHIFT_MS


@settings(max_examples=60, deadline=None)
@given(streams, st.randoms(use_true_random=False))
def test_every_job_starts_in_bounded_time_while_jobs_end(stream, rng):
    """Four CPUs, jobs of one step, an endless stream of more urgent ones than there is room for,
    and shares that change as badly as they can. In front of a job are those that are there, and
    those that come while priority and share may make up for it; of them one a step starts."""
    waiting = Waiting()
    known: dict[str, WaitingJob] = {}
    now_ms = 0
    number = 0
    most_steps = len(stream) + 2 * (PASSED_FOR_MS // STEP_MS + 1) + sum(map(len, stream))
    while stream or any(each.owner != "rush" for each in known.values()):
        arrivals = [*(stream.pop(0) if stream else []), *[("rush", 100, 1)] * 5]
        for owner, priority, cpus in arrivals:
            number += 1
            made = job(
                f"j{number:06}", cpus, STEP_MS, rank=rank_of(now_ms, priority), owner=owner,
                queued_ms=now_ms,
            )  # fmt: skip
            waiting.put(made)
            known[made.id] = made
        shifts = {owner: rng.choice([0, MOST_SHIFT_MS]) for owner in ("ann", "bob", "cyd", "rush")}
        waiting.shift(shifts)
        snapshot = Snapshot((node("n", 4),), waiting.lines(now_ms), (), shifts=shifts)
        for placed in plan(snapshot, now_ms).placements:
            waiting.drop(known.pop(placed.job).id)
        now_ms += STEP_MS
        assert now_ms <= most_steps * STEP_MS
