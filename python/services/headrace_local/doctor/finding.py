"""What the doctor found: one sentence a check, and how to mend it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    """It works, but something will be missed or go wrong soon."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `fix` is a command where there is one."""

    check: str
    level: Level
    says: str
    fix: str | None = None


def ok(check: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Level.OK, says)


def warn(check: str, says: str, fix: str | None) -> Finding:
    """It works for now."""
    return Finding(check, Level.WARN, says, fix)


def problem(check: str, says: str, fix: str | None) -> Finding:
    """It does not work."""
    return Finding(check, Level.PROBLEM, says, fix)
