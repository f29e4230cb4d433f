"""Token buckets: how often somebody may ask, decided from what was taken before."""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil

_MOST_KEPT = 10_000
_ROUNDED = 1e-9  # who waits as told must not miss the request by what floats round


@dataclass(slots=True)
class Throttle:
    """A bucket a key: `burst` requests at once, `per_s` more each second.

    Times are seconds of any clock that never goes back. Of more than 10,000 keys those that asked
    longest ago are forgotten: they begin anew with a full bucket.
    """

    per_s: float
    burst: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, key: str, now_s: float) -> int:
        """Whole seconds until the next request is welcome; 0: now. Takes nothing."""
        missing = 1.0 - self._level(key, now_s)
        return ceil(missing / self.per_s) if missing > _ROUNDED else 0

    def take(self, key: str, now_s: float) -> int:
        """Take one request; returns 0, or the whole seconds to wait where there is none left."""
        if wait := self.wait_s(key, now_s):
            return wait
        self._buckets[key] = (now_s, self._level(key, now_s) - 1.0)
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MOST_KEPT:
            self._buckets.popitem(last=False)
        return 0

    def give_back(self, key: str) -> None:
        """Undo one `take`: what it stood for turned out well."""
        if known := self._buckets.get(key):
            since_s, level = known
            self._buckets[key] = (since_s, min(self.burst, level + 1.0))

    def _level(self, key: str, now_s: float) -> float:
        known = self._buckets.get(key)
        if known is None:
            return self.burst
        since_s, level = known
        return min(self.burst, level + (now_s - since_s) * self.per_s)
