"""How well the exceedances of a threshold are met: a table of four counts, and what it says.

Wilks 2011, Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from headrace_evaluation.core.metrics import Array, Value, none


@dataclass(frozen=True, slots=True)
class Contingency:
    """Counts of steps at or above a threshold: in both, simulated only, observed only, neither."""

    hits: int
    false_alarms: int
    misses: int
    correct_negatives: int

    @property
    def pod(self) -> Value:
        """POD = hits / (hits + misses): the share of events that is found; 1 is perfect."""
        return _share(self.hits, self.hits + self.misses, "nothing observed reaches the threshold")

    @property
    def far(self) -> Value:
        """FAR = false alarms / (hits + false alarms), the ratio (not the rate); 0 is perfect."""
        return _share(
            self.false_alarms,
            self.hits + self.false_alarms,
            "nothing simulated reaches the threshold",
        )

    @property
    def csi(self) -> Value:
        """CSI = hits / (hits + misses + false alarms); 1 is perfect.

        Schaefer 1990, Weather and Forecasting 5, 570-575.
        """
        return _share(
            self.hits,
            self.hits + self.misses + self.false_alarms,
            "nothing reaches the threshold",
        )

    @property
    def frequency_bias(self) -> Value:
        """(hits + false alarms) / (hits + misses): 1 is perfect, above it too many events."""
        return _share(
            self.hits + self.false_alarms,
            self.hits + self.misses,
            "nothing observed reaches the threshold",
        )


def _share(part: int, whole: int, reason: str) -> Value:
    return Value(part / whole) if whole else none(reason)


def contingency(simulated: Array, observed: Array, threshold: float) -> Contingency:
    """Count the steps at or above `threshold` (finite, the unit of the values); shapes (n,)."""
    if not isfinite(threshold):
        raise ValueError("a threshold must be a finite number")
    s, o = simulated >= threshold, observed >= threshold
    return Contingency(
        int(np.count_nonzero(s & o)),
        int(np.count_nonzero(s & ~o)),
        int(np.count_nonzero(~s & o)),
        int(np.count_nonzero(~s & ~o)),
    )
