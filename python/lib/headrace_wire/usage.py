"""Samples of what a worker uses: the lines of `<rank>.usage`, and how the REST API shows them.

A line is `<ms since 1970> <CPU ms> <memory> <read> <written> <received> <sent>`, sizes in bytes;
`-` stands for what nobody counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace_model.estimate import Estimate
from headrace_model.report import Used, advice
from headrace_model.resources import Resources
from headrace_model.usage import Sample, Total
from headrace_wire.api import iso

USAGE: Final = "usage"
LIMIT: Final = 800
"""Most samples in a file: some 50 kB, which an agent sends in one piece."""
LIMIT_BYTES: Final = 256 * 1024
"""More than that no such file holds."""


@dataclass(frozen=True, slots=True)
class SampleView:
    """What a worker had used at a time: CPU seconds, bytes of block devices and of the network
    count up from its start, `memory` is what it used then (bytes).
    """

    at: str
    cpu_s: float
    memory: int
    read: int
    written: int
    received: int | None
    sent: int | None


@dataclass(frozen=True, slots=True)
class RankView:
    """One worker: what it holds of its node, and what it used of it."""

    rank: int
    node: str
    cpus: float
    memory: int
    cpu_s: float | None
    mean_cpus: float | None
    peak_memory: int | None
    samples: tuple[SampleView, ...]


@dataclass(frozen=True, slots=True)
class EstimateView:
    """Run time with its range, and peak of memory in bytes, learned from `runs` earlier runs;
    `basis` says from which."""

    p10_s: float
    p50_s: float
    p90_s: float
    memory: int | None
    runs: int
    basis: str


@dataclass(frozen=True, slots=True)
class UsageView:
    """What the shown workers of an attempt hold (`cpus`, `memory`) and used of it, added up.

    `workers` is how many it has, `ranks` are those that are shown. `run_s`: how long it ran, once
    it has ended; `efficiency`: CPU time as a part of what its CPUs could have given; `advice`:
    what to ask the next time, of an attempt that completed.
    """

    job: str
    attempt: int
    cpus: float
    memory: int
    cpu_s: float | None
    mean_cpus: float | None
    peak_memory: int | None
    workers: int
    ranks: tuple[RankView, ...]
    run_s: float | None = None
    time_limit_s: float | None = None
    efficiency: float | None = None
    estimate: EstimateView | None = None
    advice: tuple[str, ...] = ()


def usage_name(rank: int) -> str:
    """The file with the samples of a rank, beside its logs."""
    return f"{rank}.{USAGE}"


def write_sample(sample: Sample) -> str:
    """Write one line."""
    numbers = (
        sample.at_ms, sample.cpu_ms, sample.memory_bytes, sample.read_bytes, sample.written_bytes,
        sample.received_bytes, sample.sent_bytes,
    )  # fmt: skip
    return " ".join("-" if number is None else str(number) for number in numbers) + "\n"


def read_samples(text: str) -> tuple[Sample, ...]:
    """Read lines; torn and damaged ones are passed over, and what does not go on in time."""
    found: list[Sample] = []
    for sample in _samples(text):
        if not found or sample.at_ms > found[-1].at_ms:
            found.append(sample)
    return tuple(found)


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines(keepends=True):
        words = line.split()
        if not line.endswith("\n") or len(words) != 7 or not all(map(_is_number, words[:5])):
            continue
        at_ms, cpu_ms, memory, read, written = map(int, words[:5])
        received, sent = (int(word) if _is_number(word) else None for word in words[5:])
        yield Sample(at_ms, cpu_ms, memory, read, written, received, sent)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 20


def held_and_used(held: Resources, total: Total) -> dict[str, Any]:
    """Show what was used beside what is held."""
    return {
        "cpus": held.millicpus / 1000,
        "memory": held.memory_bytes,
        "cpu_s": _thousandth(total.cpu_ms),
        "mean_cpus": _thousandth(total.mean_millicpus),
        "peak_memory": total.peak_memory_bytes,
    }


def sample_view(sample: Sample) -> Mapping[str, Any]:
    """Show a sample."""
    return {
        "at": iso(sample.at_ms),
        "cpu_s": sample.cpu_ms / 1000,
        "memory": sample.memory_bytes,
        "read": sample.read_bytes,
        "written": sample.written_bytes,
        "received": sample.received_bytes,
        "sent": sample.sent_bytes,
    }


def report_view(used: Used, estimate: Estimate | None, *, completed: bool) -> dict[str, Any]:
    """Show what an attempt used beside what it asked."""
    return {
        "run_s": _thousandth(used.run_ms),
        "time_limit_s": _thousandth(used.time_limit_ms),
        "efficiency": None if used.efficiency is None else round(used.efficiency, 3),
        "estimate": estimate and estimate_view(estimate),
        "advice": list(advice(used)) if completed else [],
    }


def estimate_view(estimate: Estimate) -> dict[str, Any]:
    """Show an estimate."""
    return {
        "p10_s": estimate.p10_ms / 1000,
        "p50_s": estimate.p50_ms / 1000,
        "p90_s": estimate.p90_ms / 1000,
        "memory": estimate.memory_bytes,
        "runs": estimate.runs,
        "basis": estimate.basis,
    }


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000
