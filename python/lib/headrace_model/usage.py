"""What workers use: samples, how many of them are kept, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

_SHORTEST_MS = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What a worker, with all that it started, had used at a moment.

    `memory_bytes` is what it used just then; all else counts up from its start. Bytes are read
    from and written to block devices; those of the network are None where nobody counts them.
    """

    at_ms: int
    cpu_ms: int
    memory_bytes: int
    read_bytes: int
    written_bytes: int
    received_bytes: int | None = None
    sent_bytes: int | None = None

    def plus(self, other: "Sample") -> "Sample":
        """Both together, as of the later moment."""
        return Sample(
            max(self.at_ms, other.at_ms),
            self.cpu_ms + other.cpu_ms,
            self.memory_bytes + other.memory_bytes,
            self.read_bytes + other.read_bytes,
            self.written_bytes + other.written_bytes,
            _sum(self.received_bytes, other.received_bytes),
            _sum(self.sent_bytes, other.sent_bytes),
        )


@dataclass(frozen=True, slots=True)
class Total:
    """What the samples of a worker come to; None where there are too few to tell."""

    cpu_ms: int | None
    mean_millicpus: int | None
    peak_memory_bytes: int | None


def thinned(samples: Sequence[Sample], limit: int) -> tuple[Sample, ...]:
    """At most `limit` samples (4 or more), in the order of time.

    The newest quarter stays as it is. Of what is older one sample is kept for each stretch of
    time, as short as leaves few enough: the last of its stretch, with the most memory that any
    in it had. Stretches are halves of longer ones, so that this may be done again and again.
    """
    if len(samples) <= limit:
        return tuple(samples)
    old, new = samples[: -(limit // 4)], samples[-(limit // 4) :]
    stretch_ms = _SHORTEST_MS
    while len(kept := _last_of_each(old, stretch_ms)) > limit // 2:
        stretch_ms *= 2
    return (*kept, *new)


def _last_of_each(samples: Sequence[Sample], stretch_ms: int) -> list[Sample]:
    kept: list[Sample] = []
    for sample in samples:
        if kept and kept[-1].at_ms // stretch_ms == sample.at_ms // stretch_ms:
            most = max(kept.pop().memory_bytes, sample.memory_bytes)
            sample = replace(sample, memory_bytes=most)
        kept.append(sample)
    return kept


def total_of(samples: Sequence[Sample]) -> Total:
    """What the samples of one worker come to; CPUs are the mean between its first and last."""
    if not samples:
        return Total(None, None, None)
    first, last = samples[0], samples[-1]
    passed_ms = last.at_ms - first.at_ms
    mean = round((last.cpu_ms - first.cpu_ms) * 1000 / passed_ms) if passed_ms > 0 else None
    return Total(last.cpu_ms, mean, max(sample.memory_bytes for sample in samples))


def total_of_all(totals: Sequence[Total]) -> Total:
    """What workers come to together: their sums, as far as they are known."""
    return Total(
        _sum(*(total.cpu_ms for total in totals)),
        _sum(*(total.mean_millicpus for total in totals)),
        _sum(*(total.peak_memory_bytes for total in totals)),
    )


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
