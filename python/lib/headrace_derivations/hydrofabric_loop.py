"""Refuses a hydrofabric whose water flows in a circle somewhere: no run of it would be right."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from headrace_derivations.base import DerivationFailed
from headrace_model.drainage import loops, loops_text

if TYPE_CHECKING:
    from headrace_derivations.hydrofabric_network import Network


def check_loops(network: "Network", among: Collection[str] | None = None) -> None:
    """Refuse a fabric with a loop, or one among some catchments; raises `DerivationFailed`."""
    catchments = network.catchments
    if among is not None:
        catchments = {id_: catchments[id_] for id_ in among}
    if found := loops(catchments, network.nexuses):
        message, hint = loops_text(found)
        raise DerivationFailed(message, hint=hint)
