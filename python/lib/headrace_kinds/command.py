"""The kind `command`: any command, in an image, in a software environment, or as it is."""

import hashlib
import re
from typing import Any, Final

from headrace_kinds.base import Expansion, Link, Target, WorkerTemplate, Wrong
from headrace_kinds.patterns import compile_pattern
from headrace_kinds.placeholders import check_template
from headrace_kinds.progress import PLAIN, USUAL
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import Environment, JobSpec

ENVIRONMENT_REQUIREMENT: Final = "environment"
ENVIRONMENT_FORMAT: Final = "PIP_LOCK"


def environment_key(pip: tuple[str, ...], python: str, platform: str) -> str:
    """Give the content key of a software environment: a SHA-256 in hex.

    The order and repetition of the lines don't matter: pip resolves them together.
    """
    lines = sorted({line.strip() for line in pip})
    text = "\n".join(("headrace environment 1", python, platform, *lines))
    return hashlib.sha256(text.encode()).hexdigest()


def environment_requirement(environment: Environment, target: Target) -> Requirement:
    """Give the implicit requirement for the lock list of a software environment."""
    key = environment_key(environment.pip, target.python, target.platform)
    return Requirement(
        name=ENVIRONMENT_REQUIREMENT,
        category=Category.CONFIG,
        format=ENVIRONMENT_FORMAT,
        domain=Domain.of({Index.DATA_ID: Discrete(frozenset({key}))}),
    )


def known_placeholders(spec: JobSpec) -> tuple[str, ...]:
    """Give the names that may stand in braces: `output`, each input, what a task differs in;
    `secrets`, the folder of the named ones, where the job names any; and `checkpoint`.
    """
    inputs = tuple(each.name for each in spec.inputs)
    secrets = ("secrets",) if spec.secrets else ()
    checkpoint = ("checkpoint",) if spec.checkpoint else ()
    return ("output", *secrets, *checkpoint, *inputs, *spec.array.placeholders)


class CommandKind:
    """Runs `command` once a share, with its placeholders filled in.

    Other kinds make such a job of their settings, and take from here what they share with it.
    """

    name = "command"
    summary = "any command, in an image, in a software environment, or as it is"
    settings: type[Any] | None = None
    programs: tuple[str, ...] = ()

    def complete(self, spec: JobSpec) -> JobSpec:
        """A command is complete as it is."""
        return spec

    def links(self, spec: JobSpec) -> tuple[Link, ...]:
        """None: it finds its inputs by their placeholders."""
        return ()

    def check(self, spec: JobSpec) -> tuple[Wrong, ...]:
        """Find an empty command, and placeholders that stand for nothing."""
        if not spec.command:
            return (Wrong("command", "this kind needs one, for example [python, run.py]"),)
        wrong = [] if spec.command[0] else [Wrong("command[0]", "the program to run is empty")]
        known = known_placeholders(spec)
        places = [(f"command[{at}]", each) for at, each in enumerate(spec.command)]
        places += [(f"env.{name}", value) for name, value in spec.env]
        for path, template in places:
            try:
                check_template(template, known)
            except InvalidSpec as error:
                wrong.append(Wrong(path, error.message))
        return tuple(wrong)

    def expand(self, spec: JobSpec, target: Target) -> Expansion:
        """Ask for the inputs as written, and for the environment when one is named."""
        implicit = (environment_requirement(spec.environment, target),) if spec.environment else ()
        return Expansion(
            requirements=spec.requirements + implicit,
            worker=WorkerTemplate(spec.command, spec.env),
            outputs=spec.outputs,
        )

    def progress(self, spec: JobSpec) -> tuple[re.Pattern[str], ...]:
        """What any command may write; and what the job file looks for, else what is usual."""
        own = (compile_pattern(spec.progress.pattern),) if spec.progress else USUAL
        return (*PLAIN, *own)
