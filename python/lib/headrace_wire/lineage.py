"""Where data comes from and what became of it, as the public REST API says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from headrace_wire.api import read_view

DEPTH: Final = 20
"""So many jobs each way where nothing else is asked for, and at most `MOST_DEPTH`."""
MOST_DEPTH: Final = 1_000
NODES: Final = 500
"""So many nodes where nothing else is asked for, and at most `MOST_NODES`."""
MOST_NODES: Final = 2_000


class Thing(StrEnum):
    """What a node of a lineage is."""

    JOB = "job"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A job or a dataset.

    `name` is null, and `id` (as in `hidden-1`) is known in this answer alone, where one may not
    see it; what lies behind is not told. `state`: the status of a job, the state of a dataset;
    DELETED for a dataset that is no more, GONE for a job whose archive has expired.
    """

    id: str
    node: Thing
    name: str | None
    state: str


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """A dataset that a job took, or made: from `source` to `target`, which are ids of nodes.

    `name`: the input or output of the job, null where that is not to be seen; `attempt`: which
    one made it, null for an input.
    """

    source: str
    target: str
    name: str | None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class LineageView:
    """A lineage: the node it was asked for, what that came from, and what came of it.

    `cut`: there is more than was asked for. `incomplete`: what could not be looked through, as a
    sentence; else null.
    """

    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    cut: bool
    incomplete: str | None = None


def read_lineage(plain: Mapping[str, Any]) -> LineageView:
    """Read the answer of a server; keys that are not known here are passed over."""
    nodes = tuple(read_view(LineageNode, each) for each in plain["nodes"])
    edges = tuple(read_view(LineageEdge, each) for each in plain["edges"])
    return LineageView(plain["root"], nodes, edges, plain["cut"], plain.get("incomplete"))
