"""Fair share in a simulation: what each user has used, by day, and how far back their jobs go."""

from collections.abc import Mapping

from headrace_model.share import day_of, faded, last_days, shifts

_LOOK_EVERY_MS = 60_000


class Shares:
    """CPU time by day and user, as share comes back; shifts are made anew each minute."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, int]] = {}
        self._shifts: Mapping[str, int] = {}
        self._made_ms: int | None = None

    def note(self, user: str, millicpus: int, held_ms: int, now_ms: int) -> None:
        """Count what comes back now."""
        used = self._days.setdefault(day_of(now_ms), {})
        used[user] = used.get(user, 0) + millicpus * held_ms

    def shifts(self, now_ms: int) -> Mapping[str, int]:
        """How far back the jobs of each user are; the same object as long as nothing changed."""
        if self._made_ms is None or now_ms - self._made_ms >= _LOOK_EVERY_MS:
            days = {day: self._days[day] for day in last_days(now_ms) if day in self._days}
            found = shifts(faded(days, now_ms), {})
            self._made_ms = now_ms
            self._days = days
            if found != self._shifts:
                self._shifts = found
        return self._shifts
