"""The one table of what the request service answers."""

from typing import Final

from headrace_wire.answers import HealthView
from headrace_wire.openapi import Content, Operation, Parameter
from headrace_wire.operations.datasets import DATASETS
from headrace_wire.operations.jobs import JOBS
from headrace_wire.operations.lineage import LINEAGES
from headrace_wire.operations.maintenance import MAINTENANCE
from headrace_wire.operations.parameters import ROOT
from headrace_wire.operations.people import PEOPLE

TAGS: Final = {
    "jobs": "Submit, steer and follow jobs",
    "nodes": "Where jobs run",
    "maintenance": "Keeping new work away for a while",
    "datasets": "Data that jobs take and make",
    "account": "One's own session, tokens and secrets",
    "people": "Users and groups",
    "service": "The service itself; open to all",
}
DOCUMENT: Final = "/openapi.json"
PAGE: Final = "/docs"
PAGE_FILE: Final = "/docs/{file}"
JOB_SCHEMA: Final = f"{ROOT}/schemas/job.json"
_ETAG: Final = {"ETag": "For If-None-Match"}
_SAME: Final = Content(about="It is what If-None-Match names")


def _open(path: str, summary: str, answer: Content, *parameters: Parameter) -> Operation:
    answers = {200: answer} | ({304: _SAME} if "ETag" in answer.headers else {})
    return Operation(
        "GET", path, "service", summary, answers, open=True, parameters=parameters,
        errors=(404,) if parameters else (),
    )  # fmt: skip


_SERVICE: Final = (
    _open("/health/live", "Tell that the service lives", Content(HealthView)),
    _open("/health/ready", "Tell that the service can work", Content(HealthView)),
    _open("/metrics", "Metrics for Prometheus", Content(media="text/plain")),
    _open(DOCUMENT, "This document", Content(dict, headers=_ETAG)),
    _open(JOB_SCHEMA, "The JSON Schema of the job file", Content(dict, headers=_ETAG)),
    _open(PAGE, "This document, to browse", Content(media="text/html", headers=_ETAG)),
    _open(
        PAGE_FILE,
        "A file of that page",
        Content(media="*/*", headers=_ETAG),
        Parameter("file", "path", "Its name", {"enum": ["page.css", "page.js"]}),
    ),
)

OPERATIONS: Final = (*JOBS, *LINEAGES, *MAINTENANCE, *DATASETS, *PEOPLE, *_SERVICE)
