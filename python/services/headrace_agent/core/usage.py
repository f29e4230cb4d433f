"""Counters that go on: what a worker has used, over the ends of those who count it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from headrace_model.usage import Sample

_COUNTERS: Final = ("cpu_ms", "read_bytes", "written_bytes", "received_bytes", "sent_bytes")


@dataclass(frozen=True, slots=True)
class Counted:
    """The last sample of a worker that was kept, and what its counters had before they began
    anew."""

    last: Sample | None = None
    before: Mapping[str, int] = field(default_factory=dict)

    def next(self, seen: Sample) -> "Counted":
        """With `seen` as the last sample; unchanged where that is no newer.

        A counter that has fallen began anew, since who counts has died. It goes on from where it
        was: what was used in between is lost, and nothing is counted twice.
        """
        if self.last is not None and seen.at_ms <= self.last.at_ms:
            return self
        before = dict(self.before)
        kept: dict[str, Any] = {}
        for name in _COUNTERS:
            value = getattr(seen, name)
            if value is not None:
                reached = (getattr(self.last, name) if self.last else None) or 0
                before[name] = max(before.get(name, 0), reached - value)
                value += before[name]
            kept[name] = value
        return Counted(replace(seen, **kept), before)
