"""resources.yaml: which nodes may be used, and how much of each. docs/operate.md explains it."""

from collections.abc import Mapping
from typing import Any, Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId, check_name
from headrace_model.nearest import did_you_mean
from headrace_model.resources import Resources
from headrace_model.units import parse_cpus, parse_size
from headrace_wire.yamlfile import Path, YamlText, parse_yaml

UNLIMITED: Final = Resources(2**53, 2**53)
_WHAT: Final = "resources.yaml"
_KEYS: Final = ("cpus", "memory")

Limits = Mapping[NodeId, Resources]
"""The most that may be used of each node; a node that is missing may not be used."""


def parse_resources(text: bytes | str) -> Limits:
    """Read the file; raises `InvalidInput`, which names the line."""
    read = parse_yaml(text, what=_WHAT)
    top = _mapping(read, (), read.value)
    for key in top:
        if key != "nodes":
            raise _wrong(read, (key,), f"{key!r} is not a key of it; `nodes` is the one")
    if "nodes" not in top:
        raise InvalidInput(f"{_WHAT} has no key `nodes`", hint="nodes: {node1: {cpus: 8}}")
    nodes = _mapping(read, ("nodes",), top["nodes"])
    return {_name(read, name): _limit(read, name, value) for name, value in nodes.items()}


def _name(read: YamlText, name: str) -> NodeId:
    try:
        return NodeId(check_name(name, "node"))
    except InvalidInput as error:
        raise _wrong(read, ("nodes", name), error.message) from None


def _limit(read: YamlText, node: str, value: Any) -> Resources:
    path: Path = ("nodes", node)
    said = _mapping(read, path, value)
    for key in said:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS)
            raise _wrong(read, (*path, key), f"{key!r} is not a key of a node; {hint}")
    try:
        return Resources(
            parse_cpus(said["cpus"]) if "cpus" in said else UNLIMITED.millicpus,
            parse_size(str(said["memory"])) if "memory" in said else UNLIMITED.memory_bytes,
        )
    except (InvalidInput, TypeError) as error:
        said_wrong = getattr(error, "message", f"{value!r} is no amount")
        raise _wrong(read, path, f"node {node}: {said_wrong}") from None


def _mapping(read: YamlText, path: Path, value: Any) -> dict[str, Any]:
    if value is None and path[:1] == ("nodes",) and len(path) == 2:
        return {}  # a node without a limit: all that it offers
    if not isinstance(value, dict):
        name = ".".join(map(str, path)) or _WHAT
        raise _wrong(read, path, f"{name} must hold keys and values")
    return value


def _wrong(read: YamlText, path: Path, why: str) -> InvalidInput:
    line = read.lines.get(path)
    return InvalidInput(f"{_WHAT}, line {line}: {why}" if line else f"{_WHAT}: {why}")
