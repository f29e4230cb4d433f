"""What a kind is: a pure function from a spec to what the services need to run it.

A further kind is one more file with a class that satisfies `Kind`, and its line in `registry.py`.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec, OutputSpec

# Names that mean something themselves, so no input, output or matrix axis may bear them.
RESERVED_NAMES = frozenset({"output", "index", "item", "environment", "secrets"})


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


class Kind(Protocol):
    """One kind of job. Its methods are pure."""

    @property
    def name(self) -> str:
        """The name as a job file writes it, words joined by dashes."""

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Tell all that keeps this kind from expanding a spec; empty when nothing does.

        Local paths among the inputs are not wrong: a client checks before it uploads.
        """

    def expand(self, spec: JobSpec, target: Target) -> Expansion:
        """Expand a spec that `check` accepts and whose inputs are all requirements."""

    def progress(self, spec: JobSpec) -> tuple[re.Pattern[str], ...]:
        """What tells how far a worker is, looked for in each line that it writes (`read_line`)."""


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
