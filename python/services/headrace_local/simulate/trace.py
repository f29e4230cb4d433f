"""A trace: which jobs came when, what they asked, and how long they ran."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a trace; times in ms, `submit_ms` from the trace's own zero.

    `limit_ms` is what the user said that it takes at most, None where the trace doesn't tell;
    `memory_bytes` is that of each CPU, likewise. Jobs of one `application` do alike.
    """

    number: int
    submit_ms: int
    run_ms: int
    cpus: int
    limit_ms: int | None = None
    memory_bytes: int | None = None
    user: str = "unknown"
    application: str = ""

    @property
    def held_ms(self) -> int:
        """How long it holds its share: Headrace ends a job at its time limit."""
        return self.run_ms if self.limit_ms is None else min(self.run_ms, self.limit_ms)


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs by the time they came, where they are from, and how many jobs were left out and why.

    `nodes` and `cpus` are those of the machine that it was recorded on, where it tells.
    """

    source: str
    jobs: tuple[TraceJob, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    nodes: int | None = None
    cpus: int | None = None
