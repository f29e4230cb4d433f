"""The JSON Schema (2020-12) of the job file, for editors; made from the schemas that read it.

It says what one key can tell. What needs several keys (`jobcheck`) only Headrace itself checks.
"""

from typing import Any

from headrace_wire.jobschema import FILE_VERSION, JobSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def job_json_schema() -> dict[str, Any]:
    """Give the schema as plain values, ready for `json.dumps`."""
    schema = JobSchema().json_schema()
    return {
        "$schema": DIALECT,
        "title": f"Headrace job file, version {FILE_VERSION}",
        **schema,
    }
