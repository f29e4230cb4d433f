"""What a job's kind wants in the working folder of its worker. Blocking: call it in a thread."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from headrace_agent.folders import AttemptFolder
from headrace_kinds.base import Link
from headrace_kinds.registry import kind_named
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.spec import FileSpec, JobSpec


class InputUnfit(HeadraceError):
    """What was staged for an input is not what the job's kind needs; a second try can't help."""

    code = "INPUT_UNFIT"


def lay(folder: AttemptFolder, text: str, spec: JobSpec, parallel: Mapping[str, str]) -> None:
    """Lay a job's files, its kind's programs and links, and those of its `parallel` folder beside
    the worker, once; raises `InputUnfit`."""
    if not folder.is_laid:
        links = link_targets(folder.datasets, spec)
        folder.write_job(text, spec.files + program_files(spec), parallel, links)


def program_files(spec: JobSpec) -> tuple[FileSpec, ...]:
    """The files of the packages that workers of this kind run, below the working folder."""
    return tuple(
        FileSpec(path, sha256(content).hexdigest(), content)
        for name in kind_named(spec.kind).programs
        for path, content in _modules(resources.files(name), name)
    )


def _modules(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda one: one.name):
        if each.is_dir() and each.name != "__pycache__":
            yield from _modules(each, f"{path}/{each.name}")
        elif each.name.endswith(".py"):
            yield f"{path}/{each.name}", each.read_bytes()


def link_targets(datasets: Path, spec: JobSpec) -> dict[str, str]:
    """Where the links of the working folder lead to, from there; raises `InputUnfit`."""
    return {each.name: _target(datasets, each) for each in kind_named(spec.kind).links(spec)}


def _target(datasets: Path, link: Link) -> str:
    folder = datasets / link.input
    there = f"../{datasets.name}/{link.input}"
    if not link.patterns:
        return there
    files = (each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())
    try:
        return f"{there}/{link.choose(files)}"
    except InvalidInput as error:
        raise InputUnfit(error.message, hint=error.hint) from None
