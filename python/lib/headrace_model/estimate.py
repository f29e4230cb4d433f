"""How long a job will run and how much memory it will use, learned from earlier runs.

Each run that ends well is kept under three keys, from the narrowest to the broadest: the same
command, the same program of the same user, the same software; each together with the size of the
inputs (a power of two). An estimate is made from the newest runs of the narrowest key that has
`LEAST` of them, and from no model: it is their order statistics. If the next run is exchangeable
with n earlier ones it is at most the k-th smallest of them with a probability of at least k/(n+1),
whatever the distribution (split conformal prediction for a quantile: Vovk, Gammerman, Shafer,
*Algorithmic Learning in a Random World*, 2005, ch. 2; Lei et al., JASA 113, 2018, section 2.2). So
the p90 is the one of rank ⌈0.9 (n+1)⌉, which needs n ≥ 9. What drifts is met by keeping only the
newest `KEPT`. Nothing here is a promise: a job may run up to its time limit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from headrace_model.spec import JobSpec
from headrace_model.units import rough_size

KEPT: Final = 32
"""Most runs that are kept under a key; the p90 of so many is the 30th smallest. Older ones mislead
where run times drift: of 64, the p90 covered 85 % of the tests' trace, of 32 it covers 88 %."""
LEAST: Final = 9
"""Fewest runs that an estimate is made from."""

_SMALLEST_CLASS: Final = 20  # inputs of less than 2 MiB are of one size


@dataclass(frozen=True, slots=True)
class Run:
    """What one run tells: its time and, where it was measured, the most memory that a worker
    used."""

    run_ms: int
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Run time with its range, from `runs` earlier runs; `basis` says which, for people.

    `memory_bytes` is the p90 of the peak of memory; None where too few runs were measured.
    """

    p10_ms: int
    p50_ms: int
    p90_ms: int
    runs: int
    basis: str
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a job is like: names of its command, its program and its software, narrowest first.

    `software` is empty for a job that brings none: others that run on bare nodes tell nothing.
    """

    command: str
    program: str
    software: str = ""

    def keys(self, input_bytes: int) -> tuple[str, ...]:
        """The keys of its runs with that much input, narrowest first."""
        return tuple(f"{name}/{_size_class(input_bytes)}" for name in self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it has, narrowest first."""
        return tuple(each for each in (self.command, self.program, self.software) if each)


_NOUNS: Final = ("command", "program", "software")


def likeness_of(spec: JobSpec, owner: str) -> Likeness | None:
    """Name what a job is like; None for an array, whose run time is that of its tasks.

    The program is the command without what follows its first word and the first that is no option
    after it, as in `python run.py`; only runs of the same user tell of it.
    """
    if spec.array.is_array:
        return None
    software = spec.image or (" ".join(spec.environment.pip) if spec.environment else "")
    shape = (spec.kind, software, str(spec.resources.amount.millicpus))
    files = [each.sha256 for each in spec.files]
    plain = [word for word in spec.command[1:] if not word.startswith("-")]
    return Likeness(
        command=_name("c", *shape, *spec.command, *files),
        program=_name("p", *shape, owner, *spec.command[:1], *plain[:1]),
        software=_name("s", *shape) if software else "",
    )


def estimate_of(
    likeness: Likeness, input_bytes: int, runs_of: Mapping[str, Sequence[Run]]
) -> Estimate | None:
    """Estimate from the runs that are known by key; None where no key has enough of them."""
    for noun, key in zip(_NOUNS, likeness.keys(input_bytes), strict=False):
        runs = runs_of.get(key, ())[-KEPT:]
        if len(runs) >= LEAST:
            times = sorted(run.run_ms for run in runs)
            return Estimate(
                p10_ms=lower(times, 1),
                p50_ms=upper(times, 5),
                p90_ms=upper(times, 9),
                runs=len(runs),
                basis=f"p90 of {len(runs)} runs of this {noun}{_with_inputs(input_bytes)}",
                memory_bytes=_memory(runs),
            )
    return None


def upper(ordered: Sequence[int], tenths: int) -> int:
    """The value that the next one does not pass with a probability of at least `tenths` / 10.

    The one of rank ⌈(n+1) · tenths/10⌉; `LEAST` values or more.
    """
    return ordered[-(-(len(ordered) + 1) * tenths // 10) - 1]


def lower(ordered: Sequence[int], tenths: int) -> int:
    """The value that the next one does not fall below with a probability of 1 - `tenths` / 10."""
    return ordered[(len(ordered) + 1) * tenths // 10 - 1]


def _memory(runs: Iterable[Run]) -> int | None:
    peaks = sorted(run.peak_memory_bytes for run in runs if run.peak_memory_bytes)
    return upper(peaks, 9) if len(peaks) >= LEAST else None


def _size_class(input_bytes: int) -> int:
    """0 without inputs, else the number of bits of their size."""
    return max(_SMALLEST_CLASS, input_bytes.bit_length() - 1) if input_bytes else 0


def _with_inputs(input_bytes: int) -> str:
    size = _size_class(input_bytes)
    if not size:
        return ""
    most = rough_size(2 << size)
    if size == _SMALLEST_CLASS:
        return f" with inputs below {most}"
    return f" with inputs of {rough_size(1 << size)} to {most}"


def _name(level: str, *parts: str) -> str:
    return level + sha256("\0".join(parts).encode()).hexdigest()[:15]
