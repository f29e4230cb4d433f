"""Marshmallow schemas made from the model's frozen dataclasses, so that a shape is written once.

Used for what services and agents say to each other; the job file has its own, friendlier schema.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from marshmallow import RAISE, Schema, ValidationError, post_dump, post_load
from marshmallow import fields as wire

from headrace_model.domain import Domain
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.nearest import did_you_mean

T = TypeVar("T")

_WHOLE = "_schema"  # where marshmallow puts what is wrong with no single key


def _once(made: Callable[[Any], T]) -> Callable[[Any], T]:
    """`functools.cache`, whose types take no dataclass for hashable."""
    return cache(made)


class DomainField(wire.Field[Domain]):
    """A `Domain` in its plain form."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Domain:
        try:
            return Domain.from_plain(value)
        except HeadraceError as error:
            hint = f"; {error.hint}" if error.hint else ""
            raise ValidationError(error.message + hint) from None

    def _serialize(self, value: Domain | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else value.to_plain()


class FlagField(wire.Boolean):
    """True or false; neither 1 nor "yes", which marshmallow would take."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class SequenceField(wire.List[Any]):
    """A list on the wire, a tuple or frozenset inside; sets are written sorted."""

    def __init__(self, inner: wire.Field[Any], made: type, **options: Any) -> None:
        super().__init__(inner, **options)
        self._made = made

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return self._made(super()._deserialize(value, attr, data, **kwargs))

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        ordered = sorted(value) if isinstance(value, frozenset) else list(value)
        return super()._serialize(ordered, attr, obj, **kwargs)


class PairField(wire.Tuple):
    """A fixed-size tuple; a list on the wire."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        done = super()._serialize(value, attr, obj, **kwargs)
        return None if done is None else list(done)


class RecordSchema(Schema):
    """Base of the made schemas: unknown keys are errors, what is None or empty is not written.

    Unless it has to be there to be read.
    """

    _record: type  # no field begins so

    class Meta:
        unknown = RAISE

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Any:
        try:
            return self._record(**data)
        except HeadraceError as error:
            raise ValidationError(error.message) from None

    @post_dump
    def _drop_empty(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        # Compared by type too: 0 and False are values, None, "", [] and {} are absence.
        return {
            name: value
            for name, value in data.items()
            if self.fields[name].required
            or not (value is None or (isinstance(value, str | list | dict) and not value))
        }


_SCALARS: dict[type, type[wire.Field[Any]]] = {
    str: wire.String,
    bool: FlagField,
    float: wire.Float,
}


def _field(hint: Any, options: dict[str, Any]) -> wire.Field[Any]:
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [part for part in parts if part is not type(None)]
        return _field(inner, {**options, "allow_none": True})
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return SequenceField(_field(parts[0], {}), tuple, **options)
    if origin is tuple:
        return PairField([_field(part, {}) for part in parts], **options)
    if origin is frozenset:
        return SequenceField(_field(parts[0], {}), frozenset, **options)
    if origin is Mapping:
        return wire.Dict(keys=_field(parts[0], {}), values=wire.Raw(), **options)
    if hint is Domain:
        return DomainField(**options)
    if hint is int:
        return wire.Integer(strict=True, **options)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return wire.Enum(hint, by_value=True, **options)
    if is_dataclass(hint):
        return wire.Nested(schema_of(hint)(), **options)
    return _SCALARS[hint](**options)


def _empty(hint: Any) -> tuple[Any] | None:
    """What a field that is written only when it holds something reads back as, where it is not."""
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return (None,)
    if origin in (tuple, frozenset):
        return (origin(),)
    if hint is Domain:
        return (Domain.of({}),)
    return None


@_once
def schema_of(record: Any) -> type[RecordSchema]:
    """Make (once) the schema of a dataclass."""
    hints = typing.get_type_hints(record)
    made: dict[str, Any] = {}
    for each in fields(record):
        options: dict[str, Any] = {"required": True}
        if each.default is not MISSING:
            options = {"load_default": each.default}
        elif each.default_factory is not MISSING:
            options = {"load_default": each.default_factory}
        elif empty := _empty(hints[each.name]):
            options = {"load_default": empty[0]}
        made[each.name] = _field(hints[each.name], options)
    return type(f"{record.__name__}Schema", (RecordSchema,), {**made, "_record": record})


@_once
def _instance(record: Any) -> RecordSchema:
    return schema_of(record)()


def to_plain(value: Any) -> dict[str, Any]:
    """Write a dataclass as a plain dict, ready for JSON."""
    plain: dict[str, Any] = _instance(type(value)).dump(value)
    return plain


def from_plain(record: type[T], plain: object) -> T:
    """Read a dataclass; raises `InvalidInput` that names each wrong key."""
    if not isinstance(plain, dict):
        raise InvalidInput(f"a {record.__name__} is a JSON object, not {type(plain).__name__}")
    try:
        read: T = _instance(record).load(plain)
    except ValidationError as error:
        raise InvalidInput(_said(error.messages, record)) from None
    return read


def _said(messages: Any, record: type) -> str:
    """Say what is wrong with each key; of one that is not known the nearest that is."""
    if not isinstance(messages, dict):
        return f"not a {record.__name__}: {messages}"
    known = _instance(record).fields
    texts = []
    for key, said in messages.items():
        text = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
        if key == _WHOLE:
            texts.append(text)
        elif key in known:
            texts.append(f"{key}: {text}")
        else:
            texts.append(f"{str(key)[:80]!r} is not known here; {did_you_mean(str(key), known)}")
    return "; ".join(texts)
