"""What is known of a machine: what scheduler and monitor say of it, and what its agent tells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_model.ids import check_name

MOST_LABELS: Final = 32
LABEL: Final = r"[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?"
LABEL_VALUE: Final = r"[A-Za-z0-9._/-]{1,63}"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LABEL = re.compile(LABEL)
_LABEL_VALUE = re.compile(LABEL_VALUE)


class NodeState(StrEnum):
    """Whether a node takes new attempts. Only a node that is UP has a line in the free ledger."""

    UP = "UP"
    FULL = "FULL"  # runs what it has, takes nothing new while its disk has too little room
    DRAINED = "DRAINED"  # runs what it has, takes nothing new; its owner said so
    LOST = "LOST"  # its lease stood still; its attempts are replaced


@dataclass(frozen=True, slots=True)
class Cached:
    """What a node's input cache holds; of datasets those that it holds whole."""

    size_bytes: int
    files: int
    datasets: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an agent tells of its machine beside the CPUs and memory that it offers."""

    backend: str
    engine: str  # version of the container engine; empty where workers are processes
    gpus: int
    disk_bytes: int  # of the file system that the state folder is on
    disk_free_bytes: int
    cached: Cached


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A machine that has no credentials asks for some. Raises `InvalidInput`.

    `member`: its id in the swarm; `sha256`: of the password that it made for itself (hex).
    """

    node: str
    member: str
    sha256: str

    def __post_init__(self) -> None:
        check_name(self.node, "node")
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidInput("a request to join has no SHA-256 of a password")


def check_labels(labels: Mapping[str, str]) -> None:
    """Check a stranger's labels; raises `InvalidInput`."""
    for name, value in labels.items():
        check_label(name)
        check_label_value(value, f"the label {name}")


def check_label_value(value: str, of: str = "a label") -> str:
    """Check the value of a label; raises `InvalidInput`."""
    if not _LABEL_VALUE.fullmatch(value):
        raise InvalidInput(
            f"{value[:80]!r} can't be the value of {of}: use 1 to 63 letters, "
            "digits, '.', '_', '/' and '-'"
        )
    return value


def check_label(name: str) -> str:
    """Check the name of a label; raises `InvalidInput`."""
    if not _LABEL.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} can't be the name of a label: use 1 to 63 lower-case letters, digits, "
            "'.', '_', '/' and '-', beginning and ending with a letter or digit"
        )
    return name
