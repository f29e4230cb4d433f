"""What the admin of a simulated cluster has and says: pieces, labels, windows, quotas."""

from dataclasses import dataclass
from random import Random

import yaml

from headrace_model.bounds import Policy
from headrace_model.times import Instant, format_instant
from tests.support.simulation.ledger import Rules
from tests.support.simulation.loop import BEGIN_S

LICENCE = "licence_x"
LABEL = ("disk", "ssd")
NODE_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster as it is ordered. `gpus`, `licences`: of each node; `labelled`: nodes of `LABEL`.

    `resources`: resources.yaml, empty: there is none.
    """

    nodes: tuple[str, ...]
    cpus: int
    gpus: int
    licences: int
    labelled: tuple[str, ...]
    resources: str
    rules: Rules


def site_of(chance: Random) -> Site:
    """Draw one."""
    nodes = tuple(f"node{number}" for number in range(1, chance.randint(1, 3) + 1))
    cpus = chance.randint(2, 4)
    gpus = chance.choice((0, 0, 1, 2))
    licences = chance.choice((0, 0, 1, 2))
    labelled = nodes[: chance.randint(1, len(nodes))] if chance.random() < 0.5 else ()
    windows = ()
    if chance.random() < 0.2:
        # One that began long ago nobody may have been late for.
        begin = -100.0 if chance.random() < 0.5 else chance.uniform(5.0, 30.0)
        until = max(begin, 0.0) + chance.uniform(15.0, 60.0)
        windows = ((chance.choice(nodes), _at_ms(begin), _at_ms(until)),)
    quotas = {}
    if chance.random() < 0.3:
        most = {
            "cpus": cpus * 1000 * chance.randint(1, len(nodes)),
            "memory": NODE_BYTES * chance.randint(1, len(nodes)),
            "jobs": chance.randint(1, 3),
        }
        quotas = {what: most[what] for what in sorted(most) if chance.random() < 0.6}
    said: dict[str, object] = {}
    if licences:
        said["nodes"] = {node: {"generic": {LICENCE: licences}} for node in nodes}
    if windows:
        said["maintenance"] = [
            {"nodes": [node], "from": _told(begin), "until": _told(until), "why": "new disks"}
            for node, begin, until in windows
        ]
    if said or chance.random() < 0.3:
        said["policy"] = str(chance.choice(list(Policy)))
    pieces = dict.fromkeys(nodes, ((LICENCE, licences),)) if licences else {}
    rules = Rules(pieces, windows, quotas)
    text = yaml.safe_dump(said) if said else ""
    return Site(nodes, cpus, gpus, licences, labelled, text, rules)


def _at_ms(after_s: float) -> int:
    return int((BEGIN_S + after_s) * 1000)


def _told(at_ms: int) -> str:
    return format_instant(Instant(at_ms))
