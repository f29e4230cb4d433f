"""Planning derivations: a small search for the way in which missing data can be made.

The search goes backwards from what is wanted: each recipe says of what it would make it, each of
these is there or is planned in turn. The plan of the fewest steps is taken, then the one that
reads the fewest datasets, then the one whose recipe comes first: the choice depends on the
datasets and the recipes alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from headrace_kinds.derivation import Plan, Recipe, Step
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.requirement import Derived, Fulfilment, Requirement, Shape

Have = Callable[[Requirement], Fulfilment | None]
Source = tuple[Category, str | None]
_Question = tuple[Category, str | None, Domain, Shape, Derived | None]

MOST_STEPS: Final = 3  # from any dataset to what is wanted
_MOST_LOOKED_AT: Final = 200  # requirements in one search: a plug-in may name many


def planned(wanted: Requirement, recipes: Sequence[Recipe], have: Have) -> Plan | None:
    """Find the best plan for what `have` can't give; None: nothing makes it."""
    return _Search(recipes, have).plan(wanted, MOST_STEPS, ())


def sources_of(wanted: Requirement, recipes: Sequence[Recipe]) -> frozenset[Source]:
    """The categories and formats of all data that a plan for `wanted` may read."""
    found: set[Source] = set()
    level = [wanted]
    for _ in range(MOST_STEPS):
        steps = [step for each in level for step in steps_for(each, recipes)]
        needs = [need for step in steps for need in step.inputs]
        level = [each for each in needs if (each.category, each.format) not in found]
        found.update((each.category, each.format) for each in level[:_MOST_LOOKED_AT])
    return frozenset(found)


def steps_for(wanted: Requirement, recipes: Sequence[Recipe]) -> Iterator[Step]:
    """Every way to make what is wanted, whether or not what it reads is there."""
    for recipe in recipes:
        if recipe.fits(wanted):
            yield from recipe.steps(wanted)


class _Search:
    def __init__(self, recipes: Sequence[Recipe], have: Have) -> None:
        self._recipes = recipes
        self._have = have
        self._left = _MOST_LOOKED_AT
        self._known: dict[_Question, Fulfilment | None] = {}

    def plan(self, wanted: Requirement, depth: int, path: tuple[Requirement, ...]) -> Plan | None:
        best: Plan | None = None
        for step in steps_for(wanted, self._recipes):
            sources = self._sources(step, depth, (*path, wanted))
            if sources is None:
                continue
            found = Plan(wanted, step, sources)
            if best is None or found.cost < best.cost:
                best = found
        return best

    def _sources(
        self, step: Step, depth: int, path: tuple[Requirement, ...]
    ) -> tuple[Plan | Fulfilment, ...] | None:
        """What each input of a step is met by; None where one can't be."""
        found: list[Plan | Fulfilment] = []
        for need in step.inputs:
            # What is wanted further up leads nowhere.
            if _question(need) in map(_question, path):
                return None
            source = self._there(need) or (self.plan(need, depth - 1, path) if depth > 1 else None)
            if source is None:
                return None
            found.append(source)
        return tuple(found)

    def _there(self, need: Requirement) -> Fulfilment | None:
        """What is there for a requirement, looked for once; nothing after too many."""
        question = _question(need)
        if question not in self._known:
            self._left -= 1
            self._known[question] = self._have(need) if self._left >= 0 else None
        return self._known[question]


def _question(need: Requirement) -> _Question:
    return need.category, need.format, need.domain, need.shape, need.derived
