"""What the scheduler and the monitor say about a machine."""

from enum import StrEnum


class NodeState(StrEnum):
    """Whether a node takes new attempts. Only a node that is UP has a line in the free ledger."""

    UP = "UP"
    DRAINED = "DRAINED"  # runs what it has, takes nothing new; its owner said so
    LOST = "LOST"  # its lease stood still; its attempts are replaced
