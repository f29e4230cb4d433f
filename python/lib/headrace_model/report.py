"""What an attempt used of what it asked, and what would be asked better the next time."""

from dataclasses import dataclass
from typing import Final

from headrace_model.resources import Resources
from headrace_model.units import duration_text, rough_size

_MUCH: Final = 2
"""Who asks more than so many times what is used is told."""
_SPARE: Final = 1.25
"""What is proposed: so many times the most that is known to have been used."""
_MEMORY_STEP: Final = 64 * 2**20
_TIMES_MS: Final = tuple(
    minutes * 60_000
    for minutes in (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)
)
_SHORT_MS: Final = 10_000  # what ends sooner says little of CPUs


@dataclass(frozen=True, slots=True)
class Used:
    """What an ended attempt had, and used; None where nobody measured it.

    `learned_run_ms` and `learned_memory_bytes`: the p90 of earlier runs that are alike.
    `raised_from_bytes`: the memory that the file asks, where that was too little for an attempt
    before, so that this one asked more.
    """

    asked: Resources
    time_limit_ms: int | None
    run_ms: int | None
    cpu_ms: int | None
    peak_memory_bytes: int | None
    learned_run_ms: int | None = None
    learned_memory_bytes: int | None = None
    raised_from_bytes: int | None = None

    @property
    def efficiency(self) -> float | None:
        """CPU time as a part of what the asked CPUs could have given; 0 to about 1."""
        if self.cpu_ms is None or not self.run_ms or not self.asked.millicpus:
            return None
        return self.cpu_ms / (self.run_ms * self.asked.millicpus / 1000)


def advice(used: Used) -> tuple[str, ...]:
    """Sentences about an attempt that completed, each with what to ask; none: it asked well."""
    found = (_memory(used), _cpus(used), _time(used))
    return tuple(each for each in found if each)


def _memory(used: Used) -> str:
    if used.raised_from_bytes is not None:
        return _raised(used, used.raised_from_bytes)
    if not used.peak_memory_bytes:
        return ""
    most = max(used.peak_memory_bytes, used.learned_memory_bytes or 0)
    proposed, asked = _with_spare(most), used.asked.memory_bytes
    if proposed * _MUCH <= asked:
        return (
            f"it used {rough_size(used.peak_memory_bytes)} of {rough_size(asked)} of memory: "
            f"`resources.memory: {proposed // 2**20}MiB` would do, and it would wait less"
        )
    if most > 0.95 * asked:
        return (
            f"it used {rough_size(used.peak_memory_bytes)} of {rough_size(asked)} of memory, so "
            f"that little more ends it: ask for {proposed // 2**20}MiB"
        )
    return ""


def _raised(used: Used, first: int) -> str:
    peak, asked = used.peak_memory_bytes or 0, used.asked.memory_bytes
    proposed = _with_spare(max(peak, used.learned_memory_bytes or 0))
    if peak <= first:  # so much was too little, so that it needed more than was seen
        proposed = max(proposed, asked)
    had = f"used {rough_size(peak)} of {rough_size(asked)}" if peak else f"had {rough_size(asked)}"
    return (
        f"it ran out of the {rough_size(first)} of memory that its file asks, and would again; "
        f"then it {had}: ask for `resources.memory: {-(-proposed // 2**20)}MiB`"
    )


def _with_spare(most_bytes: int) -> int:
    return max(1, -(-int(most_bytes * _SPARE) // _MEMORY_STEP)) * _MEMORY_STEP


def _cpus(used: Used) -> str:
    if used.efficiency is None or (used.run_ms or 0) < _SHORT_MS:
        return ""
    asked = used.asked.millicpus
    mean = round(used.efficiency * asked)
    proposed = max(1000, -(-mean // 1000) * 1000)
    if proposed * _MUCH > asked:
        return ""
    return (
        f"it used {mean / 1000:.1f} of {asked / 1000:g} CPUs on average: `resources.cpus: "
        f"{proposed // 1000}` would do"
    )


def _time(used: Used) -> str:
    if used.run_ms is None:
        return ""
    most_ms = round(max(used.run_ms, used.learned_run_ms or 0) * _SPARE)
    proposed_ms = next((each for each in _TIMES_MS if each >= most_ms), None)
    if proposed_ms is None:
        return ""
    proposed = f"`limits.time: {duration_text(proposed_ms)}`"
    if used.time_limit_ms is None:
        return f"it has no time limit: with {proposed} it could start in gaps, before larger jobs"
    if proposed_ms * _MUCH <= used.time_limit_ms:
        ran, limit = duration_text(used.run_ms // 1000 * 1000), duration_text(used.time_limit_ms)
        return f"it ran {ran} of {limit}: with {proposed} it could start in gaps sooner"
    return ""
