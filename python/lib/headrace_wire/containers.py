"""Fields that hold other fields: lists, mappings by name, and mappings with keys of their own.

Each reads all of its members before it raises, so that a user sees every mistake at once.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import zip_longest
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields

from headrace_model.errors import HeadraceError
from headrace_model.nearest import did_you_mean
from headrace_wire.fields import WireField, expected

T = TypeVar("T")

# Looking for the nearest word costs time, and a stranger may send 100,000 wrong keys.
_HINTS = 20


class Words(WireField[tuple[T, ...]]):
    """A list of one kind of value, as a tuple; `unique` refuses a value that stands twice."""

    def __init__(
        self,
        each: WireField[T],
        *,
        limit: int,
        least: int = 0,
        unique: bool = False,
        example: str = "[a, b]",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._each, self._limit, self._least = each, limit, least
        self._unique, self._example = unique, example

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise expected("a list", self._example, value)
        if len(value) > self._limit:
            raise ValidationError(f"has {len(value):,} members; at most {self._limit:,} can be")
        if len(value) < self._least:
            raise ValidationError(f"is empty; write for example {self._example}")
        results: list[T] = []
        errors: dict[int, Any] = {}
        for position, member in enumerate(value):
            try:
                results.append(self._each.deserialize(member, attr, data, **kwargs))
            except ValidationError as error:
                errors[position] = error.messages
        if errors:
            raise ValidationError(errors)
        if self._unique and len(set(results)) < len(results):
            twice = next(each for each in results if results.count(each) > 1)
            raise ValidationError(f"{twice!s} stands twice")
        return tuple(results)

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        members = sorted(value) if isinstance(value, frozenset) else value
        return [self._each._serialize(each, attr or "", obj) for each in members]

    def json_schema(self) -> dict[str, Any]:
        schema = {"type": "array", "items": self._each.json_schema(), "maxItems": self._limit}
        least = {"minItems": self._least} if self._least else {}
        return schema | least | ({"uniqueItems": True} if self._unique else {})


class Named(WireField[tuple[T, ...]]):
    """A mapping from names to values, as a tuple sorted by name.

    `make(name, value)` builds a member, `split` gives both back; `check_key` raises
    `HeadraceError` for a name that can't be.
    """

    def __init__(
        self,
        value: WireField[Any],
        *,
        limit: int,
        check_key: Callable[[str], str],
        example: str,
        make: Callable[[str, Any], T],
        split: Callable[[T], tuple[str, Any]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._value, self._limit, self._check_key = value, limit, check_key
        self._example, self._make, self._split = example, make, split

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> tuple[T, ...]:
        if not isinstance(value, Mapping):
            raise expected("a mapping", self._example, value)
        if len(value) > self._limit:
            raise ValidationError(f"has {len(value):,} keys; at most {self._limit:,} can be")
        results: list[T] = []
        errors: dict[str, Any] = {}
        for key in sorted(value, key=str):
            try:
                name = self._check_key(str(key))
                results.append(self._make(name, self._value.deserialize(value[key], key, value)))
            except HeadraceError as error:
                errors[str(key)] = [error.message]
            except ValidationError as error:
                errors[str(key)] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(results)

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        pairs = (self._split(each) for each in value)
        return {name: self._value._serialize(each, name, obj) for name, each in pairs}

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": self._value.json_schema(),
            "maxProperties": self._limit,
        }


class Part(WireField[Any]):
    """A mapping with keys of its own, read by another schema."""

    def __init__(self, schema: "StrictSchema", *, example: str, **options: Any) -> None:
        super().__init__(**options)
        self.schema, self._example = schema, example

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise expected("a mapping", self._example, value)
        return self.schema.load(value)

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.schema.dump(value)

    def json_schema(self) -> dict[str, Any]:
        return self.schema.json_schema()


class StrictSchema(Schema):
    """A schema whose unknown keys are errors that name the nearest known one.

    Null says the same as leaving an optional key out: `inputs:` with all lines below it
    commented away is an ordinary thing in YAML.

    `load` and `dump` take the place of marshmallow's, which ask each key for options and hooks
    that no schema here has: a submit spent a third of its time there.
    """

    def make(self, read: dict[str, Any]) -> Any:
        """Build what a mapping stands for from the values that were read, by attribute.

        Raises `ValidationError` for what is wrong between them.
        """
        return read

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Give what of a written mapping needs to be there."""
        return plain

    def load(self, data: Any, **options: Any) -> Any:
        """Read a mapping; raises `ValidationError` with all that is wrong, by key."""
        read: dict[str, Any] = {}
        errors: dict[Any, Any] = {}
        for key, (attribute, each) in self.keys.items():
            value = data.get(key)
            if value is None and not each.required:
                continue
            try:
                if value is None and key not in data:
                    raise each.make_error("required")
                read[attribute] = each.deserialize(value, key, data)
            except ValidationError as error:
                errors[key] = error.messages
        errors |= self._unknown(data)
        if errors:
            raise ValidationError(errors)
        return self.make(read)

    def _unknown(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        unknown = [key for key in data if key not in self.keys]
        hints = [f"; {did_you_mean(str(key), self.keys)}" for key in unknown[:_HINTS]]
        return {
            key: [f"unknown key{hint}"] for key, hint in zip_longest(unknown, hints, fillvalue="")
        }

    def dump(self, obj: Any, **options: Any) -> dict[str, Any]:
        """Write the mapping that `load` reads as `obj`; what it has nothing for is left out."""
        plain = {}
        for key, (attribute, each) in self.keys.items():
            value = _value_of(obj, attribute)
            if value is not None:
                plain[key] = each._serialize(value, key, obj)
        return self.short(plain)

    @cached_property
    def keys(self) -> dict[str, tuple[str, fields.Field[Any]]]:
        """Attributes and fields by the keys under which they stand in a text."""
        return {
            each.data_key or name: (each.attribute or name, each)
            for name, each in self.fields.items()
        }

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the mapping that this schema reads."""
        properties = {}
        for key, (_, each) in self.keys.items():
            schema = each.json_schema() if isinstance(each, WireField) else {}
            if not each.required:
                schema = {"anyOf": [schema, {"type": "null"}]}
            about = getattr(each, "about", "")
            properties[key] = schema | ({"description": about} if about else {})
        required = [key for key, (_, each) in self.keys.items() if each.required]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        } | ({"required": required} if required else {})


def _value_of(obj: Any, attribute: str) -> Any:
    """The value of an attribute, or of a.b, whose dots lead inwards; None where there is none."""
    for name in attribute.split("."):
        obj = getattr(obj, name, None)
    return obj
