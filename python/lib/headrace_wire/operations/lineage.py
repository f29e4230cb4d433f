"""Lineages of jobs and datasets."""

from typing import Final

from headrace_model.people import Act
from headrace_wire.lineage import DEPTH, MOST_DEPTH, MOST_NODES, NODES, LineageView
from headrace_wire.openapi import Content, Operation
from headrace_wire.operations.parameters import DATASET, JOB, ROOT, asked, whole

_BOUNDS: Final = (
    asked("depth", "So many jobs back, and so many on", whole(1, MOST_DEPTH, DEPTH)),
    asked("limit", "At most so many nodes", whole(1, MOST_NODES, NODES)),
)
_ABOUT: Final = (
    "Back: the attempt that made a dataset, what its job took, and so on. On: the jobs that took "
    "a dataset, what they made, and so on. Archived jobs and deleted datasets are in it."
)

LINEAGES: Final = (
    Operation(
        "GET", f"{ROOT}/jobs/{{job}}/lineage", "jobs",
        "Show what a job came from, and what came of it",
        {200: Content(LineageView)}, Act.SEE_JOB, parameters=(JOB, *_BOUNDS), errors=(404,),
        about=_ABOUT,
    ),
    Operation(
        "GET", f"{ROOT}/datasets/{{dataset}}/lineage", "datasets",
        "Show what a dataset came from, and what came of it",
        {200: Content(LineageView)}, Act.SEE_DATASET, parameters=(DATASET, *_BOUNDS),
        errors=(404,), about=_ABOUT,
    ),
)  # fmt: skip
