"""Fair share: who has used much of late waits longer, in bounded measure.

Use is CPU time (millicpus * ms that an attempt held). It fades: of what was used a week ago half
counts. The part of an owner is theirs of what all have used; that of a group is its members'
together, and who is in several groups is in the one that has used most. The jobs of an owner go
back by half of `MOST_SHIFT_MS` times each of the two parts, so that neither a busy user nor a busy
group keeps others waiting; who is in no group counts as a group of one.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
HALF_LIFE_DAYS: Final = 7
COUNTED_DAYS: Final = 70
"""After ten half-lives nothing is left that would matter."""

MOST_SHIFT_MS: Final = DAY_MS
"""Less than one class of priority is worth (25 hours)."""


def day_of(now_ms: int) -> str:
    """The day (UTC) of a time, as `hr:used:<day>` names it."""
    return datetime.fromtimestamp(now_ms // 1000, UTC).date().isoformat()


def last_days(now_ms: int, count: int = COUNTED_DAYS) -> list[str]:
    """The last days, today first."""
    today = datetime.fromtimestamp(now_ms // 1000, UTC).date()
    return [(today - timedelta(days=ago)).isoformat() for ago in range(count)]


def faded(days: Mapping[str, Mapping[str, int]], now_ms: int) -> dict[str, float]:
    """What is left of the use of each owner; `days`: day → owner → use.

    The use of a day fades from its end on, so that today's counts in full.
    """
    found: dict[str, float] = {}
    for day, used in days.items():
        end_ms = (date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY_MS
        left = 0.5 ** (max(now_ms - end_ms, 0) / DAY_MS / HALF_LIFE_DAYS)
        for owner, use in used.items():
            found[owner] = found.get(owner, 0.0) + use * left
    return found


def parts(
    used: Mapping[str, float], groups: Mapping[str, Iterable[str]]
) -> dict[str, tuple[float, float]]:
    """What part of all use is each owner's, and what part their group's (0 to 1 each).

    `groups`: of every owner who is asked about or has used something.
    """
    total = sum(used.values())
    if total <= 0:
        return {}
    of_groups: dict[str, float] = {}
    for owner, use in used.items():
        for group in set(groups.get(owner, ())):
            of_groups[group] = of_groups.get(group, 0.0) + use
    return {
        owner: (
            (own := used.get(owner, 0.0)) / total,
            max((of_groups.get(group, 0.0) for group in groups.get(owner, ())), default=own)
            / total,
        )
        for owner in {*used, *groups}
    }


def shift_ms(own: float, of_group: float) -> int:
    """How far back jobs go for these parts: 0 to `MOST_SHIFT_MS`, in whole minutes, so that a long
    queue is put in order anew only where something has changed.
    """
    shift = MOST_SHIFT_MS / 2 * (min(own, 1.0) + min(of_group, 1.0))
    return int(shift // MINUTE_MS) * MINUTE_MS


def shifts(used: Mapping[str, float], groups: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """How far back the jobs of each owner go (ms)."""
    return {owner: shift_ms(*each) for owner, each in parts(used, groups).items()}
