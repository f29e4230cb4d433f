"""The recipes that plans are made of; one of a third party can't stop the data check."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from headrace_derivations.registry import all_derivations
from headrace_kinds.derivation import Recipe, Step
from headrace_model.requirement import Requirement
from headrace_service.logs import logger

_MOST_STEPS: Final = 64  # that one recipe may name for one requirement


def all_recipes() -> tuple[Recipe, ...]:
    """Those of all derivations; raises `DerivationFailed` for a plug-in of no use."""
    return tuple(guarded(each.recipe) for each in all_derivations())


def guarded(recipe: Recipe) -> Recipe:
    """The same recipe; where it raises, it names no way, and the log tells."""

    def steps(wanted: Requirement) -> Iterator[Step]:
        try:
            yield from list(islice(recipe.steps(wanted), _MOST_STEPS))
        except Exception as error:  # a stranger's code may raise anything
            logger("data").error(f"the recipe {recipe.name} failed: {error!r}", action="plan")

    return replace(recipe, steps=steps)
