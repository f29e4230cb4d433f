"""The derivations that this Headrace knows, in the order in which they are tried.

Those of third parties (entry points of the group `headrace.derivations`, each a
`base.Derivation`) come after the built-in ones, by name.
"""

from functools import cache
from typing import Final

from headrace_derivations import (
    bmi_forcing,
    bmi_init,
    composite,
    forcing,
    hydrofabric,
    ngen_output,
    ngen_run,
    realization,
)
from headrace_derivations.base import GROUP, Derivation, DerivationFailed
from headrace_model.nearest import did_you_mean
from headrace_model.plugins import loaded

BUILT_IN: Final = (
    forcing.DERIVATION,
    hydrofabric.DERIVATION,
    ngen_output.UNPACK,
    ngen_output.PACK,
    ngen_output.PART,
    realization.DERIVATION,
    bmi_init.DERIVATION,
    bmi_forcing.DERIVATION,
    composite.DERIVATION,
    ngen_run.DERIVATION,
)


@cache
def all_derivations() -> tuple[Derivation, ...]:
    """Return every derivation, in order; raises `DerivationFailed` for a plug-in of no use."""
    found = list(BUILT_IN)
    for title, plugin in loaded(GROUP, Derivation, "derivation", DerivationFailed):
        name = plugin.recipe.name
        if name in {each.recipe.name for each in found}:
            raise DerivationFailed(f"{title}: there is a derivation {name} already")
        found.append(plugin)
    return tuple(found)


def derivation_named(name: str) -> Derivation:
    """Find a derivation; raises `DerivationFailed` for an unknown one, naming the nearest."""
    by_name = {each.recipe.name: each for each in all_derivations()}
    if name not in by_name:
        near = did_you_mean(name, by_name)
        raise DerivationFailed(f"{name[:80]!r} is no known derivation; {near}")
    return by_name[name]
