"""The OpenAPI 3.1 document, made from the table of operations and the wire dataclasses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from http import HTTPStatus
from typing import Any, Final

from headrace_model.people import SCOPE_OF, Act
from headrace_wire.answers import SPARSE, JobFile, Problem
from headrace_wire.api import JobView
from headrace_wire.dataschema import Shapes
from headrace_wire.jsonschema import DIALECT, job_json_schema

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
_PROBLEM: Final = "application/problem+json"
_MEANT: Final[Mapping[int, str]] = {
    401: "No token, or one that is unknown, expired or revoked",
    403: "The user, or this token, may not do it",
    404: "There is none, or none that the user may see",
    409: "Its state forbids it",
    413: "Over a limit of size",
    416: "No such range of the file",
    422: "What was sent is wrong",
    429: "Too many requests in too short a time; Retry-After tells seconds",
    503: "A server or disk is down or full; Retry-After tells seconds",
}
_ABOUT: Final = (
    "Brings data to models: ask for a model run, get a scored, described result. Errors are "
    "application/problem+json with a `hint`. `X-Request-ID` is taken from a request or made, and "
    "stands in the services' logs."
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a path, query or header. `schema`: JSON Schema of its value."""

    name: str
    where: str
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What a body or an answer holds. `shape`: a type that `Shapes` knows; None for no content, or
    with a `media` of its own for text or bytes.
    """

    shape: Any = None
    media: str = JSON
    about: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # name → what it says
    example: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table: a method and path, what it takes and what it answers.

    `act`: what the access rules decide on; None needs a token and no scope. `open`: no token.
    `errors`: those besides what every such operation may answer.
    """

    method: str
    path: str
    tag: str
    summary: str
    answers: Mapping[int, Content]
    act: Act | None = None
    open: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Content | None = None
    errors: tuple[int, ...] = ()
    about: str = ""

    @property
    def name(self) -> str:
        """What programs call it: `post_jobs_job_stop`."""
        words = "".join(c if c.isalnum() else " " for c in self.path.removeprefix("/api/v1"))
        return "_".join([self.method.lower(), *words.split()])

    @property
    def problems(self) -> list[int]:
        """Every status of an error that it may answer, rising."""
        found = {*self.errors, HTTPStatus.SERVICE_UNAVAILABLE}
        if not self.open:
            found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
        if self.act:
            found.add(HTTPStatus.FORBIDDEN)
        if self.parameters:
            found.add(HTTPStatus.UNPROCESSABLE_ENTITY)
        if self.body:
            found |= {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
        return sorted(map(int, found))


def document(table: Sequence[Operation], tags: Mapping[str, str], version: str) -> dict[str, Any]:
    """Make the document, as plain values. `tags`: what each group of operations is about."""
    job_file = {key: value for key, value in job_json_schema().items() if key != "$schema"}
    asked: frozenset[Any] = frozenset(
        each.body.shape for each in table if each.body and is_dataclass(each.body.shape)
    )
    shapes = Shapes(own={JobFile: job_file}, closed=asked, sparse=SPARSE)
    paths: dict[str, dict[str, Any]] = {}
    for each in table:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, shapes)
    # A client reads a job's spec as it stands; what it holds is a job file.
    shapes.schemas[JobView.__name__]["properties"]["spec"] = shapes.of(JobFile)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {"title": "Headrace", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(shapes.schemas.items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`headrace login` or POST /api/v1/login makes one.",
                }
            },
        },
    }


def _operation(operation: Operation, shapes: Shapes) -> dict[str, Any]:
    scope = SCOPE_OF[operation.act] if operation.act else None
    needs = f"The token needs the scope `{scope}`." if scope else ""
    described = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": " ".join(filter(None, (operation.about, needs))),
        "parameters": [_parameter(each) for each in operation.parameters],
        "security": [] if operation.open else [{"token": [scope] if scope else []}],
        "responses": {
            str(status): _answer(status, content, shapes)
            for status, content in sorted(operation.answers.items())
        }
        | {str(status): _problem(status, operation, shapes) for status in operation.problems},
    }
    if operation.body:
        described["requestBody"] = {
            "required": operation.body.required,
            "content": _content(operation.body, shapes),
        }
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "required": parameter.required or parameter.where == "path",
        "schema": dict(parameter.schema),
    }


def _answer(status: int, content: Content, shapes: Shapes) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": content.about or HTTPStatus(status).phrase}
    if content.headers:
        answer["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in content.headers.items()
        }
    return answer | ({"content": found} if (found := _content(content, shapes)) else {})


def _content(content: Content, shapes: Shapes) -> dict[str, Any]:
    if content.shape is None:
        return {} if content.media == JSON else {content.media: {}}
    told = {"schema": shapes.of(content.shape)}
    return {content.media: told | ({"example": content.example} if content.example else {})}


def _problem(status: int, operation: Operation, shapes: Shapes) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _MEANT[status]}
    # An answer to HEAD, and one to a range that is not there, has no body.
    if operation.method != "HEAD" and status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        answer["content"] = {_PROBLEM: {"schema": shapes.of(Problem)}}
    return answer
