"""What jobs of earlier versions say otherwise, read as it is said now."""

from dataclasses import replace
from typing import Any, Final

from headrace_kinds.ngen_run import CATEGORIES, NAME, RUN_CONFIG
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import Derived, Requirement

_FLAGS: Final = ("netcdf", "routing", "doubtful")


def renewed(wanted: Requirement) -> Requirement:
    """A requirement as it is written now.

    What a run of ngen was made of stood in COMPOSITE_SOURCE_ID, in words such as
    `forcing/DATA_ID/aorc-2015` and `run/routing/true`.
    """
    words = wanted.domain.get(Index.COMPOSITE_SOURCE_ID)
    if wanted.format != RUN_CONFIG or not isinstance(words, Discrete):
        return wanted
    settings: dict[str, Any] = {}
    for word in sorted(words.values):
        part, key, value = (*word.split("/", 2), "", "")[:3]
        if part == "run" and key not in CATEGORIES:
            settings[key] = key in _FLAGS or value
            continue
        if part not in CATEGORIES:
            return wanted
        of = settings.setdefault(part, {})
        if key in of:  # a second name: they are a list, as in a domain
            before = of[key] if isinstance(of[key], list) else [of[key]]
            of[key] = [*before, value]
        else:
            of[key] = value
    others = (each for each in wanted.domain.restrictions if each[1] is not words)
    return replace(wanted, domain=Domain(tuple(others)), derived=Derived(NAME, settings))
