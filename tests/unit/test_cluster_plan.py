"""What the cluster agent makes of a node's wishes."""

from dataclasses import replace

import pytest

from headrace_cluster.core.plan import Claim, Plan, misfit, plan, refusal_of
from headrace_model.ids import job_id
from headrace_model.service import (
    Member,
    Progress,
    Service,
    ServiceTask,
    ServiceWish,
    Wished,
)
from headrace_model.worker import Mount

WISH = ServiceWish(
    job=job_id(1, 1), attempt=1, rank=0, image="sha256:0", argv=("true",), env={}, cwd="/",
    user="1:1", labels={}, mounts=(Mount("/state/attempts/x", "/w"),), memory_bytes=None,
    millicpus=1_000,
)  # fmt: skip
CLAIM = Claim("node1", "m1", "/state")
MEMBERS = (Member("m0", "other", ready=True), Member("m1", "Node1.example", ready=True))
SERVICE = Service("s1", WISH.name, "node1", "e1")


def planned(
    wish: ServiceWish | None = WISH,
    *,
    may_start: bool = True,
    over: bool = False,
    refused: bool = False,
    claim: Claim = CLAIM,
    there: Service | None = None,
    ended: bool = False,
) -> Plan:
    wished = [Wished(WISH.name, wish, refused, may_start, over)]
    services = {there.name: there} if there else {}
    return plan(claim, MEMBERS, wished, services, "e1", ["s1"] if ended else [])


def test_a_service_is_made_while_its_attempt_is_to_be_launched() -> None:
    assert planned() == Plan(create=[(WISH, "m1")])
    assert planned(there=SERVICE) == Plan()
    assert planned(may_start=False) == Plan()


def test_it_stays_while_it_is_wished_for_and_its_attempt_is_not_over() -> None:
    assert planned(may_start=False, there=SERVICE) == Plan()
    assert planned(may_start=False, over=True, there=SERVICE) == Plan(
        remove=[SERVICE], drop=[WISH.name]
    )
    assert plan(CLAIM, MEMBERS, [], {WISH.name: SERVICE}, "e1", []) == Plan(remove=[SERVICE])


def test_what_is_refused_is_neither_made_nor_refused_again() -> None:
    assert planned(refused=True) == Plan()
    assert planned(None, refused=True) == Plan()


def test_a_service_of_another_redis_is_left_alone_while_its_worker_lives() -> None:
    old = replace(SERVICE, epoch="e0")
    services = {WISH.name: old}
    assert plan(CLAIM, MEMBERS, [], services, "e1", []) == Plan()
    assert plan(CLAIM, MEMBERS, [], services, "e1", ["s1"]) == Plan(remove=[old])


def test_a_service_of_another_redis_is_not_the_one_that_is_wished_for() -> None:
    old = replace(SERVICE, epoch="e0")
    assert planned(there=old) == Plan(create=[(WISH, "m1")])  # which is refused: its name is taken
    assert planned(there=old, ended=True) == Plan(remove=[old])  # and the next look makes it


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (replace(CLAIM, member=""), "tells no machine"),
        (replace(CLAIM, member="m9"), "no machine of the swarm"),
        (replace(CLAIM, member="m0"), "that machine is other"),
    ],
)
def test_nothing_is_made_on_a_machine_that_is_not_the_nodes_own(claim: Claim, said: str) -> None:
    ((name, refusal),) = planned(claim=claim).refuse
    assert (name, refusal.retryable) == (WISH.name, True)
    assert said in refusal.message
    assert misfit(CLAIM, MEMBERS) is None


@pytest.mark.parametrize("source", ["/etc", "/state", "/state/../etc", "/statement/x", "state/x"])
def test_a_worker_sees_files_of_its_nodes_agent_only(source: str) -> None:
    wish = replace(WISH, mounts=(*WISH.mounts, Mount(source, "/x")))
    made = planned(wish)
    assert made.create == []
    assert source in made.refuse[0][1].message
    assert not made.refuse[0][1].retryable


def test_what_cant_be_read_is_refused() -> None:
    ((name, refusal),) = planned(None).refuse
    assert name == WISH.name
    assert "can't read" in refusal.message


def test_a_task_that_its_machine_refused_is_told_at_once_and_in_a_sentence() -> None:
    for said, sentence in (
        ("No such image: sha256:0", "its image is no longer on node n"),
        (
            "invalid mount: bind source path does not exist: /x",
            "its folder is no longer on node n",
        ),
        ("something else", "node n can't make its container: something else"),
    ):
        refusal = refusal_of(ServiceTask("s", Progress.REFUSED, said), "n", 0.0, 10.0)
        assert refusal is not None
        assert refusal.message == sentence


def test_a_task_that_waits_or_has_ended_is_given_time() -> None:
    for progress, sentence in (
        (Progress.WAITS, "the swarm does not start it on node n: no suitable node"),
        (Progress.ENDED, "it ended on node n, and its agent did not see how"),
    ):
        task = ServiceTask("s", progress, "no suitable node")
        assert refusal_of(task, "n", 10.0, 10.0) is None
        refusal = refusal_of(task, "n", 10.1, 10.0)
        assert refusal is not None
        assert (refusal.message, refusal.retryable) == (sentence, True)
    assert refusal_of(ServiceTask("s", Progress.RUNS, ""), "n", 1e9, 10.0) is None
