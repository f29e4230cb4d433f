"""The work of `unpack`, `pack` and `ngen-output`: files are read and written piece by piece."""

import gzip
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_formats.archives import MOST_BYTES, MOST_MEMBERS, is_archive, members
from headrace_formats.base import open_plain, read_head
from headrace_formats.file_names import catchment_in, nexus_in
from headrace_formats.ngen_csv import is_output
from headrace_formats.report import Report
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.times import parse_instant

ARCHIVE: Final = "output.tar.gz"
_PIECE_BYTES: Final = 1 << 20
_LONGEST_PATH: Final = 1000
_LONGEST_NAME_BYTES: Final = 255


def unpack(work: Work) -> None:
    """Write the members of all archives below one folder; raises where two have one name."""
    (folder,) = work.inputs.values()
    count = 0
    for path in files_below(folder):
        if not is_archive(read_head(path)):
            continue
        work.say(f"unpacking {path.relative_to(folder)}")
        for name, member in members(path, Report()):
            with _created(work.output, name) as file:
                while piece := member.read(_PIECE_BYTES):
                    file.write(piece)
            count += 1
    _say_how_many(count, work)


def pack(work: Work) -> None:
    """Write a tar with gzip whose bytes depend on the files' names and bytes alone."""
    found = _outputs(work)
    sizes = [path.stat().st_size for _, path in found]
    if len(found) > MOST_MEMBERS or sum(sizes) > MOST_BYTES:
        raise DerivationFailed(
            f"{len(found):,} files with {sum(sizes):,} bytes are too many for one archive: "
            f"it holds up to {MOST_MEMBERS:,} with {MOST_BYTES:,} bytes"
        )
    with (
        (work.output / ARCHIVE).open("xb") as made,
        gzip.GzipFile("", "wb", 6, made, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for (name, path), size in zip(found, sizes, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = size
            with open_plain(path) as file:
                archive.addfile(entry, file)
    _say_how_many(len(found), work)


def take_part(work: Work) -> None:
    """Write the wanted rows of the files of wanted catchments and nexuses."""
    only = Domain.from_plain(work.parameters["only"])
    count = 0
    for name, path in _outputs(work):
        if _is_of(name, only):
            with open_plain(path) as source, _created(work.output, name) as file:
                for line in _rows(source, only):
                    file.write(line)
            count += 1
    _say_how_many(count, work)


def _outputs(work: Work) -> list[tuple[str, Path]]:
    """The files of ngen's output, by their paths in order; not what lies beside them."""
    (folder,) = work.inputs.values()
    named = [(path.relative_to(folder).as_posix(), path) for path in files_below(folder)]
    return sorted(each for each in named if is_output(read_head(each[1])))


def _is_of(path: str, only: Domain) -> bool:
    """Tell whether a file is of a catchment or nexus that is wanted, or names none."""
    name = path.rpartition("/")[2]
    nexus, catchment = nexus_in(name), catchment_in(name)
    if nexus is not None:
        return _has(only, Index.ELEMENT_ID, nexus)
    return catchment is None or _has(only, Index.CATCHMENT_ID, catchment)


def _has(only: Domain, index: Index, id_: str) -> bool:
    names = only.get(index)
    return not isinstance(names, Discrete) or id_ in names.values


def _rows(source: BinaryIO, only: Domain) -> Iterator[bytes]:
    """The header, and the rows of wanted times and catchments, as they stand."""
    line = source.readline(_PIECE_BYTES)
    is_together = line.startswith(b"catchment_id,")
    if is_together or line.startswith(b"Time Step,"):
        yield line
        line = source.readline(_PIECE_BYTES)
    begins = [pair[0] for pair in only.time.intervals] if only.time else []
    while line:
        cells = [*line.decode("utf-8", "replace").split(",", 3), "", ""]
        is_named = not is_together or _has(only, Index.CATCHMENT_ID, cells[0].strip())
        if is_named and (only.time is None or _is_in(cells[1 + is_together], only, begins)):
            yield line
        line = source.readline(_PIECE_BYTES)


def _is_in(stamp: str, only: Domain, begins: Sequence[int]) -> bool:
    """Tell whether a step that begins at a stamp such as 2015-12-01 00:00:00 is wanted."""
    try:
        instant = parse_instant(stamp.strip())
    except InvalidInput as error:
        raise DerivationFailed(f"a row has no time: {error.message}") from None
    place = bisect_right(begins, instant) - 1
    return place >= 0 and only.time is not None and instant < only.time.intervals[place][1]


@contextmanager
def _created(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open a new file below a folder; `members` has checked that a name leads nowhere else."""
    path = PurePosixPath(name)
    if len(name) > _LONGEST_PATH or any(
        len(part.encode()) > _LONGEST_NAME_BYTES for part in path.parts
    ):
        raise DerivationFailed(f"{name[:80]}…: the name is too long for a file")
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DerivationFailed(f"{name}: there is another file in its place already") from None
    with file:
        yield file


def _say_how_many(count: int, work: Work) -> None:
    if not count:
        raise DerivationFailed("there is no output of what is wanted")
    work.say(f"{count:,} files")
