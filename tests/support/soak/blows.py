"""Which faults a seed brings, and when."""

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from headrace_local import processes
from tests.support.faults import VICTIMS, Kill, Pause
from tests.support.soak.stores import FullStore, Store, StoreKill
from tests.support.stack import Stack

_WEIGHTS = {"nest": 1, "all": 2}  # of all other victims 3


@dataclass(frozen=True, slots=True)
class PowerCut:
    """SIGKILL to Redis, every service, the nest and all workers, as when the machine went down."""

    victim: str = "machine"

    def strike(self, stack: Stack) -> None:
        """Kill everything that belongs to the home."""
        stack.kill9(*Stack.names)
        for worker in processes.find_workers(stack.home.attempts):
            worker.signal(signal.SIGKILL)

    def heal(self, stack: Stack) -> None:
        """Nothing: the stack starts again what died."""


Fault = Kill | Pause | PowerCut | FullStore | StoreKill


@dataclass(frozen=True, slots=True)
class Blow:
    """Some faults at once, after a pause and for a while."""

    after_s: float
    faults: tuple[Fault, ...]
    lasts_s: float
    measured: bool  # the next blow waits until the work goes on


def blows(seed: str, *, node_lost_s: float, lease_s: float, store: Store) -> Iterator[Blow]:
    """The blows of a seed, for ever the same."""
    chance = random.Random(f"{seed} blows")  # noqa: S311 - of a test
    weights = [_WEIGHTS.get(victim, 3) for victim in VICTIMS]
    while True:
        after_s = chance.choice((0.0, 0.1, 0.5, 1.0, 2.0)) * chance.random()
        (victim,) = chance.choices(VICTIMS, weights)
        other = chance.choice(VICTIMS)
        dice, lasts_s = chance.random(), chance.uniform(0.1, 1.5 * lease_s)
        if dice < 0.45:
            yield Blow(after_s, (Kill(victim),), 0.0, True)
        elif dice < 0.55:
            yield Blow(after_s, (Kill(victim),), 0.0, False)
        elif dice < 0.75:
            # An agent that stands still for so long is lost, and comes back; without a Redis for
            # so long it ends its exclusive workers.
            long = victim in ("agent", "redis") and chance.random() < 0.4
            yield Blow(after_s, (Pause(victim),), 1.3 * node_lost_s if long else lasts_s, False)
        elif dice < 0.9:
            faults = (Pause(victim), Kill(other)) if victim != "all" else (Kill("all"),)
            yield Blow(after_s, faults, lasts_s, False)
        elif dice < 0.94:
            yield Blow(after_s, (PowerCut(),), 0.0, True)
        elif store.fault:
            yield Blow(after_s, (store.fault,), lasts_s, False)
