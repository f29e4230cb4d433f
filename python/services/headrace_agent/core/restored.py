"""What an agent does with the attempts on its node when it meets another Redis than before."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from headrace_model.work import Verb


@dataclass(frozen=True, slots=True)
class Seen:
    """The Redis that this node served last, and what was found when it took another's place.

    Runs are "<job>.<attempt>". `quarantined`: here, and unknown to Redis; nothing of them is
    removed before an admin says so. `gone`: Redis expects them to run or to be collected, and the
    node has them no more.
    """

    epoch: str
    quarantined: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


NEEDS_WHAT_WAS = frozenset({Verb.LAUNCH, Verb.COLLECT})


def compare(seen: Seen | None, epoch: str, here: Set[str], expected: Mapping[str, Verb]) -> Seen:
    """Compare what lies on the node with what Redis expects.

    What is on both sides goes on: it is adopted. A node that remembers no Redis is new or has
    lost its disk: it keeps nothing, and has nothing of what is expected.
    """
    if seen is not None and seen.epoch == epoch:
        return Seen(epoch, seen.quarantined & here, seen.gone & expected.keys())
    gone = {run for run, verb in expected.items() if verb in NEEDS_WHAT_WAS and run not in here}
    kept = here - expected.keys() if seen is not None else frozenset()
    return Seen(epoch, frozenset(kept), frozenset(gone))
