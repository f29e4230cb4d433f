"""The keys of the job file, as its JSON Schema has them."""

from typing import Any


def job_file_keys(schema: dict[str, Any], before: str = "") -> list[str]:
    """Every key that a job file may have, members of mappings with `NAME` in their place."""
    keys = []
    for name, member in schema.get("properties", {}).items():
        key = f"{before}{name}"
        inner = next((one for one in member.get("anyOf", [member]) if "type" in one), member)
        if isinstance(named := inner.get("additionalProperties"), dict):
            key, inner = f"{key}.NAME", named
        # The indexes of a domain are no keys of their own here.
        below = [] if name == "domain" else job_file_keys(inner, f"{key}.")
        keys += below or [key.removesuffix(".NAME")]
    return keys
