"""A lineage holds what one reaches through what one may see, and nothing of the rest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_client.cli.lineage import lines_of
from headrace_model.dataset import Category, Dataset
from headrace_model.domain import Domain
from headrace_model.errors import NotFound
from headrace_model.ids import DatasetId, JobId, job_id
from headrace_model.job import Ask, Job
from headrace_model.outputs import origin_of, output_dataset
from headrace_model.people import Share, User, UserRole
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Paradigm, Resources
from headrace_model.status import Desired, Status
from headrace_request.core.lineage import Bounds
from headrace_request.service.lineage import LineageDesk
from headrace_wire.lineage import LineageEdge, LineageNode, LineageView, Thing
from headrace_wire.records import encode_fulfilments

OWNERS = ("ann", "bob")
FAR = Bounds(1_000, 2_000)


def _job(number: int, owner: str, inputs: Sequence[DatasetId], outputs: int) -> Job:
    id_ = job_id(1_700_000_000_000, number)
    met = tuple(
        Fulfilment(f"in{n}", (one,), None, "", (f"was-{one[:16]} v1",))
        for n, one in enumerate(inputs)
    )
    made = {f"out{n}": output_dataset(id_, 2, f"out{n}") for n in range(outputs)}
    return Job(
        id=id_, owner=owner, name=f"job{number}", kind="command", spec="", version=3, attempt=2,
        status=Status.COMPLETED, desired=Desired.RUN, retries=1, priority=50, rank=0.0,
        created_ms=1, entered_ms=77, ask=Ask(Resources(1, 1), Paradigm.SINGLE_NODE, "process"),
        needs=frozenset(), after=(), parents=(), origin=None, request_id="", allocation=None,
        cause=None, detail="", exit_code=None, fulfilments=encode_fulfilments(met),
        outputs=json.dumps(made),
    )  # fmt: skip


def _dataset(id_: DatasetId, owner: str) -> Dataset:
    name = id_.replace(".", "-")
    return Dataset(id_, name, 1, Category.FORCING, "GENERIC", Domain(), owner, 1)


@dataclass
class World:
    """Jobs and datasets, as the services beside the desk would tell of them."""

    jobs: dict[JobId, Job] = field(default_factory=dict)
    held: dict[DatasetId, Dataset] = field(default_factory=dict)  # a deleted one is in none
    used: dict[JobId, list[DatasetId]] = field(default_factory=dict)
    asked_most: int = 0

    def add(self, owner: str, inputs: Sequence[DatasetId], outputs: int) -> Job:
        job = _job(len(self.jobs) + 1, owner, inputs, outputs)
        self.jobs[job.id], self.used[job.id] = job, list(inputs)
        for id_ in json.loads(job.outputs).values():
            self.held[DatasetId(id_)] = _dataset(DatasetId(id_), owner)
        return job

    def desk(self) -> LineageDesk:
        return LineageDesk(self, self, self, self)  # type: ignore[arg-type]

    # what the desk asks: jobs, datasets, the read model, its feed

    async def get(self, job: JobId, _: User) -> Job:
        return self.jobs[job]

    async def get_many(self, jobs: Sequence[JobId]) -> list[Job]:
        self.asked_most = max(self.asked_most, len(jobs))
        return [self.jobs[one] for one in jobs if one in self.jobs]

    async def datasets(self, ids: Sequence[DatasetId], name: str = "") -> list[Dataset]:
        self.asked_most = max(self.asked_most, len(ids))
        return [self.held[one] for one in (*ids, DatasetId(name)) if one in self.held]

    async def users_of(self, ids: Sequence[DatasetId], most: int) -> dict[DatasetId, list[JobId]]:
        return {i: [j for j, used in self.used.items() if i in used][:most] for i in ids}

    async def reach_now(self) -> None: ...

    async def incomplete(self) -> None: ...


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for number in range(3):
        upload = DatasetId(job_id(1_600_000_000_000, number))
        world.held[upload] = _dataset(upload, draw(st.sampled_from(OWNERS)))
    for _ in range(draw(st.integers(1, 6))):
        known = sorted(world.held)
        inputs = draw(st.lists(st.sampled_from(known), unique=True, max_size=3))
        world.add(draw(st.sampled_from(OWNERS)), inputs, draw(st.integers(0, 2)))
    for id_ in draw(st.lists(st.sampled_from(sorted(world.held)), unique=True, max_size=2)):
        del world.held[id_]
    for job in draw(st.lists(st.sampled_from(sorted(world.jobs)), unique=True, max_size=1)):
        del world.jobs[job]  # its archive has expired
    return world


def _reached(world: World, start: str, user: User) -> tuple[set[str], int]:
    """By brute force: the true ids that one sees by name, and how many things one does not."""

    def mine(owner: str) -> bool:
        return user.role is UserRole.ADMIN or user.name == owner

    named, nameless = {start}, set()
    for back in (True, False):
        todo = [start]
        while todo:
            at = todo.pop()
            if at in world.jobs:
                job = world.jobs[JobId(at)]
                made = list(json.loads(job.outputs).values())
                for one in world.used[job.id] if back else made:
                    there = world.held.get(DatasetId(one))
                    ok = mine(there.owner if there else job.owner)
                    (named if ok else nameless).add(one)
                    todo += [one] if ok else []
            else:
                origin = origin_of(DatasetId(at))
                makers = [origin[0].job] if origin else []
                takers = [job for job, used in world.used.items() if at in used]
                for one in makers if back else takers:
                    ok = one in world.jobs and mine(world.jobs[JobId(one)].owner)
                    (named if ok else nameless).add(one)
                    todo += [one] if ok else []
    return named, len(nameless - named)


users = st.sampled_from(
    [User("ann", UserRole.USER), User("bob", UserRole.VIEWER), User("root", UserRole.ADMIN)]
)


@settings(max_examples=60)
@given(worlds(), users, st.data())
async def test_it_holds_what_is_reached_through_what_one_may_see(
    world: World, user: User, data: st.DataObject
) -> None:
    things = [*world.jobs.values(), *world.held.values()]
    mine = [one for one in things if user.name == "root" or one.owner == user.name]
    if not mine:
        return
    start = data.draw(st.sampled_from(sorted(mine, key=lambda each: each.id)))
    desk = world.desk()
    ask = desk.of_job if isinstance(start, Job) else desk.of_dataset
    view = await ask(start.id, user, FAR)  # type: ignore[arg-type]
    named, nameless = _reached(world, start.id, user)
    seen = {node.id for node in view.nodes if node.name is not None}
    assert seen == named
    assert len(view.nodes) == len(named) + nameless
    assert not view.cut
    ids = {node.id for node in view.nodes}
    for edge in view.edges:
        assert {edge.source, edge.target} <= ids
        assert edge.name is None or edge.source in seen or edge.target in seen
    hidden = [node for node in view.nodes if node.state == ""]
    assert all(node.id.startswith("hidden-") and node.name is None for node in hidden)
    assert list(lines_of(view)), "it can be written"


@settings(max_examples=60)
@given(worlds(), st.sampled_from([1, 2, 4, 50]), st.integers(1, 3))
async def test_it_stays_within_its_bounds_and_says_where_it_was_cut(
    world: World, most: int, depth: int
) -> None:
    root = User("root", UserRole.ADMIN)
    for job in list(world.jobs):
        whole = await world.desk().of_job(job, root, FAR)
        world.asked_most = 0
        view = await world.desk().of_job(job, root, Bounds(depth, most))
        assert len(view.nodes) <= most
        assert world.asked_most <= most, "no more is read than may be shown"
        assert {node.id for node in view.nodes} <= {node.id for node in whole.nodes}
        assert view.cut or len(view.nodes) == len(whole.nodes)


async def test_a_deleted_input_keeps_its_name_for_the_owner_of_the_job_alone() -> None:
    world = World()
    upload = DatasetId(job_id(1_600_000_000_000, 1))
    job = world.add("ann", [upload], 1)
    world.jobs[job.id] = replace(job, shared=(Share("everyone"),))
    hers = await world.desk().of_job(job.id, User("ann", UserRole.USER), FAR)
    assert LineageNode(upload, Thing.DATASET, f"was-{upload} v1", "DELETED") in hers.nodes
    his = await world.desk().of_job(job.id, User("bob", UserRole.USER), FAR)
    assert LineageNode("hidden-1", Thing.DATASET, None, "") in his.nodes
    assert upload not in str(his)


async def test_a_dataset_that_one_may_not_see_is_not_there() -> None:
    world = World()
    (made,) = json.loads(world.add("ann", [], 1).outputs).values()
    with pytest.raises(NotFound):
        await world.desk().of_dataset(made, User("bob", UserRole.USER), FAR)


def test_what_stands_in_the_tree_already_is_not_unfolded_again() -> None:
    nodes = tuple(
        LineageNode(name, thing, name, "SEALED" if thing is Thing.DATASET else "CLOSED:COMPLETED")
        for name, thing in (
            ("end", Thing.JOB), ("a", Thing.DATASET), ("b", Thing.DATASET),
            ("mid", Thing.JOB), ("rain", Thing.DATASET),
        )
    )  # fmt: skip
    edges = (
        LineageEdge("a", "end", "x"), LineageEdge("b", "end", "y"),
        LineageEdge("mid", "a", "p", 3), LineageEdge("mid", "b", "q", 3),
        LineageEdge("rain", "mid", "forcing"),
    )  # fmt: skip
    assert list(lines_of(LineageView("end", nodes, edges, cut=False))) == [
        "job end end, COMPLETED",
        "came from",
        "  input x: dataset a, SEALED",
        "    output p of attempt 3: job mid mid, COMPLETED",
        "      input forcing: dataset rain, SEALED",
        "  input y: dataset b, SEALED",
        "    output q of attempt 3: job mid mid, COMPLETED (see above)",
        "led to nothing that is known",
    ]
