"""What a job needs, and how the need is met or missed."""

from dataclasses import dataclass
from enum import StrEnum

from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index, Restriction, check_format, describe_all
from headrace_model.errors import InvalidInput
from headrace_model.ids import DatasetId, JobId, check_name
from headrace_model.people import Shares


class Shape(StrEnum):
    """In what shape the data comes that meets a requirement."""

    ANY = "ANY"  # one dataset that covers it, or a union of several, each in a folder of its own
    ONE = "ONE"  # one dataset that covers it
    EXACT = "EXACT"  # one dataset that covers it and, on the indexes that it names, no more


@dataclass(frozen=True, slots=True)
class Requirement:
    """Data that a job needs, or will make; `format` None takes any format.

    Raises `InvalidName` or `InvalidDomain`.
    """

    name: str
    category: Category
    format: str | None
    domain: Domain
    shape: Shape = Shape.ANY

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

    What is missing is counted against the union or the dataset that comes closest.
    """

    requirement: Requirement
    missing: tuple[tuple[Index, Restriction], ...]
    nearest: tuple[Near, ...]

    @property
    def sentence(self) -> str:
        """Say it for people, short however large the sets are."""
        wanted = self.requirement
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
        return text
