"""Ranges that hold what they promise: widened by how far earlier ones were off.

What a forecast can't know (that people ask for far more time than their jobs take, that others
come) makes its range hold less than it says. So the errors of the newest ranges that were told are
kept, and the next ones are moved by them: each end by the error of rank ⌈0.9 (n+1)⌉ of n, so that
it is passed in 1 of 10 cases, whatever the errors come from, as long as the next one is
exchangeable with them (conformalized quantile regression, with a level for each end: Romano,
Patterson, Candès, NeurIPS 2019, section 4 and theorem 2). Errors count in parts of the wait that
was told, so that those of short and of long waits are of one kind.

A job that still waits past its range counts with what it is late by now; else only early starts
would be known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from headrace_model.ids import JobId
from headrace_scheduler.core.forecast import Start

KEPT: Final = 100
"""Most errors that are kept; older ones tell of other times."""
_LEAST: Final = 9  # errors: the one of rank 0.9 (n+1) is there
_MOST_TOLD: Final = 1_000  # jobs whose start is still to come


@dataclass(frozen=True, slots=True)
class _Told:
    at_ms: int  # when it was told
    start: Start


class Calibration:
    """The errors of one teller of ranges."""

    def __init__(self) -> None:
        self._told: dict[JobId, _Told] = {}
        self._early: list[float] = []
        self._late: list[float] = []

    def tell(self, starts: Mapping[JobId, Start], now_ms: int) -> None:
        """Note the starts, as `forecast` made them, of jobs that wait; the first counts."""
        for id, start in starts.items():
            if len(self._told) >= _MOST_TOLD:
                return
            if id not in self._told and start.at_ms > now_ms:
                self._told[id] = _Told(now_ms, start)

    def saw(self, waiting: Iterable[JobId], started: Mapping[JobId, int | None]) -> None:
        """Take in what has become of them: who waits still, and when who runs started."""
        waiting = set(waiting)
        for id in [each for each in self._told if each not in waiting]:
            told = self._told.pop(id)
            real_ms = started.get(id)
            if real_ms is not None:
                early, late = _errors(told, real_ms)
                self._early.append(early)
                self._late.append(late)
        del self._early[:-KEPT], self._late[:-KEPT]

    def widened(self, starts: Mapping[JobId, Start], now_ms: int) -> dict[JobId, Start]:
        """The same starts with ranges by the errors until now."""
        overdue = [
            _errors(told, now_ms)[1] for told in self._told.values() if now_ms > told.start.high_ms
        ]
        early = _passed_by_a_tenth(self._early)
        late = _passed_by_a_tenth([*self._late, *overdue])
        return {id: _moved(start, now_ms, early, late) for id, start in starts.items()}


def _errors(told: _Told, real_ms: int) -> tuple[float, float]:
    """How much before the range it started, and how much after it, in parts of the wait."""
    wait_ms = max(told.start.at_ms - told.at_ms, 1)
    return (told.start.low_ms - real_ms) / wait_ms, (real_ms - told.start.high_ms) / wait_ms


def _passed_by_a_tenth(errors: list[float]) -> float:
    """The error of rank ⌈0.9 (n+1)⌉; with too few of them for that the greatest, if it is one."""
    if len(errors) < _LEAST:
        return max((0.0, *errors))
    return sorted(errors)[-(-(len(errors) + 1) * 9 // 10) - 1]


def _moved(start: Start, now_ms: int, early: float, late: float) -> Start:
    wait_ms = start.at_ms - now_ms
    if wait_ms <= 0:
        return start
    low_ms = min(max(start.low_ms - int(early * wait_ms), now_ms), start.at_ms)
    high_ms = max(start.high_ms + int(late * wait_ms), start.at_ms)
    return replace(start, low_ms=low_ms, high_ms=high_ms)
