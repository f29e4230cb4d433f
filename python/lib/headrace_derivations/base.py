"""What a derivation is: a recipe, by which the data service plans, and the code of a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_kinds.derivation import Recipe
from headrace_model.errors import InvalidInput

GROUP: Final = "headrace.derivations"


class DerivationFailed(InvalidInput):
    """The data can't be derived: what of the input is to blame, and why."""

    code = "DERIVATION_FAILED"


@dataclass(frozen=True, slots=True)
class Work:
    """One step as it runs.

    `inputs`: the folder of each role; of a union it holds a folder a dataset. `output`: the
    empty folder to write to. `parameters`: what the recipe said. `say` tells people a line.
    """

    inputs: Mapping[str, Path]
    output: Path
    parameters: Mapping[str, Any]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Derivation:
    """A derivation. Third parties add one by an entry point of the group `headrace.derivations`.

    The recipe is read by the data service, so its module imports nothing heavy; `run` runs in a
    worker, under the limits of one, imports what it needs, and raises `DerivationFailed` or
    `FormatError` with a sentence for people. What it writes depends on its inputs and parameters
    alone.
    """

    recipe: Recipe
    run: Callable[[Work], None]


def files_below(folder: Path) -> list[Path]:
    """All regular files below a folder, in the order of their paths; symlinks are left out."""
    return sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
