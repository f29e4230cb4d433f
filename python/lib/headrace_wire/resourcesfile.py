"""resources.yaml: how much may be used of which nodes, when, their pools, and the policy of plans;
docs/operate.md."""

from typing import Any, Final

from headrace_model.bounds import Bounds, Policy, Window
from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId, check_name
from headrace_model.nearest import did_you_mean
from headrace_model.resources import (
    GPUS,
    MOST_GENERIC,
    MOST_PIECES,
    Generic,
    Resources,
    check_generic,
)
from headrace_model.times import parse_instant
from headrace_model.units import parse_cpus, parse_size
from headrace_wire.yamlfile import Path, YamlText, parse_yaml

UNLIMITED: Final = Resources(2**53, 2**53)
_WHAT: Final = "resources.yaml"
_TOP_KEYS: Final = ("nodes", "pools", "policy", "maintenance")
_KEYS: Final = ("cpus", "memory", "gpus", "generic")
_WINDOW_KEYS: Final = ("nodes", "from", "until", "why")
_MOST_WINDOWS: Final = 1_000


def parse_resources(text: bytes | str) -> Bounds:
    """Read the file; raises `InvalidInput`, which names the line."""
    read = parse_yaml(text, what=_WHAT)
    top = _mapping(read, (), read.value)
    for key in top:
        if key not in _TOP_KEYS:
            hint = did_you_mean(key, _TOP_KEYS)
            raise _wrong(read, (key,), f"{key!r} is not a key of it; {hint}")
    if not top:
        raise InvalidInput(
            f"{_WHAT} has none of {', '.join(f'`{key}`' for key in _TOP_KEYS)}",
            hint="nodes: {node1: {cpus: 8}}",
        )
    nodes = None
    if "nodes" in top:
        said = _mapping(read, ("nodes",), top["nodes"])
        nodes = {
            _node(read, ("nodes", name), name): _limit(read, name, value)
            for name, value in said.items()
        }
    pools = _mapping(read, ("pools",), top.get("pools", {}))
    return Bounds(
        nodes,
        {name: _pool(read, name, members, nodes) for name, members in pools.items()},
        _policy(read, top.get("policy", Policy.EASY)),
        _maintenance(read, top.get("maintenance", []), nodes),
    )


def _maintenance(
    read: YamlText, said: Any, nodes: dict[NodeId, Resources] | None
) -> dict[NodeId, tuple[Window, ...]]:
    path: Path = ("maintenance",)
    example = "[{nodes: [node1], from: 2026-03-01T06:00Z, until: 2026-03-01T18:00Z, why: …}]"
    if not isinstance(said, list) or len(said) > _MOST_WINDOWS:
        many = f"at most {_MOST_WINDOWS} windows, such as "
        raise _wrong(read, path, f"the maintenance must be a list of {many}{example}")
    found: dict[NodeId, tuple[Window, ...]] = {}
    for number, each in enumerate(said):
        here = (*path, number)
        if not isinstance(each, dict) or set(each) != set(_WINDOW_KEYS):
            raise _wrong(read, here, f"a window of maintenance has all of these keys: {example}")
        try:
            begin, end = parse_instant(str(each["from"])), parse_instant(str(each["until"]))
        except InvalidInput as error:
            raise _wrong(read, here, f"a window of maintenance: {error.message}") from None
        if begin >= end:
            raise _wrong(read, here, "a window of maintenance: `until` must be later than `from`")
        why = each["why"]
        if not isinstance(why, str) or not 0 < len(why) <= 200 or not why.isprintable():
            raise _wrong(read, here, "the why of a maintenance is a text of at most 200 letters")
        for node in _members(read, here, "a window's nodes", each["nodes"], nodes):
            window = Window(begin, end, why)
            found[node] = tuple(sorted((*found.get(node, ()), window), key=lambda w: w.from_ms))
    return found


def _policy(read: YamlText, said: Any) -> Policy:
    if said not in list(Policy):
        one_of = ", ".join(Policy)
        raise _wrong(
            read, ("policy",), f"the policy must be one of {one_of}, not {str(said)[:80]!r}"
        )
    return Policy(said)


def _pool(
    read: YamlText, name: str, members: Any, nodes: dict[NodeId, Resources] | None
) -> frozenset[NodeId]:
    path: Path = ("pools", name)
    try:
        check_name(name, "pool")
    except InvalidInput as error:
        raise _wrong(read, path, error.message) from None
    return _members(read, path, f"the pool {name}", members, nodes)


def _members(
    read: YamlText, path: Path, what: str, members: Any, nodes: dict[NodeId, Resources] | None
) -> frozenset[NodeId]:
    if not isinstance(members, list) or not members:
        raise _wrong(read, path, f"{what} must be a list of nodes, such as [node1, node2]")
    found = frozenset(_node(read, path, each) for each in members)
    if nodes is not None and (unknown := sorted(found - nodes.keys())):
        hint = did_you_mean(unknown[0], nodes)
        raise _wrong(read, path, f"`nodes` lacks {unknown[0]} of {what}; {hint}")
    return found


def _node(read: YamlText, path: Path, name: Any) -> NodeId:
    try:
        return NodeId(check_name(name if isinstance(name, str) else repr(name), "node"))
    except InvalidInput as error:
        raise _wrong(read, path, error.message) from None


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
            _pieces(said),
        )
    except (InvalidInput, TypeError) as error:
        said_wrong = getattr(error, "message", f"{value!r} is no amount")
        raise _wrong(read, path, f"node {node}: {said_wrong}") from None


def _pieces(said: dict[str, Any]) -> Generic:
    """What is counted by the piece. One of which there is none stays: it bounds what is told."""
    generic = said.get("generic", {})
    if not isinstance(generic, dict) or len(generic) > MOST_GENERIC:
        raise InvalidInput(f"generic must hold at most {MOST_GENERIC} names with numbers")
    amounts = {check_generic(str(name)): amount for name, amount in generic.items()}
    if "gpus" in said:
        amounts[GPUS] = said["gpus"]
    for name, amount in amounts.items():
        if type(amount) is not int or not 0 <= amount <= MOST_PIECES:
            most = f"{MOST_PIECES:,}"
            raise InvalidInput(f"{name} must be a whole number from 0 to {most}, not {amount!r}")
    return tuple(sorted(amounts.items()))


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
