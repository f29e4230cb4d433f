"""What a policy lets jobs do that stand behind one which has no room."""

from dataclasses import dataclass
from typing import assert_never

from headrace_model.bounds import Policy


@dataclass(frozen=True, slots=True)
class Rule:
    """`passing`: whether a job may start before one that is ahead of it and blocked, as long as
    it delays none that has a reservation."""

    passing: bool


def rule_of(policy: Policy) -> Rule:
    """The one place where policies differ."""
    match policy:
        case Policy.FIFO:
            return Rule(passing=False)
        case Policy.EASY:
            return Rule(passing=True)
        case _:
            assert_never(policy)
