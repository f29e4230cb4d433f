"""Detect the format and the domain of a file or of the files of a dataset.

This reads strangers' files in the calling process: services call `runner.detect_folder`, which
does the same in a limited one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace_formats import netcdf, parquet
from headrace_formats.base import FileDomain, Format, read_head
from headrace_formats.combine import combine
from headrace_formats.composite import check_parts, composite_of, covered_together
from headrace_formats.errors import FormatError
from headrace_formats.file_names import is_documentation, is_prose
from headrace_formats.registry import EMPTY, GENERIC, all_formats, format_named
from headrace_formats.report import Finding, Report, plain
from headrace_model.domain import Domain

_MOST_FILES: Final = 1_000_000
_MOST_NOTES: Final = 50
_ALL_OF_IT: Final = "`headrace dataset domain validate PATH` says all that is wrong"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FileDetection:
    """One file: its format, what it covers, what is doubtful in it.

    `problems` tell why it is not of a format that it looked like.
    """

    path: str
    format: str
    found: FileDomain = field(default_factory=FileDomain)
    problems: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """The files of a dataset: their common format, their domain, notes for people."""

    format: str
    domain: Domain
    notes: tuple[str, ...] = ()
    files: tuple[FileDetection, ...] = ()


def describe_all() -> tuple[Format, ...]:
    """Return all known formats, in the order in which they are tried."""
    return all_formats()


def detect_file(path: Path, format: str | None = None, *, name: str = "") -> FileDetection:
    """Detect one regular file, called `name` in messages. Raises `FormatError` only.

    Without `format` a file that no format fits is GENERIC. With it, a file of another format is
    an error.
    """
    name = name or path.name
    wanted = format_named(format) if format is not None else None
    try:
        head = read_head(path)
    except OSError as error:
        raise FormatError(f"{name}: it can't be read: {error.strerror}") from None
    if wanted is not None:
        report = Report()
        try:
            found = read_file(wanted, path, name, report)
        except FormatError as error:
            raise FormatError(error.message, hint=error.hint or _ALL_OF_IT) from None
        return FileDetection(name, wanted.name, found, warnings=report.warnings)
    problems: list[str] = []
    for candidate in all_formats():
        if candidate.sniff(head):
            report = Report()
            try:
                found = read_file(candidate, path, name, report)
            except FormatError as error:
                problems.append(str(error))
            else:
                return FileDetection(name, candidate.name, found, tuple(problems), report.warnings)
    raise FormatError(f"{name}: no format fits, not even {GENERIC.name}")


def read_file(candidate: Format, path: Path, name: str, report: Report) -> FileDomain:
    """Read one file, called `name` in messages, as a format. Raises `FormatError` only."""
    try:
        return candidate.read(path, report)
    except FormatError as error:
        message = f"{name}: {error.message}"
        if candidate.name not in message:
            message = f"{name} can't be read as {candidate.name}: {error.message}"
        raise FormatError(plain(message), hint=error.hint) from None
    except MemoryError:
        raise FormatError(
            f"{name}: reading it as {candidate.name} needs too much memory"
        ) from None
    except Exception as error:  # libraries and plug-ins raise anything for a damaged file
        raise FormatError(
            plain(f"{name} can't be read as {candidate.name}: {error!r}"),
            hint="is the file complete?",
        ) from None


def detect_folder(
    folder: Path, format: str | None = None, progress: Progress = lambda _name: None
) -> Detection:
    """Detect the files below `folder` as one dataset; a path of one file is a dataset of it.

    `progress` is told the name of each file before it is read. With `format`, each file that is
    not plain documentation must be readable as it. Raises `FormatError`, naming the file and
    what is wrong. Links and devices are left out, with a note.
    """
    files, notes = walk(folder)
    return detect_files(files, format, notes, progress)


def detect_files(
    files: Sequence[tuple[str, Path]],
    format: str | None,
    notes: Sequence[str] = (),
    progress: Progress = lambda _name: None,
) -> Detection:
    """Detect files, given as (name, path), as one dataset; see `detect_folder`."""
    wanted = format_named(format) if format is not None else None
    if wanted is GENERIC or (wanted is EMPTY and not files):
        return Detection(wanted.name, Domain(), _limited(notes))
    if not files:
        if wanted is None:
            return Detection(EMPTY.name, Domain(), _limited(notes))
        raise FormatError(
            f"there is no file of the format {wanted.name}: the dataset is empty",
            hint="were the files written where the dataset is read from?",
        )
    if wanted is EMPTY:
        raise FormatError(f"{files[0][0]}: a dataset of the format EMPTY holds no file")
    found: list[FileDetection] = []
    for name, path in files:
        progress(name)
        if (
            wanted is None
            or wanted.parts
            or (is_documentation(name) and not looks_like(wanted, path))
        ):
            found.append(detect_file(path, name=name))
        else:
            found.append(detect_file(path, wanted.name, name=name))
    return _together(found, wanted, notes)


def looks_like(wanted: Format, path: Path) -> bool:
    """Tell whether a file may be of a format by its first bytes."""
    try:
        return wanted.sniff(read_head(path))
    except OSError:
        return False


def _together(
    found: Sequence[FileDetection], wanted: Format | None, before: Sequence[str]
) -> Detection:
    only = None if wanted is None or wanted.parts else wanted.name
    data: list[FileDetection] = []
    left: list[FileDetection] = []
    for file in found:
        is_data = file.format != GENERIC.name and only in (None, file.format)
        (data if is_data else left).append(file)
    others = [file for file in left if not _is_beside(file, only)]
    notes = [*before, *_warnings(data)]
    if wanted is not None and not data and not others:
        raise FormatError(
            f"there is no file of the format {wanted.name}, only documentation: "
            f"{', '.join(file.path for file in left[:5])}"
        )
    formats = sorted({file.format for file in data})
    composite = _composite(formats, data, others, wanted)
    if composite is not None:
        parts = [(file.path, format_named(file.format), file.found) for file in data]
        domain, said = covered_together(parts)
        return Detection(composite.name, domain, _limited((*notes, *said)), tuple(found))
    if len(formats) == 1 and not others:
        domain, said = covered(format_named(formats[0]), [file.found for file in data])
        return Detection(formats[0], domain, _limited((*notes, *said)), tuple(found))
    notes += [problem for file in others for problem in file.problems]
    if formats:
        mixed = {file.format: file.path for file in reversed((*data, *others))}
        shown = ", ".join(f"{path} is {name}" for name, path in sorted(mixed.items()))
        notes.insert(0, f"the files are of different formats: {shown}")
    return Detection(GENERIC.name, Domain(), _limited(notes), tuple(found))


def _is_beside(file: FileDetection, only: str | None) -> bool:
    """Tell whether a file may stand beside data: not if it looks like damaged data itself."""
    if only is None and file.problems:
        return is_prose(file.path)
    return is_documentation(file.path)


def _composite(
    formats: Sequence[str],
    data: Sequence[FileDetection],
    others: Sequence[FileDetection],
    wanted: Format | None,
) -> Format | None:
    """The composite format that the files make up; raises `FormatError` where it is wanted."""
    if wanted is not None and wanted.parts:
        problems = [problem for file in others for problem in file.problems]
        if problems:
            raise FormatError(problems[0], hint=_ALL_OF_IT)
        check_parts(wanted, {file.format: file.path for file in (*others, *data)})
        return wanted
    return None if others or wanted is not None else composite_of(all_formats(), formats)


def covered(of: Format, files: Sequence[FileDomain]) -> tuple[Domain, tuple[str, ...]]:
    """Return what files of one format cover together, and notes on what could not be said."""
    domain, notes = combine(files)
    if of.whole is None:
        return domain, notes
    whole = of.whole(files)
    restrictions = dict(domain.restrictions) | dict(whole.restrictions)
    return Domain.of(restrictions), (*notes, *whole.notes)


def _warnings(data: Sequence[FileDetection]) -> list[str]:
    """The warnings of files, one note for all files that have the same."""
    files: dict[str, list[str]] = {}
    for file in data:
        for warning in file.warnings:
            files.setdefault(str(warning), []).append(file.path)
    return [
        f"{paths[0]}: {warning}"
        if len(paths) == 1
        else f"{len(paths):,} files, first {paths[0]}: {warning}"
        for warning, paths in files.items()
    ]


def walk(folder: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """Return the regular files below a folder as (name, path), sorted by name, and notes.

    A path of one file gives that file. Nothing else is followed. Raises `FormatError`.
    """
    try:
        if folder.is_file():
            return [(folder.name, folder)], []
        left_out: list[str] = []
        files = sorted(_below(folder, "", left_out))
    except OSError as error:
        raise FormatError(f"{folder} can't be read: {error.strerror}") from None
    notes = [f"{name} is neither a file nor a folder: left out" for name in sorted(left_out)]
    return files, notes


def walk_inside(folder: Path, inside: Sequence[str]) -> tuple[list[tuple[str, Path]], list[str]]:
    """The same of some folders in it, by their paths; the names begin with those."""
    files: list[tuple[str, Path]] = []
    notes: list[str] = []
    for each in inside:
        found, said = walk(folder / each)
        files += [(f"{each}/{name}", path) for name, path in found]
        notes += [f"{each}/{note}" for note in said]
    return sorted(files), notes


def _below(folder: Path, prefix: str, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    pending = [(folder, prefix)]
    count = 0
    while pending:
        at, before = pending.pop()
        with os.scandir(at) as entries:
            for entry in entries:
                name = before + entry.name
                count += 1
                if count > _MOST_FILES:
                    raise FormatError(f"there are more than {_MOST_FILES:,} files")
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), f"{name}/"))
                elif entry.is_file(follow_symlinks=False):
                    yield name, Path(entry.path)
                else:
                    left_out.append(name)


def load_libraries(files: Sequence[tuple[str, Path]]) -> None:
    """Import what files that begin as NetCDF or Parquet will be read with.

    Raises `FormatError` where netCDF4 is missing. pyarrow is large and mostly not needed: files
    say themselves that it is missing.
    """
    wanted = {netcdf.is_netcdf: netcdf.load, parquet.is_parquet: _load_parquet}
    for _, path in files:
        try:
            head = read_head(path)
        except OSError:
            continue
        for fits in [each for each in wanted if each(head)]:
            wanted.pop(fits)()
        if not wanted:
            return


def _load_parquet() -> None:
    with suppress(FormatError):
        parquet.load()


def _limited(notes: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(plain(note) for note in notes[:_MOST_NOTES])
    more = len(notes) - len(shown)
    return (*shown, f"and {more:,} more notes") if more else shown
