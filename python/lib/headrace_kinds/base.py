"""What a kind is: a pure function from a spec to what the services need to run it.

A further kind is one more file with a class that satisfies `Kind`, and its line in `registry.py`;
third parties name theirs by an entry point of the group `headrace.kinds`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from headrace_model.domain import Discrete, Index, Restriction
from headrace_model.errors import InvalidInput, InvalidSpec
from headrace_model.requirement import PathInput, Requirement
from headrace_model.spec import FileSpec, JobSpec, OutputSpec, Parallel

# Names that mean something themselves, so no input, output or matrix axis may bear them.
RESERVED_NAMES = frozenset({"output", "index", "item", "environment", "secrets"})
CHANGED = (
    "If the settings were changed since this job was filled in: leave out command, files and "
    "inputs that the kind made"
)


@dataclass(frozen=True, slots=True)
class Target:
    """The nodes that a job will run on, as far as requirements depend on it.

    `python` is major.minor (`3.11`), `platform` a wheel platform tag (`linux_x86_64`).
    """

    python: str
    platform: str


@dataclass(frozen=True, slots=True)
class WorkerTemplate:
    """What each worker runs; one worker a share of the allocation, its rank the share's place.

    Command and env values hold placeholders, filled by `placeholders.render` at launch.
    """

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a spec comes to: data to find, workers to run, data that will be."""

    requirements: tuple[Requirement, ...]
    worker: WorkerTemplate
    outputs: tuple[OutputSpec, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing wrong with a spec: where (`command[2]`), and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """A name in a worker's working folder for what was staged for `input`.

    It leads to the only file that fits the first of `patterns` (as `*.gpkg`, below the input's
    folder) that any file fits, or to the input's folder where there are no patterns.
    """

    name: str
    input: str
    patterns: tuple[str, ...] = ()

    def choose(self, files: Iterable[str]) -> str:
        """Choose among the paths of the input's files; raises `InvalidInput` for none or several.

        A pattern is of the file's name, whatever folder it is in.
        """
        there = sorted(files)
        for pattern in self.patterns:
            fit = [each for each in there if fnmatchcase(each.rpartition("/")[2], pattern)]
            if len(fit) == 1:
                return fit[0]
            if fit:
                raise InvalidInput(
                    f"the input {self.input} has {len(fit):,} files like {pattern} ({fit[0]}, "
                    f"{fit[1]}, ...), and one is wanted as {self.name}",
                    hint="make a dataset of the right one alone",
                )
        raise InvalidInput(
            f"the input {self.input} has no file like {' or '.join(self.patterns)}, "
            f"which is wanted as {self.name}",
            hint="name the files of the dataset so, or ask for another one",
        )


@runtime_checkable
class Kind(Protocol):
    """One kind of job. Its methods are pure."""

    @property
    def name(self) -> str:
        """The name as a job file writes it, words joined by dashes."""

    @property
    def summary(self) -> str:
        """What it is for, in a sentence."""

    @property
    def settings(self) -> type[Any] | None:
        """The dataclass of a job file's `settings:` (`headrace_kinds.settings`); None: none."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Packages of ours that lie in the worker's working folder, so that it runs them in any
        image and environment: `python3 -m NAME`. They import nothing else of ours."""

    def complete(self, spec: JobSpec) -> JobSpec:
        """Fill in what the settings say: command, inputs, outputs, whatever the user left out.

        What it gives is completed to itself. Raises `InvalidSpec` where it can't.
        """

    def links(self, spec: JobSpec) -> tuple[Link, ...]:
        """Names in the working folder for staged files, of a completed spec."""

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Tell all that keeps this kind from expanding a spec; empty when nothing does.

        Local paths among the inputs are not wrong: a client checks before it uploads.
        """

    def expand(self, spec: JobSpec, target: Target) -> Expansion:
        """Expand a spec that `check` accepts and whose inputs are all requirements."""

    def progress(self, spec: JobSpec) -> tuple[re.Pattern[str], ...]:
        """What tells how far a worker is, looked for in each line that it writes (`read_line`)."""


def in_ranks(spec: JobSpec) -> JobSpec:
    """Let a job of several whole CPUs run in ranks that work together, where it says nothing."""
    several = spec.resources.amount.ranks > 1 and spec.parallel is None
    return replace(spec, parallel=Parallel.MPI) if several else spec


def naming(names: Mapping[Index, Iterable[str | None]]) -> dict[Index, Restriction]:
    """The restrictions of a domain that name something; an index with no name is left out."""
    said = {index: frozenset(name for name in some if name) for index, some in names.items()}
    return {index: Discrete(values) for index, values in said.items() if values}


def filled(
    spec: JobSpec,
    *,
    command: tuple[str, ...],
    inputs: Iterable[Requirement] = (),
    outputs: Iterable[OutputSpec] = (),
    files: Iterable[tuple[str, bytes]] = (),
) -> JobSpec:
    """Give a spec with what its kind makes: the command, files by name and content, and the inputs
    and outputs of names that the user has none of.

    A file that is there and says the same as JSON stays: a stored job has its settings sorted, and
    one of a version before says nothing of what has come since and is empty here.

    Raises `InvalidSpec` for a command, or a file of such a name, of the user's own.
    """
    if spec.command not in ((), command):
        raise InvalidSpec(
            f"the kind {spec.kind} makes its own, and this is not what the settings come to. "
            f"{CHANGED}; for a command of your own write `kind: command`",
            path="command",
        )
    made = {name: FileSpec(name, sha256(content).hexdigest(), content) for name, content in files}
    for at, each in enumerate(spec.files):
        of_kind = made.setdefault(each.name, each)
        if of_kind != each and _said(of_kind.content) == _said(each.content):
            made[each.name] = each
        elif of_kind != each:
            raise InvalidSpec(
                f"the kind {spec.kind} makes a file {each.name} itself, with another content. "
                f"{CHANGED}; for a file of your own choose another name",
                path=f"files[{at}]",
            )
    asked: dict[str, Requirement | PathInput] = {each.name: each for each in inputs}
    asked |= {each.name: each for each in spec.inputs}
    promised = {each.name: each for each in outputs} | {each.name: each for each in spec.outputs}
    return replace(
        spec,
        command=command,
        files=tuple(made[name] for name in sorted(made)),
        inputs=tuple(asked[name] for name in sorted(asked)),
        outputs=tuple(promised[name] for name in sorted(promised)),
    )


def _said(content: bytes) -> Any:
    """What a file says as JSON, without what is empty there; its content where it is none."""
    try:
        return _without_empty(json.loads(content))
    except (ValueError, RecursionError):
        return content


def _without_empty(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_without_empty(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    kept = {key: _without_empty(each) for key, each in plain.items()}
    return {
        k: each for k, each in kept.items() if each is not False and each not in (None, [], {})
    }


def output_folder(outputs: tuple[OutputSpec, ...], name: str) -> str:
    """Tell where the files of output `name` lie, relative to the output root `{output}`.

    A job with one output writes it into the root itself (""), so that a simple command needs
    only `{output}`; a job with several writes each into a folder of the output's name. The files
    of a task lie the same way under the root of that task. Raises `KeyError` for another name.
    """
    names = [each.name for each in outputs]
    if name not in names:
        raise KeyError(name)
    return "" if len(names) == 1 else name
