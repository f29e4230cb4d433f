"""What the `settings:` of a kind are made of: dataclasses whose fields tell about themselves.

The reader of job files, its JSON Schema and the file of `headrace init` are made from them
(`headrace_wire.kindsettings`). A field is a str, int, float, bool, `StrEnum`, `Period`, a further
such dataclass, a tuple of any of these, or `Mapping[str, Any]` for plain JSON; each of them may
be `| None`.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Final

from headrace_model.domain import Continuous
from headrace_model.errors import InvalidInput
from headrace_model.times import Instant, format_instant

_KEY: Final = "headrace"
MOST_MEMBERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Period:
    """A period [begin, end), a list of two in a job file. Raises `InvalidInput`."""

    begin: Instant
    end: Instant

    def __post_init__(self) -> None:
        if self.begin >= self.end:
            raise InvalidInput(
                f"the period {format_instant(self.begin)} to {format_instant(self.end)} is empty: "
                "the end is not part of it and must lie after the begin"
            )

    @property
    def time(self) -> Continuous:
        """The restriction of TIME that says the same."""
        return Continuous(((self.begin, self.end),))

    def contains(self, other: "Period") -> bool:
        """Tell whether every instant of `other` is inside."""
        return self.begin <= other.begin and other.end <= self.end


@dataclass(frozen=True, slots=True)
class Told:
    """What a field tells: a sentence, an example as a job file has it (YAML), and its bounds.

    `low` and `high` bound numbers, `most` the characters of a text and the members of a list.
    `check` gives a text back, or raises a `HeadraceError`. `by_name`: a list of dataclasses is
    written as a mapping, from the first field of each to the others.
    """

    about: str
    example: str
    low: float
    high: float
    most: int
    check: Callable[[str], str] | None
    by_name: bool


def told(
    about: str,
    example: str,
    *,
    default: Any = MISSING,
    low: float = 0,
    high: float = 2**53,
    most: int = 4096,
    check: Callable[[str], str] | None = None,
    by_name: bool = False,
) -> Any:
    """Make a field of a settings dataclass; without a `default` its key must be there."""
    about_it = Told(about, example, low, high, most, check, by_name)
    return field(default=default, metadata={_KEY: about_it})


def told_of(each: "Field[Any]") -> Told:
    """What a field of a settings dataclass tells."""
    found: Mapping[str, Told] = each.metadata
    return found[_KEY]
