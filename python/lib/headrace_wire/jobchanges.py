"""Single keys of a job file changed before it is checked: `--set resources.cpus=2`.

A value is YAML and typed as in the file itself, so that a change can do what an edit can, and no
more. Paths are written as errors show them: `inputs.forcing.format`, `command[1]`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean, nearest
from headrace_wire.errors import InvalidJobFile, Problem
from headrace_wire.jsonschema import job_json_schema
from headrace_wire.yamlfile import Path, parse_yaml

_KEY: Final = re.compile(r"[^.\[\]=\s]+(?:\[\d{1,6}\]|\.[^.\[\]=\s]+)*")
_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One key and its new value; `key` is the path as it was written."""

    key: str
    value: Any

    @property
    def path(self) -> Path:
        """The steps of the key: names, and positions in lists."""
        return tuple(int(at) if at else name for at, name in _STEP.findall(self.key))


def parse_change(text: str) -> Change:
    """Read `resources.cpus=2`. Raises `InvalidInput` for what is no key, or no YAML after it."""
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{text[:80]!r} is not KEY=VALUE", hint="write for example --set resources.cpus=2"
        )
    try:
        return Change(key, parse_yaml(value, what="value").value)
    except InvalidInput as error:
        raise InvalidInput(
            f"--set {key}: {error.message}",
            hint=f"""where it is meant as text, quote it: --set '{key}="…"'""",
        ) from None


def apply_changes(plain: Mapping[str, Any], changes: Iterable[Change]) -> Mapping[str, Any]:
    """Give the plain values with all changes made, one after the other.

    Raises `InvalidJobFile` for a key that no job file has, naming the nearest, and for a list's
    member that is not there.
    """
    for change in changes:
        _check(change)
        plain = _put(plain, change, 0)
    return plain


def _put(around: Any, change: Change, depth: int) -> Any:
    """Give `around` with the value in its place: a copy of what lies on the way, no more."""
    if depth == len(change.path):
        return change.value
    step = change.path[depth]
    if isinstance(step, int):
        size = len(around) if isinstance(around, list | tuple) else 0
        if step >= size:
            raise _wrong(change, f"there is no member [{step}]: the list has {size}")
        inner = _put(around[step], change, depth + 1)
        return [*around[:step], inner, *around[step + 1 :]]
    kept = around if isinstance(around, Mapping) else {}
    return {**kept, step: _put(kept.get(step), change, depth + 1)}


def _check(change: Change) -> None:
    """Follow the path through the job file's schema."""
    schema: Any = job_json_schema()
    before = ""
    for step in change.path:
        inner = _without_null(schema)
        if not inner:
            return  # what may be several things is checked by its own reader
        if isinstance(step, int):
            if "items" not in inner:
                raise _wrong(change, f"{before} is no list")
            schema, before = inner["items"], f"{before}[{step}]"
            continue
        known = inner.get("properties")
        open_to = inner.get("additionalProperties")
        if known is not None and step not in known:
            raise _wrong(change, f"unknown key; {_guess(step, schema, before)}")
        if known is None and not isinstance(open_to, dict):
            if inner.get("type") == "object":
                return  # settings: their keys are those of the kind, whose reader checks them
            raise _wrong(change, f"{before} has no keys below it")
        schema = known[step] if known is not None else open_to
        before = f"{before}.{step}" if before else step


def _guess(word: str, schema: Mapping[str, Any], before: str) -> str:
    """Name the nearest key beside the unknown one, else the nearest further down."""
    beside = _without_null(schema)["properties"]
    prefix = f"{before}." if before else ""
    if nearest(word, beside) is None:
        below = {key.rpartition(".")[2]: key for key in _keys(schema, prefix)}
        if near := nearest(word, below):
            return f"did you mean {below[near]}?"
    return did_you_mean(prefix + word, [prefix + key for key in beside])


def _keys(schema: Mapping[str, Any], before: str) -> Iterator[str]:
    for key, member in _without_null(schema).get("properties", {}).items():
        yield f"{before}{key}"
        yield from _keys(member, f"{before}{key}.")


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an optional key holds when it is there; {} where that may be several things."""
    choices: list[Mapping[str, Any]] = schema.get("anyOf", [schema])
    possible = [each for each in choices if each.get("type") != "null"]
    return possible[0] if len(possible) == 1 else {}


def _wrong(change: Change, message: str) -> InvalidJobFile:
    return InvalidJobFile([Problem(change.key, f"{message} (--set)")])
