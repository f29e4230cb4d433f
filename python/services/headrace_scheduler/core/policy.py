"""What a policy lets jobs do that stand behind one which has no room."""

from dataclasses import dataclass
from typing import Final, assert_never

from headrace_model.bounds import Policy

# What a conservative plan looks ahead; jobs behind so many start only if they delay none of them,
# as ever. It looks no further either after so much work (`Profile.work`), which takes less than a
# second of CPU: the leader renews its lease of some seconds between plans.
MOST_RESERVATIONS: Final = 50
MOST_WORK: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """`passing`: whether a job may start before one that is ahead of it and blocked, as long as
    it delays none of those that have a reservation; `reservations`: how many of a plan get one."""

    passing: bool
    reservations: int


def rule_of(policy: Policy) -> Rule:
    """The one place where policies differ."""
    match policy:
        case Policy.FIFO:
            return Rule(passing=False, reservations=1)
        case Policy.EASY:
            return Rule(passing=True, reservations=1)
        case Policy.CONSERVATIVE:
            return Rule(passing=True, reservations=MOST_RESERVATIONS)
        case _:
            assert_never(policy)
