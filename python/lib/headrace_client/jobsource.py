"""A job as Python programs give it: keys, a path, or text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace_model.errors import InvalidInput
from headrace_model.spec import JobSpec
from headrace_wire.jobfile import load_jobfile
from headrace_wire.jobschema import FILE_VERSION

JobSource = Mapping[str, Any] | Path | str
_ACCEPTED = "give the path of a job file, its text (more than one line), or a mapping"


def read_job(source: JobSource) -> tuple[JobSpec, Path]:
    """Read a job, and the small files that it names; gives the folder that its paths count from.

    `source` is a mapping with the keys of a job file (`headrace: 1` may be left out), the path of
    a job file, or the text of one. A string is text when it has more than one line, else a path.
    Paths count from the job file's folder, else from the current one. Raises `InvalidInput`.
    """
    if isinstance(source, Mapping):
        return _load({"headrace": FILE_VERSION, **source}, Path.cwd())
    if isinstance(source, str) and "\n" in source:
        return _load(source, Path.cwd())
    if not isinstance(source, str | Path):
        raise InvalidInput(
            f"a job can't be made of {source!r}, a {type(source).__name__}",
            hint=_ACCEPTED,
        )
    file = Path(source).expanduser()
    try:
        text = file.read_text()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInput(
            f"the job file {str(source)!r} can't be read: {why}",
            hint=_ACCEPTED,
        ) from None
    return _load(text, file.resolve().parent)


def _load(source: Mapping[str, Any] | str, folder: Path) -> tuple[JobSpec, Path]:
    return load_jobfile(source, read_file=lambda name: (folder / name).read_bytes()), folder
