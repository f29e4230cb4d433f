"""Runs a step of a derivation as a worker does, and detects what it made as an agent does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace_derivations.base import Derivation, Work
from headrace_formats.detect import Detection, detect_folder
from headrace_kinds.derivation import Step
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.requirement import Requirement, Shape


def wanted(
    category: Category, format: str, shape: Shape = Shape.EXACT, **domain: Any
) -> Requirement:
    """A requirement; the domain as job files have it."""
    return Requirement("wanted", category, format, Domain.from_plain(domain), shape)


def steps(derivation: Derivation, of: Requirement) -> list[Step]:
    """The ways to make what is wanted."""
    assert (of.category, of.format) in derivation.recipe.makes
    return list(derivation.recipe.steps(of))


def step_from(derivation: Derivation, of: Requirement, *formats: str) -> Step:
    """The first way that reads data of these formats."""
    found = steps(derivation, of)
    said = [tuple(need.format for need in step.inputs) for step in found]
    assert formats in said, said
    return found[said.index(formats)]


def run(
    derivation: Derivation,
    step: Step,
    output: Path,
    say: Callable[[str], None] = lambda _line: None,
    /,
    **inputs: Path,
) -> Detection:
    """Run a step, each input a folder by role."""
    assert {need.name for need in step.inputs} == inputs.keys()
    output.mkdir(parents=True)
    derivation.run(Work(inputs, output, step.parameters, say))
    return detect_folder(output)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
