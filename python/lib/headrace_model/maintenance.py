"""Maintenance: an admin keeps new work away while what runs is finished."""

from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput

LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Maintenance:
    """That nothing new is taken or started: since when (ISO 8601), by whose word, and why."""

    since: str
    by: str
    why: str

    @property
    def sentence(self) -> str:
        """What somebody reads whose job is not taken or not started."""
        reason = f": {self.why}" if self.why else ""
        return f"Headrace is in maintenance since {self.since}, by {self.by}{reason}"


def check_reason(text: str) -> str:
    """Check why there is maintenance: one line, perhaps empty. Raises `InvalidInput`."""
    if len(text) > LONGEST_REASON or not text.isprintable():
        raise InvalidInput(f"the reason is one line of at most {LONGEST_REASON} characters")
    return text.strip()
