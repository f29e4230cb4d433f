"""Which names people may give to datasets, and what they ask for in a list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.domain import Discrete, Domain, Restriction, intersect, is_empty
from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import check_name

# An id of a job (and with it every id of a dataset) begins with 0 until the year 3084.
_ID: Final = "0[0-9a-hjkmnp-tv-z]{15}"
_LIKE_AN_ID: Final = re.compile(rf"{_ID}(?:\..*)?")
_LIKE_AN_OUTPUT: Final = re.compile(rf".*-{_ID}")


def check_new_name(name: str) -> str:
    """Check a name that a person gives; raises `InvalidName`.

    Names that Headrace itself gives to outputs, and those that look like ids, are kept free.
    """
    check_name(name, "dataset")
    if _LIKE_AN_ID.fullmatch(name) or _LIKE_AN_OUTPUT.fullmatch(name):
        raise InvalidName(
            f"{name!r} looks like the id or output of a job: those names are Headrace's own",
            hint="leave out the part of 16 letters and digits that begins with 0",
        )
    return name


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of datasets is asked for; None or "" asks for nothing."""

    category: Category | None = None
    format: str = ""
    state: DatasetState | None = None
    owner: str = ""
    name: str = ""
    job: str = ""
    since_ms: int = 0  # made then, or later
    text: str = ""  # in the name, description or a tag, in whatever case
    domain: Domain = field(default_factory=Domain)  # some of each of its restrictions, at least

    def takes(self, dataset: Dataset) -> bool:
        """Tell whether a dataset is asked for."""
        text = self.text.lower()
        return (
            self.category in (None, dataset.category)
            and self.format in ("", dataset.format)
            and self._takes_state(dataset.state)
            and self.owner in ("", dataset.owner)
            and self.since_ms <= dataset.created_ms
            and self.name in ("", dataset.name)
            and self.job in ("", dataset.origin.job if dataset.origin else None)
            and (
                not text
                or text in dataset.name
                or text in dataset.description.lower()
                or any(text in tag for tag in dataset.tags)
            )
            and all(
                _meets(dataset.domain.get(index), asked)
                for index, asked in self.domain.restrictions
            )
        )

    def _takes_state(self, state: DatasetState) -> bool:
        """What is DELETED is shown to who asks for it."""
        return state is self.state or (self.state is None and state is not DatasetState.DELETED)


def _meets(have: Restriction | None, asked: Restriction) -> bool:
    """Tell whether there is data for some of what is asked."""
    if isinstance(have, Discrete) and isinstance(asked, Discrete):
        return not have.values.isdisjoint(asked.values)
    return have is not None and not is_empty(intersect(have, asked))


def page(
    datasets: Iterable[Dataset], wanted: Filter, limit: int, cursor: str
) -> tuple[list[Dataset], str | None]:
    """One page of datasets (the newest first) and the next cursor; raises `InvalidInput`."""
    after = _read_cursor(cursor) if cursor else None
    found: list[Dataset] = []
    for each in datasets:
        place = (each.created_ms, str(each.id))
        if (after is None or place < after) and wanted.takes(each):
            if len(found) == limit:
                return found, f"{found[-1].created_ms}-{found[-1].id}"
            found.append(each)
    return found, None


def _read_cursor(cursor: str) -> tuple[int, str]:
    created, _, id_ = cursor.partition("-")
    if not (created.isascii() and created.isdigit()) or len(created) > 15:
        raise InvalidInput("this cursor is not one that a list gave", hint="begin without one")
    return int(created), id_
