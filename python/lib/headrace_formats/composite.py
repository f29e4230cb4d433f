"""Datasets whose files are of several formats that belong together (`Format.parts`)."""

from collections.abc import Iterable, Mapping, Sequence

from headrace_formats.base import FileDomain, Format, checked_names
from headrace_formats.combine import combine
from headrace_formats.errors import FormatError
from headrace_model.domain import Discrete, Domain, Index, Restriction


def composite_of(formats: Iterable[Format], found: Sequence[str]) -> Format | None:
    """The composite whose parts these formats are; one alone composes nothing."""
    if len(found) < 2:
        return None
    return next((each for each in formats if each.parts and not _lacks(each, found)), None)


def check_parts(composite: Format, found: Mapping[str, str]) -> None:
    """Check that files, given as format → a path, make up a composite; raises `FormatError`."""
    for format_, path in found.items():
        if format_ not in composite.parts:
            raise FormatError(
                f"{path} is {format_}, which is no part of {composite.name}",
                hint=f"its parts are {', '.join(composite.parts)}",
            )
    if _lacks(composite, list(found)):
        raise FormatError(f"{composite.name} needs a file of the format {composite.parts[0]}")


def _lacks(composite: Format, found: Sequence[str]) -> bool:
    return composite.parts[0] not in found or not set(found) <= set(composite.parts)


def covered_together(
    files: Sequence[tuple[str, Format, FileDomain]],
) -> tuple[Domain, tuple[str, ...]]:
    """What files, given as path, format and domain, cover together, and notes.

    An index that only one format's files tell together (`whole`) is told of the dataset too.
    """
    domain, notes = combine(found for _, _, found in files)
    restrictions: dict[Index, Restriction] = dict(domain.restrictions)
    for of in dict.fromkeys(each for _, each, _ in files):
        if of.whole is not None:
            whole = of.whole([found for _, each, found in files if each is of])
            restrictions |= dict(whole.restrictions)
            notes = (*notes, *whole.notes)
    try:
        names = checked_names([path for path, _, _ in files], "paths")
        restrictions[Index.FILE_NAME] = Discrete(names)
    except FormatError as error:
        notes = (*notes, f"{error.message}: FILE_NAME is not detected")
    return Domain.of(restrictions), notes
