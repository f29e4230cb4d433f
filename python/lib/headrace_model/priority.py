"""Priorities and their classes, and what they mean for the order of the queue.

A job's rank is the time from which on it could have started, later by what it was held since, and
earlier by `WEIGHT_MS` for each point of priority: an hour a point. So a job of a higher class
passes those that are not much older, and waiting makes up for any priority in the end: nothing
that comes late enough goes before a job that waits.
`rank_of` of `_prelude.lua` says the same.
"""

from typing import Final

WEIGHT_MS: Final = 3_600_000
CLASSES: Final = {"low": 25, "normal": 50, "high": 75, "urgent": 100}
DEFAULT_PRIORITY: Final = CLASSES["normal"]
MOST_PRIORITY: Final = 100
MOST_OF_USERS: Final = CLASSES["high"]
"""More is for admins alone."""


def rank_of(eligible_ms: int, priority: int) -> float:
    """The place of a job in the queue but for the share of its owner; the lower starts first."""
    return float(eligible_ms - priority * WEIGHT_MS)


def class_of(priority: int) -> str:
    """The class of a priority: the highest that it reaches; below the lowest that one."""
    reached = [name for name, least in CLASSES.items() if priority >= least]
    return reached[-1] if reached else next(iter(CLASSES))
