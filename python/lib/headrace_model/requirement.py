"""What a job needs, and how the need is met or missed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index, Restriction, check_format, describe_all
from headrace_model.errors import InvalidInput
from headrace_model.ids import DatasetId, JobId, check_name
from headrace_model.people import Shares

_SAID_CHARACTERS: Final = 400
_NAMES: Final = frozenset(
    (Index.DATA_ID, Index.HYDROFABRIC_DATA_ID, Index.REALIZATION_CONFIG_DATA_ID)
)


class Shape(StrEnum):
    """In what shape the data comes that meets a requirement."""

    ANY = "ANY"  # one dataset that covers it, or a union of several, each in a folder of its own
    ONE = "ONE"  # one dataset that covers it
    EXACT = "EXACT"  # one dataset that covers it and, on the indexes that it names, no more


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """How data has to be made: by which derivation, and the settings that it is told.

    Equal settings are the same JSON. Raises `InvalidName`, and `InvalidInput` for settings that
    are no JSON.
    """

    by: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.by, "derivation")
        try:
            _ = self.text
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"the settings of {self.by} are no JSON: {error}") from None

    @property
    def text(self) -> str:
        """The settings as JSON, the one way: `true` is not `1`."""
        return json.dumps(self.settings, sort_keys=True, allow_nan=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Derived) and (self.by, self.text) == (other.by, other.text)

    def __hash__(self) -> int:
        return hash((self.by, self.text))

    def __str__(self) -> str:
        """Say it for people: `partition (balance: area)`."""
        said = ", ".join(f"{key}: {_said(each)}" for key, each in sorted(self.settings.items()))
        if len(said) > _SAID_CHARACTERS:
            said = f"{said[:_SAID_CHARACTERS]}…"
        return f"{self.by} ({said})" if said else self.by


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_said(each)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_said, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Requirement:
    """Data that a job needs, or will make; `format` None takes any format.

    With `derived`, only what that derivation made, told the same, of the data that it would be
    made of now. Raises `InvalidName` or `InvalidDomain`.
    """

    name: str
    category: Category
    format: str | None
    domain: Domain
    shape: Shape = Shape.ANY
    derived: Derived | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "requirement")
        if self.format is not None:
            check_format(self.format)


@dataclass(frozen=True, slots=True)
class PathInput:
    """An input from the user's own disk: the client uploads it and sends a requirement instead.

    Raises `InvalidInput` for an empty path.
    """

    name: str
    path: str

    def __post_init__(self) -> None:
        check_name(self.name, "requirement")
        if not self.path or "\0" in self.path:
            raise InvalidInput(f"input {self.name}: {self.path!r} can't be a path")


@dataclass(frozen=True, slots=True)
class Promise:
    """An output that a live job will make, with the domain that it declares.

    It will belong to the job's owner, and be shared as the job is.
    """

    job: JobId
    output: str
    category: Category
    format: str
    domain: Domain
    owner: str
    shared: Shares = ()


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """The dataset that meets a requirement, or the several whose union does, in order.

    `over` is the index along which several join. A union over TIME is in order of time. `titles`
    are those that the datasets had then: one that is deleted is known by it.
    """

    requirement: str
    datasets: tuple[DatasetId, ...]
    over: Index | None
    why: str
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Promised:
    """No dataset meets the requirement yet, but the output of a live job will."""

    requirement: str
    promise: Promise
    why: str


@dataclass(frozen=True, slots=True)
class Near:
    """A dataset that comes close: its title, and what it lacks per index.

    `format` is its format where the requirement names another one.
    """

    dataset: DatasetId
    title: str
    lacks: tuple[tuple[Index, Restriction], ...]
    format: str | None = None

    @property
    def sentence(self) -> str:
        """Name it and its lack: `delaware-run v1 (lacks TIME 1980-01-01 to 1981-01-01)`."""
        lacks = [f"lacks {describe_all(dict(self.lacks))}"] if self.lacks else []
        other = [f"its format is {self.format}"] if self.format else []
        return f"{self.title} ({', '.join(other + lacks) or 'covers it, and more'})"


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing meets the requirement: what is missing per index, and the nearest, best first.

    What is missing is counted against the union or the dataset that comes closest. `causes`: of
    what has to be derived, what is missing of the data that it would be made from.
    """

    requirement: Requirement
    missing: tuple[tuple[Index, Restriction], ...]
    nearest: tuple[Near, ...]
    causes: "tuple[Miss, ...]" = ()

    @property
    def sentence(self) -> str:
        """Say it for people, with what to do, short however large the sets are."""
        wanted = self.requirement
        if wanted.derived is not None:
            return self._not_derived(wanted.derived)
        text = f"no {wanted.category} dataset "
        if wanted.format:
            text += f"of format {wanted.format} "
        text += "covers it" if wanted.shape is not Shape.EXACT else "covers exactly it"
        if self.missing:
            text += f": missing {describe_all(dict(self.missing))}"
        if wanted.shape is not Shape.ANY and not wanted.format:
            text += "; name a format to have it made from several or from a larger one"
        if self.nearest:
            text += "; nearest: " + ", ".join(near.sentence for near in self.nearest)
        return text + self._fix

    def _not_derived(self, derived: Derived) -> str:
        text = f"it has to be derived by {derived}"
        if not self.causes:
            return f"{text}, which nothing here does: see the name, format, domain and settings"
        lacks = (
            f"its {each.requirement.name} is missing ({each.sentence})" for each in self.causes
        )
        return f"{text}, and {', and '.join(lacks)}"

    @property
    def _fix(self) -> str:
        """What to do about what is missing."""
        lacks = {index for index, _ in self.missing}
        if not lacks:
            other = self.nearest and self.nearest[0].format
            return f"; ask for the format {other}, or upload it in the one asked" if other else ""
        if not self.nearest:
            return "; upload such a dataset (`headrace dataset create`)"
        if lacks <= _NAMES:
            return "; ask for one that is there, or upload it under that name"
        if lacks == {Index.TIME}:
            return "; upload what has that time too, or ask for a time without it"
        return "; upload what has these too, or leave them out"
