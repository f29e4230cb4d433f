"""What a benchmark gives: rows with figures, a verdict beside the budget, and their printing."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from statistics import median, quantiles
from typing import Any

_OURS = ("headrace", "redis", "hiredis", "aiohttp", "marshmallow")


@dataclass(frozen=True, slots=True)
class Series:
    """Some samples of one figure in one unit: how many, their median, their 95 % percentile."""

    n: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure beside one peer (None: none, or a missing one that `note` tells of).

    `ratio` is ours / the peer's; `met` is None where no verdict is possible.
    """

    name: str
    unit: str
    ours: Series
    budget: str
    met: bool | None
    peer_name: str | None = None
    peer: Series | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's, of the medians."""
        return self.ours.p50 / self.peer.p50 if self.peer and self.peer.p50 else None


def series(samples: Sequence[float]) -> Series:
    """Sum samples up; raises ValueError when there is none."""
    if not samples:
        raise ValueError("nothing was measured")
    if len(samples) == 1:
        return Series(1, samples[0], samples[0])
    return Series(len(samples), median(samples), quantiles(samples, n=20, method="inclusive")[-1])


def machine(versions: dict[str, str]) -> dict[str, Any]:
    """Facts that the figures depend on; `versions` are those of the peers."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(each, 2) for each in os.getloadavg()],
        "versions": {name: _version(name) for name in _OURS} | dict(sorted(versions.items())),
    }


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON takes it."""
    return asdict(row) | {"ratio": row.ratio}


def table(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The rows as text for people."""
    head = ("what", "unit", "ours p50 (p95)", "n", "beside", "p50 (p95)", "ratio", "budget", "met")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    shown += [f"{row.name}: {row.note}" for row in rows if row.note]
    names = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    shown.append(
        f"{facts['system']}, {facts['cores']} cores, load {facts['load']}, "
        f"Python {facts['python']}; {names}"
    )
    return "\n".join(line.rstrip() for line in shown)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "yes", False: "NO", None: "-"}[row.met]
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
    peer = _spread(row.peer) if row.peer else "-"
    return (
        row.name, row.unit, _spread(row.ours), str(row.ours.n), row.peer_name or "-",
        peer, ratio, row.budget, verdict,
    )  # fmt: skip


def _spread(found: Series) -> str:
    return f"{_figure(found.p50)} ({_figure(found.p95)})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
