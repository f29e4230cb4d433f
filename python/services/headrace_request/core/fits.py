"""Whether a job could ever be placed: on the nodes that are known, as far as they may be used."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace_model.bounds import Bounds
from headrace_model.errors import InvalidSpec, NeverFits
from headrace_model.fit import never_fits
from headrace_model.ids import NodeId
from headrace_model.job import Ask
from headrace_model.nearest import did_you_mean
from headrace_model.resources import Resources
from headrace_request.core.accept import without_backend


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node that was not removed, whatever its state: it may come back."""

    id: NodeId
    capacity: Resources
    backends: frozenset[str]


def refuse_unplaceable(ask: Ask, nodes: Sequence[KnownNode], bounds: Bounds | None) -> None:
    """Raise `InvalidSpec` for a pool that there is not, `NeverFits` for what no nodes could hold.

    `bounds`: what an admin lets be used; None: nobody has told yet, so only the nodes count.
    """
    known = bounds or Bounds()
    of_pool = ""
    if ask.pool is not None and bounds is not None:
        if ask.pool not in known.pools:
            hint = did_you_mean(ask.pool, known.pools)
            raise InvalidSpec(
                f"there is no pool {ask.pool!r}",
                path="resources.pool",
                hint=hint if known.pools else "no pools are named here: leave it out",
            )
        nodes = [node for node in nodes if node.id in known.pools[ask.pool]]
        of_pool = f" of the pool {ask.pool!r}"
    usable = [(known.usable(node.id, node.capacity), node.backends) for node in nodes]
    refusal = never_fits(ask.resources, ask.cut, ask.backend, usable, of_pool)
    if refusal is None:
        return
    whole = [(node.capacity, node.backends) for node in nodes]
    if not any(ask.backend in backends for _, backends in whole):
        hint = without_backend(ask)
    elif never_fits(ask.resources, ask.cut, ask.backend, whole) is None:
        hint = "ask for less in `resources`; or an admin lets more be used (resources.yaml)"
    else:
        hint = "ask for less in `resources`, or join a node that has it"
    raise NeverFits(refusal.sentence, hint=hint)
