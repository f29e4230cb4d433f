"""The kinds that this Headrace knows, by name.

Those of third parties (entry points of the group `headrace.kinds`, each an object that satisfies
`base.Kind`) come after the built-in ones; they are looked at only where no built-in one is meant.
"""

from functools import cache
from typing import Any, Final

from headrace_kinds.base import Kind
from headrace_kinds.bmi import BmiKind
from headrace_kinds.calibration import CalibrationKind
from headrace_kinds.command import CommandKind
from headrace_kinds.evaluation import EvaluationKind
from headrace_kinds.ngen import NgenKind
from headrace_kinds.ngen_cal import NgenCalKind
from headrace_kinds.partition import PartitionKind
from headrace_model.errors import InvalidSpec
from headrace_model.nearest import did_you_mean
from headrace_model.plugins import loaded

GROUP: Final = "headrace.kinds"


def _named(name: str) -> Kind:
    """The kind of a job inside another one's settings; `kind_named` is not there yet."""
    return kind_named(name)


_BUILT_IN: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        CommandKind(),
        BmiKind(),
        CalibrationKind(_named),
        EvaluationKind(),
        NgenKind(),
        NgenCalKind(_named),
        PartitionKind(),
    )
}
BUILT_IN_NAMES: Final = tuple(sorted(_BUILT_IN))


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name, in order; raises `InvalidSpec` for a plug-in of no use."""
    found = dict(_BUILT_IN)
    of: Any = Kind  # a protocol, of whose members `loaded` asks
    for title, plugin in loaded(GROUP, of, "kind", InvalidSpec):
        if plugin.name in found:
            raise InvalidSpec(f"{title}: there is a kind {plugin.name} already")
        found[plugin.name] = plugin
    return dict(sorted(found.items()))


def kind_named(name: str) -> Kind:
    """Find a kind; dashes and underscores are alike. Raises `InvalidSpec` for an unknown one."""
    dashed = name.replace("_", "-")
    kind = _BUILT_IN.get(dashed) or all_kinds().get(dashed)
    if kind is None:
        raise InvalidSpec(f"{name[:80]!r} is not a kind; {did_you_mean(name, all_kinds())}")
    return kind
