"""The schema of a kind's `settings:`, made from its dataclass (`headrace_kinds.settings`)."""

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, get_args, get_origin

from marshmallow import ValidationError

from headrace_kinds.registry import all_kinds, kind_named
from headrace_kinds.settings import Period, Told, told_of
from headrace_model.errors import HeadraceError, InvalidName, InvalidSpec
from headrace_model.times import format_instant, parse_instant
from headrace_wire.containers import Named, Part, StrictSchema, Words
from headrace_wire.fields import Flag, Number, Text, Whole, WireField, Word, check_text, expected

MOST_JSON: Final = 20_000
"""So many values, all levels together, a setting of plain JSON may have."""
MOST_DEPTH: Final = 20
_WHOLE: Final[dict[object, Callable[..., WireField[Any]]]] = {}
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")


def read_as(hint: type, field: Callable[..., WireField[Any]]) -> None:
    """Let settings have fields of a type whose schema stands elsewhere, above this module."""
    _WHOLE[hint] = field


class PeriodField(WireField[Period]):
    """`[begin, end)`, two times in UTC."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Period:
        example = "[2015-12-01, 2015-12-31]"
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise expected("a list of begin and end", example, value)
        if not all(isinstance(each, str) for each in value):
            raise expected("a time in UTC", "2015-12-01T06:00Z", value[0])
        try:
            return Period(parse_instant(value[0]), parse_instant(value[1]))
        except HeadraceError as error:
            raise ValidationError(error.message) from None

    def _serialize(self, value: Period | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return value and [format_instant(value.begin), format_instant(value.end)]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}


class Plain(WireField[Mapping[str, Any]]):
    """A mapping of plain JSON values, as it is."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise expected("a mapping", "{a: 1}", value)
        left = [(value, 0)]
        for number, (each, depth) in enumerate(left):
            if number >= MOST_JSON or depth > MOST_DEPTH:
                raise ValidationError(
                    f"holds more than {MOST_JSON:,} values, or mappings {MOST_DEPTH} deep"
                )
            match each:
                case Mapping():
                    if not all(isinstance(key, str) for key in each):
                        raise ValidationError("every key of a mapping is a text")
                    left += [(inner, depth + 1) for inner in each.values()]
                case list() | tuple():
                    left += [(inner, depth + 1) for inner in each]
                case str():
                    check_text(each, 2**20)
                case None | bool() | int() | float():
                    pass
                case _:
                    raise expected("text, a number, true, false or null", "1", each)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"}


class PartSchema(StrictSchema):
    """Base of the made schemas."""

    of: Any  # the dataclass

    def make(self, read: dict[str, Any]) -> Any:
        try:
            return self.of(**read)
        except InvalidSpec as error:
            where = {error.path: [error.reason]} if error.path else error.reason
            raise ValidationError(where) from None
        except HeadraceError as error:
            raise ValidationError(error.message) from None

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is empty."""
        return {key: each for key, each in plain.items() if each not in ([], {})}


@cache
def schema_of(record: Any) -> PartSchema:
    """Make (once) the schema of a settings dataclass."""
    hints = typing.get_type_hints(record)
    made: dict[str, Any] = {"of": record}
    for each in fields(record):
        about = told_of(each)
        required = each.default is MISSING
        said = about.about if required else f"{about.about}{_default(each)}"
        options = {"about": said, "required": required}
        made[each.name] = _field(hints[each.name], about, options)
    schema: type[PartSchema] = type(f"{record.__name__}Schema", (PartSchema,), made)
    return schema()


def _default(each: "Field[Any]") -> str:
    if each.default in (None, ()):
        return ""
    several = each.default if isinstance(each.default, tuple) else (each.default,)
    return f" Default {', '.join(str(one).lower() for one in several)}."


def _field(hint: Any, about: Told, options: dict[str, Any]) -> WireField[Any]:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [part for part in parts if part is not type(None)]
        return _field(inner, about, options)
    if hint in _WHOLE:
        return _WHOLE[hint](**options)
    if origin is tuple and about.by_name:
        return _named(parts[0], about, options)
    if origin is tuple:
        each = _field(parts[0], about, {})
        least = 1 if options["required"] else 0
        return Words(each, limit=about.most, least=least, example=about.example, **options)
    if origin is Mapping:
        return Plain(**options)
    if hint is Period:
        return PeriodField(**options)
    if is_dataclass(hint):
        record: Any = hint
        return Part(schema_of(record), example=about.example, **options)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Word(hint, **options)
    if hint is bool:
        return Flag(**options)
    if hint is int:
        return Whole(int(about.low), int(about.high), **options)
    if hint is float:
        return Number(about.low, about.high, **options)
    if hint is str:
        return Text(about.example, limit=about.most, check=about.check, **options)
    raise TypeError(f"a setting can't be a {hint}")


def _named(record: Any, about: Told, options: dict[str, Any]) -> WireField[Any]:
    """A mapping from the first field of the members to their others."""
    first, *others = [each.name for each in fields(record)]
    schema = schema_of(record)
    inner = _OthersSchema(schema, others)

    def make(name: str, read: dict[str, Any]) -> Any:
        return schema.make({first: name, **read})

    return Named(
        Part(inner, example=about.example),
        limit=about.most,
        check_key=_member_name,
        example=about.example,
        make=make,
        split=lambda each: (getattr(each, first), each),
        **options,
    )


def _member_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidName(
            f"{text[:80]!r} can't be a name here: use letters, digits, '_' and '-', a letter first"
        )
    return text


class _OthersSchema(StrictSchema):
    """The fields of a settings dataclass without the first, which stands as a key."""

    def __init__(self, of: PartSchema, names: list[str]) -> None:
        super().__init__()
        self._keys = {key: pair for key, pair in of.keys.items() if key in names}

    @property
    def keys(self) -> dict[str, tuple[str, Any]]:
        return self._keys

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        return {key: each for key, each in plain.items() if each not in ([], {})}


class SettingsField(WireField[Any]):
    """The key `settings`, whose schema the kind beside it says."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise expected("a mapping", "{time: [2015-12-01, 2015-12-31]}", value)
        record = _record_of(data.get("kind"))
        if record is None:
            raise ValidationError("this kind takes no settings: leave them out")
        return schema_of(record).load(value)

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        record: Any = type(value)
        return None if value is None else schema_of(record).dump(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"}


def _record_of(kind: object) -> Any:
    """The settings dataclass of the kind that a job file names; None for none or no known one."""
    try:
        return kind_named(kind).settings if isinstance(kind, str) else None
    except HeadraceError:
        return None


def with_settings(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A job file's keys with empty settings where its kind takes some and none are written."""
    if data.get("settings") is None and _record_of(data.get("kind")) is not None:
        return {**data, "settings": {}}
    return data


def settings_by_kind() -> list[dict[str, Any]]:
    """JSON Schemas that say what `settings` is, by the kind beside it."""
    rules = []
    for name, kind in all_kinds().items():
        record: Any = kind.settings
        if record is None:
            continue
        names = sorted({name, name.replace("-", "_")})
        rules.append(
            {
                "if": {"properties": {"kind": {"enum": names}}, "required": ["kind"]},
                "then": {"properties": {"settings": schema_of(record).json_schema()}},
            }
        )
    return rules
