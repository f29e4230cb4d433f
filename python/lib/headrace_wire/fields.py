"""Marshmallow fields with strict types, messages that show an example, and a JSON Schema each.

A message says what was expected and what was found. Nothing is converted behind the user's back:
a bool is no number, and a number is text only where its digits can't have changed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

from marshmallow import ValidationError, fields

from headrace_model.errors import HeadraceError
from headrace_model.nearest import did_you_mean

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

# What a process can't take (NUL), a terminal and a log must not get, and YAML can't hold; tab and
# newline may pass.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def found(value: object) -> str:
    """Name a value's type and, when it is short, the value, as its writer knows it."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the bool {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value!r}" if len(value) <= 40 else f"the text {value[:40]!r}…"
        case list():
            return "a list"
        case Mapping():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def expected(what: str, example: str, value: object) -> ValidationError:
    """Make the error for a value of the wrong type."""
    return ValidationError(f"{what} is expected, for example {example}; found {found(value)}")


def check_text(text: str, limit: int) -> str:
    """Refuse control characters and texts of more than `limit` characters."""
    if bad := _CONTROL.search(text):
        raise ValidationError(f"holds the control character {bad[0]!r}, which can't be used here")
    if len(text) > limit:
        raise ValidationError(f"has {len(text):,} characters; at most {limit:,} are allowed")
    return text


class WireField(fields.Field[T], Generic[T]):
    """A field that knows its JSON Schema. `about` is the sentence that editors show."""

    default_error_messages = {  # noqa: RUF012 (marshmallow declares it so)
        "required": "this key is missing",
        "null": "a value is expected here, not null",
    }

    def __init__(self, about: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.about = about

    def deserialize(
        self,
        value: Any,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read a value; raises `ValidationError`. Marshmallow's validators are not asked."""
        if value is None:
            raise self.make_error("null")
        return self._deserialize(value, attr, data, **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the values that this field reads; without more, of any value."""
        return {}


class Parsed(WireField[T]):
    """Text that a function of the model reads and another one writes.

    `parse` raises `HeadraceError` with its reason; `pattern` is for editors only.
    """

    def __init__(
        self,
        what: str,
        example: str,
        parse: Callable[[str], T],
        write: Callable[[T], str],
        *,
        pattern: str | None = None,
        check: Callable[[T], str | None] = lambda _: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._what, self._example = what, example
        self._parse, self._write, self._check = parse, write, check
        self._pattern = pattern

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> T:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # the parser's own words tell that a unit is missing
        if not isinstance(value, str):
            raise expected(self._what, self._example, value)
        return self.read(value)

    def read(self, value: str) -> T:
        """Parse and check; raises `ValidationError`."""
        try:
            result = self._parse(value)
        except HeadraceError as error:
            raise ValidationError(error.message) from None
        if wrong := self._check(result):
            raise ValidationError(wrong)
        return result

    def _serialize(self, value: T | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self._write(value)

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "examples": [self._example]}
        return schema | ({"pattern": self._pattern} if self._pattern else {})


class Cpus(Parsed[int]):
    """A number of CPUs: `2`, `0.5` or `500m`; millicpus inside."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise expected(self._what, self._example, value)
        return self.read(value if isinstance(value, str) else repr(value))

    def _serialize(self, value: int | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        return self._write(value) if value % 1000 else value // 1000

    def json_schema(self) -> dict[str, Any]:
        number = {"type": "number", "exclusiveMinimum": 0}
        return {"anyOf": [number, super().json_schema()]}


class Text(WireField[str]):
    """One text without control characters; `numbers` lets whole numbers stand without quotes."""

    def __init__(
        self,
        example: str,
        *,
        limit: int = 4096,
        numbers: bool = False,
        check: Callable[[str], str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._example, self._limit, self._numbers, self._check = example, limit, numbers, check

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if self._numbers and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, int | float):
            # 1.10 would become 1.1 and `true` True: only quotes keep what was written.
            raise ValidationError(
                f"text is expected; found {found(value)}: write it in quotes, so that it stays "
                f"as it is: {_quoted(value)}"
            )
        if not isinstance(value, str):
            raise expected("text", self._example, value)
        check_text(value, self._limit)
        try:
            return self._check(value) if self._check else value
        except HeadraceError as error:
            raise ValidationError(error.message) from None

    def json_schema(self) -> dict[str, Any]:
        kinds = ["string", "integer"] if self._numbers else "string"
        return {"type": kinds, "maxLength": self._limit, "examples": [self._example]}


def _quoted(value: object) -> str:
    return f'"{str(value).lower()}"' if isinstance(value, bool) else f'"{value}"'


class Whole(WireField[int]):
    """A whole number in a range, ends included."""

    def __init__(self, low: int, high: int, **options: Any) -> None:
        super().__init__(**options)
        self._low, self._high = low, high

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise expected("a whole number", str(max(self._low, 1)), value)
        if not self._low <= value <= self._high:
            raise ValidationError(f"{value} is not from {self._low} to {self._high:,}")
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self._low, "maximum": self._high}


class Number(WireField[float]):
    """A number in a range, ends included; whole ones are taken too."""

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self._low, self._high = low, high

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise expected("a number", f"{max(self._low, 0.5):g}", value)
        if not self._low <= value <= self._high:  # nor is NaN
            raise ValidationError(f"{value} is not from {self._low:g} to {self._high:g}")
        return float(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self._low, "maximum": self._high}


class Graded(Whole):
    """A whole number in a range, or a name of one."""

    def __init__(self, low: int, high: int, names: Mapping[str, int], **options: Any) -> None:
        super().__init__(low, high, **options)
        self._names = names

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, str):
            if value in self._names:
                return self._names[value]
            hint = did_you_mean(value, self._names)
            raise ValidationError(
                f"{value[:80]!r} is not known here; {hint}, or a whole number is expected"
            )
        return super()._deserialize(value, attr, data, **kwargs)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [super().json_schema(), {"enum": list(self._names)}]}


class Flag(WireField[bool]):
    """True or false, and nothing that only looks like it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(f"true or false is expected; found {found(value)}")
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Word(WireField[E]):
    """One of some members of an enum, by its value."""

    def __init__(self, members: Iterable[E], **options: Any) -> None:
        super().__init__(**options)
        self._words = {str(each.value): each for each in members}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> E:
        if not isinstance(value, str):
            raise expected("a word", next(iter(self._words)), value)
        if value not in self._words:
            hint = did_you_mean(value, self._words)
            raise ValidationError(f"{value[:80]!r} is not known here; {hint}")
        return self._words[value]

    def _serialize(self, value: E | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else value.value

    def json_schema(self) -> dict[str, Any]:
        return {"enum": list(self._words)}
