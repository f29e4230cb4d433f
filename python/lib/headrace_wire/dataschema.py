"""JSON Schema (2020-12) of the wire dataclasses, from the hints that `schema` reads them by."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, Final, Literal, get_args, get_origin

from headrace_model.domain import Domain
from headrace_wire.jobvalues import Covers
from headrace_wire.schema import schema_of

PLACE: Final = "#/components/schemas/"
_NUMBERS: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number"}
_NULL: Final = {"type": "null"}
_SAYS: Final = "json_schema"


def says(**schema: Any) -> dict[str, Any]:
    """Metadata of a dataclass's field: what the schema says of it beside its type."""
    return {_SAYS: schema}


class Shapes:
    """Collects the schemas of dataclasses and enums by their names, each once.

    A request (`closed`) takes no unknown key, and may leave out what has a default. An answer may
    get more keys some day; it has every key whose field has no default, except for the `sparse`:
    those are written by `to_plain`, which leaves out what is empty. `own`: schemas that are made
    elsewhere.
    """

    def __init__(
        self,
        *,
        own: Mapping[type, dict[str, Any]],
        closed: frozenset[type],
        sparse: frozenset[type],
    ) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}
        self._own = own
        self._closed = closed
        self._sparse = sparse | closed

    def of(self, hint: Any) -> dict[str, Any]:
        """The schema of a type; of a dataclass or enum a `$ref`, and the schema is collected."""
        while isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (types.UnionType, typing.Union):
            return {"anyOf": [self.of(part) for part in parts]}
        if origin is tuple and parts[-1] is not Ellipsis:
            inner = [self.of(part) for part in parts]
            return {"type": "array", "prefixItems": inner, "minItems": len(inner), "items": False}
        if origin in (tuple, frozenset):
            return {"type": "array", "items": self.of(parts[0])}
        if origin is Mapping or hint is dict:
            return {"type": "object"}
        if origin is Literal:
            return {"enum": list(parts)}
        return self._single(hint)

    def _single(self, hint: Any) -> dict[str, Any]:
        if hint is type(None):
            return dict(_NULL)
        if hint is str:
            return {"type": "string"}
        if hint in _NUMBERS:
            return {"type": _NUMBERS[hint]}
        if hint.__name__ not in self.schemas:
            self.schemas[hint.__name__] = {}  # a shape may hold itself
            self.schemas[hint.__name__] = self._named(hint)
        return {"$ref": PLACE + hint.__name__}

    def _named(self, hint: Any) -> dict[str, Any]:
        if hint in self._own:
            return self._own[hint]
        about = " ".join((hint.__doc__ or "").split())
        if hint is Domain:
            return {"description": about, **Covers().json_schema()}
        if issubclass(hint, Enum):
            values = [each.value for each in hint]
            return {"description": about, "type": "string", "enum": values}
        if not is_dataclass(hint):
            raise TypeError(f"{hint} has no shape in JSON")
        hints = typing.get_type_hints(hint)
        # `from_` stands for a key that is a word of Python.
        keys = {
            each.name.rstrip("_"): self.of(hints[each.name]) | each.metadata.get(_SAYS, {})
            for each in fields(hint)
        }
        schema = {"description": about, "type": "object", "properties": keys}
        if required := [each.name.rstrip("_") for each in fields(hint) if self._must(hint, each)]:
            schema["required"] = required
        return schema | ({"additionalProperties": False} if hint in self._closed else {})

    def _must(self, record: Any, field: Field[Any]) -> bool:
        if record in self._sparse:
            return schema_of(record)().fields[field.name].required
        return field.default is MISSING and field.default_factory is MISSING
