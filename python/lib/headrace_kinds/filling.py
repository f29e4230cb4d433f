"""How values of parameters get into the files that a model reads.

A place without a key is a template: `{{name}}` in the file becomes the value. A key that begins
with `/` is a JSON pointer (RFC 6901), in which a part `*` is every member. Any other key is that
of a line `key=value`, as in the config files of CFE and in Fortran namelists; a unit in brackets,
a comma or a comment behind the value stays. `MODULE:NAME` is a realization config of ngen: the
`model_params` of all modules whose `model_type_name` is MODULE, where ngen-cal puts them too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean

MODULE: Final = re.compile(r"([^/:=]+):([^/:=]+)")
_LINE: Final = re.compile(r"^[ \t]*([^\s=]+)[ \t]*=", re.MULTILINE)
_HOLE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one parameter goes in a file; `key` as said above, empty in a template."""

    parameter: str
    key: str

    @property
    def is_json(self) -> bool:
        """Tell whether the file is read as JSON."""
        return self.key.startswith("/") or bool(MODULE.fullmatch(self.key))


def filled_in(text: str, places: Sequence[Place], values: Mapping[str, float], file: str) -> str:
    """Give the text of `file` with the values at their places; raises `InvalidInput`."""
    templates = {each.parameter for each in places if not each.key}
    if templates:
        text = _template(text, templates, values, file)
    for each in places:
        if each.key and not each.is_json:
            text = _line(text, each.key, _written(values[each.parameter]), file)
    pointers = [each for each in places if each.is_json]
    return _pointed(text, pointers, values, file) if pointers else text


def _written(value: float) -> str:
    return repr(float(value))


def _template(text: str, names: set[str], values: Mapping[str, float], file: str) -> str:
    held = set(_HOLE.findall(text))
    for name in sorted(names - held):
        raise InvalidInput(
            f"{file} holds no {{{{{name}}}}}, so the model would never see the parameter {name}; "
            f"{did_you_mean(name, held)}",
            hint="write it where its value belongs, or give the parameter a `key`",
        )
    for name in sorted(held - set(values)):
        raise InvalidInput(f"{file}: {{{{{name}}}}} is no parameter; {did_you_mean(name, values)}")
    return _HOLE.sub(lambda found: _written(values[found[1]]), text)


def _line(text: str, key: str, value: str, file: str) -> str:
    line = re.compile(
        rf"^(?P<before>[ \t]*{re.escape(key)}[ \t]*=[ \t]*)(?P<value>[^\s,\[!#;]+)", re.MULTILINE
    )
    changed, count = line.subn(lambda found: found["before"] + value, text)
    if not count:
        near = did_you_mean(key, set(_LINE.findall(text)))
        raise InvalidInput(f"{file} has no line `{key}=…`; one is needed; {near}")
    if count > 1:
        raise InvalidInput(f"{file} has {count} lines `{key}=…`; one is needed")
    return changed


def _pointed(text: str, places: Sequence[Place], values: Mapping[str, float], file: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{file} is no JSON, which the key {places[0].key} needs: {error}"
        ) from None
    for each in places:
        if module := MODULE.fullmatch(each.key):
            holders: list[tuple[Any, Any]] = list(_of_modules(document, module[1], module[2]))
            near = did_you_mean(module[1], _modules(document))
        else:
            parts = each.key[1:].split("/")
            parts = [part.replace("~1", "/").replace("~0", "~") for part in parts]
            holders = list(_holders(document, parts))
            near = "" if holders else _near(document, parts)
        if not holders:
            raise InvalidInput(
                f"{file} has nothing at {each.key}, where {each.parameter} goes; {near}"
            )
        for holder, key in holders:
            holder[key] = values[each.parameter]
    return json.dumps(document, indent=2) + "\n"


def _of_modules(node: Any, module: str, name: str) -> Iterator[tuple[Any, Any]]:
    """The `model_params` of the modules of a name, each with the key of the parameter."""
    if isinstance(node, dict) and node.get("model_type_name") == module:
        yield node.setdefault("model_params", {}), name
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for each in list(members):
        yield from _of_modules(each, module, name)


def _modules(node: Any) -> set[str]:
    """The names of all modules of a realization config."""
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = {name for each in members for name in _modules(each)}
    name = node.get("model_type_name") if isinstance(node, dict) else None
    return found | ({name} if isinstance(name, str) else set())


def _near(node: Any, parts: Sequence[str]) -> str:
    """What there is instead, where `parts` lead to nothing."""
    first, rest = parts[0], parts[1:]
    if isinstance(node, list):
        members = dict(zip(map(str, range(len(node))), node, strict=True))
    elif isinstance(node, dict):
        members = node
    else:
        return f"a single value stands before {first}"
    there = members.values() if first == "*" else [members[first]] if first in members else []
    if rest and there:
        return _near(next(iter(there)), rest)
    return "what stands there is no single value" if there else did_you_mean(first, members)


def _holders(node: Any, parts: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """What holds the values that `parts` lead to, each with its key there."""
    first, rest = parts[0], parts[1:]
    keys: list[Any] = []
    if isinstance(node, dict):
        keys = list(node) if first == "*" else [first] if first in node else []
    elif isinstance(node, list):
        at = int(first) if re.fullmatch(r"[0-9]{1,9}", first) else -1
        keys = list(range(len(node))) if first == "*" else [at] if 0 <= at < len(node) else []
    for key in keys:
        if rest:
            yield from _holders(node[key], rest)
        elif not isinstance(node[key], dict | list):
            yield node, key
