"""Which networks of attempts nobody needs any more."""

from collections.abc import Collection, Iterable

from headrace_model.service import AttemptNetwork, Service


def over(
    networks: Iterable[AttemptNetwork],
    services: Iterable[Service],
    owed: Collection[str],
    *,
    any_lost: bool,
) -> list[AttemptNetwork]:
    """Those to remove. `owed`: the attempts ("<job>.<attempt>") that some node still has a record
    of; `any_lost`: a node is out of reach, and may have workers of any of them.

    A network that is removed while a worker is in it stays on that worker's machine for ever: the
    engine there never tries again. A record goes when its node has removed its workers.
    """
    if any_lost:
        return []
    used = {service.name.rpartition("-")[0] for service in services}
    return [each for each in networks if each.run not in owed and each.name not in used]
