"""Whether a job could ever be placed: on the nodes that are known, as far as they may be used."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace_model.bounds import Bounds
from headrace_model.errors import Conflict, HeadraceError, InvalidSpec, NeverFits
from headrace_model.fit import never_fits
from headrace_model.ids import NodeId
from headrace_model.job import Ask
from headrace_model.nearest import did_you_mean
from headrace_model.people import User, named_as
from headrace_model.quota import RunLimit, What
from headrace_model.resources import Resources
from headrace_request.core.accept import without_backend


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node that was not removed, whatever its state: it may come back."""

    id: NodeId
    capacity: Resources
    backends: frozenset[str]


def could_never_start(error: HeadraceError) -> bool:
    """Tell whether what a submit is refused for is that the job could never start: nodes, quotas,
    a pool or a deadline are in the way, or a job in `after` that will not complete."""
    named = isinstance(error, InvalidSpec) and error.path in ("resources.pool", "deadline")
    return named or isinstance(error, NeverFits | Conflict)


def refuse_over_quota(ask: Ask, user: User, limits: Iterable[RunLimit]) -> None:
    """Raise `NeverFits` for what asks for more than a quota lets its owner use at all."""
    mine = named_as(user.name, user.groups)
    for limit in limits:
        need = limit.needs(ask.resources, ask.time_ms)
        if limit.who in mine and need > limit.limit:
            how = ""
            if limit.what is What.CPU_HOURS:
                how = " (by `limits.time`)" if ask.time_ms else " (a day's, without `limits.time`)"
            kind, _, name = limit.who.partition(":")
            raise NeverFits(
                f"the job asks {limit.amount_text(need)}{how}, and {limit.whose} may use "
                f"{limit.text} (a quota)",
                hint="ask for less; or an admin raises the quota "
                f"(`headrace {kind}s change {name} --quota …`)",
            )


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
