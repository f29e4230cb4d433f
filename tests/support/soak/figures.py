"""What a soak counts, and the one table that tells it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil


class Harm(StrEnum):
    """What must never happen; each finding is one of them."""

    LOST = "lost"  # accepted and not kept, or not brought to the end that it must have
    DOUBLED = "doubled"  # counted, told or alive twice
    LEAKED = "leaked"  # something is left that nobody owns
    BROKEN = "broken"  # a promise of docs/design.md that is none of the above


@dataclass(slots=True)
class Figures:
    """Of one seed, or of several after `add`."""

    seeds: int = 0
    seconds: float = 0.0
    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)  # (errand, end)
    attempts: int = 0
    blows: Counter[tuple[str, str]] = field(default_factory=Counter)  # (fault, victim)
    recovery_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    samples: int = 0
    events: int = 0
    harms: list[tuple[Harm, str]] = field(default_factory=list)

    def harm(self, harm: Harm, sentence: str) -> None:
        """Note a finding, once."""
        if (harm, sentence) not in self.harms:
            self.harms.append((harm, sentence))

    def add(self, other: "Figures") -> None:
        """Take another seed's figures in."""
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.jobs += other.jobs
        self.attempts += other.attempts
        self.blows += other.blows
        for victim, times in other.recovery_s.items():
            self.recovery_s[victim] += times
        self.samples += other.samples
        self.events += other.events
        self.harms += other.harms

    def lines(self) -> list[str]:
        """The table as text."""
        found = Counter(harm for harm, _ in self.harms)
        head = (
            f"{self.seeds} seeds, {self.seconds / 60:.1f} minutes, {self.jobs.total()} jobs in "
            f"{self.attempts} attempts, {self.blows.total()} faults, {self.samples} samples, "
            f"{self.events} events followed"
        )
        harms = ", ".join(f"{harm} {found[harm]}" for harm in Harm)
        return [head, harms, *self._of_jobs(), *self._of_blows(), *self._of_recovery()]

    def _of_jobs(self) -> list[str]:
        ends = sorted({end for _, end in self.jobs})
        widths = [max(len(end), 6) for end in ends]
        rows = [_row("jobs", ends, widths)]
        for errand in sorted({errand for errand, _ in self.jobs}):
            numbers = [str(self.jobs[errand, end] or "") for end in ends]
            rows.append(_row(errand, numbers, widths))
        return ["", *rows]

    def _of_blows(self) -> list[str]:
        faults = sorted({fault for fault, _ in self.blows})
        widths = [max(len(fault), 6) for fault in faults]
        rows = [_row("faults", faults, widths)]
        for victim in sorted({victim for _, victim in self.blows}):
            numbers = [str(self.blows[fault, victim] or "") for fault in faults]
            rows.append(_row(victim, numbers, widths))
        return ["", *rows]

    def _of_recovery(self) -> list[str]:
        if not self.recovery_s:
            return []
        columns = ["kills", "p50 s", "p95 s", "max s"]
        widths = [6] * len(columns)
        rows = [_row("kill -9 → a new job has completed", columns, widths, 34)]
        for victim, times in sorted(self.recovery_s.items()):
            told = [percentile(times, share) for share in (0.5, 0.95, 1.0)]
            numbers = [str(len(times)), *(f"{each:.2f}" for each in told)]
            rows.append(_row(victim, numbers, widths, 34))
        return ["", *rows]


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of some values."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def _row(name: str, cells: list[str], widths: list[int], first: int = 18) -> str:
    padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"{name:{first}}{'  '.join(padded)}".rstrip()
