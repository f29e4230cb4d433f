"""A lineage as it is found: nodes and edges, of which one sees what one may."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from headrace_model.dataset import Dataset, DatasetState
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Job
from headrace_model.outputs import origin_of, output_name
from headrace_model.people import Act, User, may, sees
from headrace_wire.lineage import LineageEdge, LineageNode, LineageView, Thing
from headrace_wire.records import decode_fulfilments

DELETED: Final = DatasetState.DELETED  # also where nothing is left of it that could come back


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a lineage goes: `depth` jobs each way, and so many nodes in all."""

    depth: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Link:
    """A dataset beside a job: under which name, by which attempt (None: it is an input).

    `title` is what the dataset was called when that is known without it.
    """

    dataset: DatasetId
    job: JobId
    name: str
    attempt: int | None = None
    title: str | None = None


def inputs_of(job: Job) -> Iterator[Link]:
    """What a job takes, once its data check has passed."""
    for met in decode_fulfilments(job.fulfilments):
        for dataset, title in zip_longest(met.datasets, met.titles):
            yield Link(dataset, job.id, met.requirement, title=title)


def outputs_of(job: Job) -> Iterator[Link]:
    """What a job has made."""
    for output, text in json.loads(job.outputs or "{}").items():
        dataset = DatasetId(text)
        found = origin_of(dataset)
        attempt = found[0].attempt if found else job.attempt
        yield Link(dataset, job.id, output, attempt, f"{output_name(job.name, output, job.id)} v1")


def maker_of(dataset: DatasetId) -> Link | None:
    """The attempt that made a dataset; None for an upload."""
    found = origin_of(dataset)
    return found and Link(dataset, found[0].job, found[1], found[0].attempt)


@dataclass(slots=True)
class Lineage:
    """Takes in what was found, and says what there is to see."""

    user: User
    most: int
    cut: bool = False
    _nodes: dict[str, LineageNode] = field(default_factory=dict)  # by their true ids
    _edges: dict[tuple[str, str, str | None], LineageEdge] = field(default_factory=dict)
    _hidden: int = 0

    def takes(self, id_: str) -> bool:
        """Tell whether there is room for a node that is not there yet; if not, it is cut."""
        if id_ in self._nodes:
            return False
        self.cut = self.cut or len(self._nodes) >= self.most
        return len(self._nodes) < self.most

    def root(self, dataset: Dataset) -> None:
        """Take in the dataset that the lineage is of."""
        self._nodes[dataset.id] = LineageNode(
            dataset.id, Thing.DATASET, dataset.title, dataset.state
        )

    def job(self, id_: JobId, found: Job | None) -> bool:
        """Take a job in; whether one may see what lies behind it."""
        if found is None:
            self._nodes[id_] = LineageNode(id_, Thing.JOB, None, "GONE")
            return False
        if not sees(self.user, found.owner, found.shared):
            self._hide(id_, Thing.JOB)
            return False
        self._nodes[id_] = LineageNode(id_, Thing.JOB, found.name, found.status)
        return True

    def dataset(self, link: Link, found: Dataset | None, beside: Job) -> bool:
        """Take in a dataset `beside` a job that one sees; whether one may see what lies behind.

        Of a deleted one nobody knows any more who might see it: what a job took is told to its
        owner, what it made to all who see the job.
        """
        id_ = link.dataset
        if found is not None:
            state = DELETED if found.state is DatasetState.TOMBSTONED else found.state
            self._nodes[id_] = LineageNode(id_, Thing.DATASET, found.title, state)
            owner, shared = found.owner, found.shared
        else:
            self._nodes[id_] = LineageNode(id_, Thing.DATASET, link.title or id_, DELETED)
            owner, shared = beside.owner, beside.shared if link.attempt else ()
        if may(self.user, Act.SEE_DATASET, self.user.standing(owner, shared)):
            return True
        self._hide(id_, Thing.DATASET)
        return False

    def edge(self, link: Link) -> None:
        """Join a dataset and a job, where both are there."""
        job, dataset = self._nodes.get(link.job), self._nodes.get(link.dataset)
        if job is None or dataset is None:
            return
        ends = (dataset.id, job.id) if link.attempt is None else (job.id, dataset.id)
        name = link.name if job.name is not None else None
        self._edges[*ends, name] = LineageEdge(*ends, name, link.attempt)

    def view(self, root: str, incomplete: str | None) -> LineageView:
        """What there is to see."""
        nodes, edges = tuple(self._nodes.values()), tuple(self._edges.values())
        return LineageView(root, nodes, edges, self.cut, incomplete)

    def _hide(self, id_: str, node: Thing) -> None:
        self._hidden += 1
        self._nodes[id_] = LineageNode(f"hidden-{self._hidden}", node, None, "")
