"""Parameters that several operations take."""

from typing import Any, Final

from headrace_model.ids import NAME
from headrace_wire.openapi import Parameter

ROOT: Final = "/api/v1"
FLAG: Final = {"type": "string", "enum": ["true", "false", "1", "0"], "default": "false"}
_NAME: Final = {"type": "string", "pattern": f"^{NAME}$"}


def whole(least: int, most: int, default: int | None = None) -> dict[str, Any]:
    """A whole number, ends included."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return schema if default is None else {**schema, "default": default}


def named(name: str, about: str) -> Parameter:
    """A name in the path."""
    return Parameter(name, "path", about, _NAME)


def asked(name: str, about: str, schema: dict[str, Any] | None = None) -> Parameter:
    """An optional parameter of the query."""
    return Parameter(name, "query", about, schema or {"type": "string"})


JOB: Final = Parameter(
    "job", "path", "The id of a job", {"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{16}$"}
)
DATASET: Final = Parameter(
    "dataset",
    "path",
    "A name (its newest version), `name@N`, or an id",
    {"type": "string", "pattern": "^[a-z0-9][a-z0-9._@-]{0,160}$"},
)
KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "With the same key the same request is done once: a repeat gets the first answer",
    {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
)
CURSOR: Final = asked("cursor", "From where to go on: the `cursor` of the page before")
