"""Say all that is wrong and doubtful in the files of a dataset, each with its place.

`detect` stops at the first error of a file; this goes on. It reads strangers' files in the
calling process, as `detect` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace_formats.base import Format, read_head
from headrace_formats.detect import looks_like, read_file, walk
from headrace_formats.errors import FormatError
from headrace_formats.file_names import is_documentation
from headrace_formats.registry import EMPTY, GENERIC, all_formats, format_named
from headrace_formats.report import Finding, Report, Severity


@dataclass(frozen=True, slots=True)
class Validation:
    """One file: the format that it is of, or comes nearest to, and what was found."""

    path: str
    format: str
    findings: tuple[Finding, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Tell whether nothing is wrong; there may be warnings."""
        return all(each.severity is not Severity.ERROR for each in self.findings)


def validate_folder(
    folder: Path, format: str | None = None, progress: Callable[[str], None] = lambda _name: None
) -> tuple[Validation, ...]:
    """Validate the files below `folder`, or one file, each as `format` or as what it looks like.

    Documentation beside data of `format` is left out. Raises `FormatError` where the folder
    can't be read, or there is no such format.
    """
    wanted = format_named(format) if format is not None else None
    found = []
    for name, path in walk(folder)[0]:
        progress(name)
        if wanted is None or wanted.parts or wanted is GENERIC or wanted is EMPTY:
            found.append(validate_file(path, name))
        elif looks_like(wanted, path) or not is_documentation(name):
            found.append(Validation(name, wanted.name, _findings(wanted, path, name)))
    return tuple(found)


def validate_file(path: Path, name: str = "") -> Validation:
    """Validate one file as what it looks like; without errors, as `detect_file` would see it."""
    name = name or path.name
    try:
        head = read_head(path)
    except OSError as error:
        return Validation(name, GENERIC.name, (_error(f"it can't be read: {error.strerror}"),))
    nearest: Validation | None = None
    for candidate in all_formats():
        if candidate is GENERIC or not candidate.sniff(head):
            continue
        found = Validation(name, candidate.name, _findings(candidate, path, name))
        if found.is_valid:
            return found
        if nearest is None or _errors(found) < _errors(nearest):
            nearest = found
    return nearest or Validation(name, GENERIC.name)


def _errors(found: Validation) -> int:
    return sum(each.severity is Severity.ERROR for each in found.findings)


def _findings(of: Format, path: Path, name: str) -> tuple[Finding, ...]:
    report = Report(lenient=True)
    try:
        read_file(of, path, name, report)
    except FormatError as error:
        return (*report.findings, _error(error.message, error.hint))
    return tuple(report.findings)


def _error(message: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, "", message, hint)
