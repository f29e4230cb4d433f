"""Partitions of a river of 100,000 catchments: time, balance and cut edges, and of real fabrics.

The peer in time is the budget alone. In cut edges it is a naive split, blocks of the same number
as the file has them, and the split of ngen's own generator: blocks along a depth-first walk from
the outlet.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from headrace_derivations.hydrofabric_read import files_at
from headrace_partitioner.core.check import check
from headrace_partitioner.core.config import config_of, to_text
from headrace_partitioner.core.drainage import NOWHERE, Drainage
from headrace_partitioner.core.explain import Figures, figures_of, naive_figures
from headrace_partitioner.core.split import split
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, Series, series
from tests.support.trees import drainage_tree

NAME: Final = "partitions"
ABOUT: Final = "splits of 100,000 catchments: seconds, balance, cut edges beside naive splits"
_COUNT: Final = 100_000
_PARTS: Final = (2, 16, 128, 1_024)
_TIMED: Final = 64
_BUDGET_S: Final = 10.0
_EVEN: Final = 1.05
_SAMPLES: Final = {
    "Sugar Creek": (
        "ngen-sugar-creek/catchment_data.geojson",
        "ngen-sugar-creek/nexus_data.geojson",
    ),
    "gauge 01073000": ("ngen-gauge-01073000/gauge_01073000.gpkg",),
}


async def measure(bench: Bench) -> list[Row]:
    """Rows of time, of cuts and balance, and of real fabrics."""
    catchments, nexuses, areas = drainage_tree(_COUNT)
    rows = [
        _timed("count", catchments, nexuses, None, bench.seconds / 2),
        _timed("area", catchments, nexuses, areas, bench.seconds / 2),
    ]
    for name, weights in (("count", None), ("area", areas)):
        drainage = Drainage.of(catchments, nexuses, weights)
        for parts in _PARTS:
            rows += _cuts(f"{_COUNT:,}, by {name}", drainage, parts)
    return [*rows, *_samples()]


def _timed(
    name: str,
    catchments: Mapping[str, str],
    nexuses: Mapping[str, str],
    areas: Mapping[str, float] | None,
    seconds: float,
) -> Row:
    """CPU seconds from where the water flows to the text of the config."""
    until = time.monotonic() + seconds
    spent: list[float] = []
    while len(spent) < 3 or time.monotonic() < until:
        begin = time.process_time()
        drainage = Drainage.of(catchments, nexuses, areas)
        text = to_text(config_of(drainage, split(drainage, _TIMED), _TIMED))
        spent.append(time.process_time() - begin)
    found = series(spent)
    return Row(
        f"partitions, {_COUNT:,} catchments into {_TIMED}, by {name}",
        "s CPU",
        found,
        f"<= {_BUDGET_S:g}",
        found.p50 <= _BUDGET_S,
        note=f"{len(text):,} letters of JSON",
    )


def _cuts(name: str, drainage: Drainage, parts: int) -> Iterator[Row]:
    assigned = split(drainage, parts)
    config = config_of(drainage, assigned, parts)
    wrong = check(drainage, config).findings
    ours, naive = figures_of(drainage, assigned, parts), naive_figures(drainage, parts)
    walked = figures_of(drainage, _as_ngen(drainage, parts), parts)
    for peer_name, peer in (("naive", naive), ("depth first", walked)):
        yield Row(
            f"cut edges, {name}, {parts:,} partitions",
            "edges",
            _one(ours.cut_edges),
            "not more than the peer, valid, the heaviest <= 1.05 of the mean",
            not wrong and ours.cut_edges <= peer.cut_edges and _is_even(ours, drainage),
            peer_name,
            _one(peer.cut_edges),
            note=f"heaviest {ours.imbalance:.3f} of the mean, {peer_name} {peer.imbalance:.3f}; "
            f"{ours.messages:,} messages a step",
        )


def _is_even(figures: Figures, drainage: Drainage) -> bool:
    """Whether the heaviest is within a twentieth of the mean, or a catchment of it."""
    mean = sum(drainage.weights) / len(figures.parts)
    return figures.imbalance * mean <= max(_EVEN * mean, mean + max(drainage.weights))


def _one(number: float) -> Series:
    return Series(1, number, number)


def _as_ngen(drainage: Drainage, parts: int) -> Sequence[int]:
    """Blocks along a depth-first walk up from the outlets, a catchment before those above it."""
    above: list[list[int]] = [[] for _ in drainage.below]
    for node, below in enumerate(drainage.below):
        if below != NOWHERE:
            above[below].append(node)
    stack = [node for node, below in enumerate(drainage.below) if below == NOWHERE]
    order: list[int] = []
    while stack:
        node = stack.pop()
        if node < len(drainage.ids):
            order.append(node)
        stack += reversed(above[node])
    least, more = divmod(len(order), parts)
    sizes = [least + (part < more) for part in range(parts)]
    found = [0] * len(order)
    at = 0
    for part, size in enumerate(sizes):
        for node in order[at : at + size]:
            found[node] = part
        at += size
    return found


def _samples() -> Iterator[Row]:
    folder = os.environ.get("HEADRACE_SAMPLES")
    for name, files in _SAMPLES.items() if folder else ():
        network = files_at([Path(folder or "", each) for each in files]).network()
        yield from _cuts(name, Drainage.of(network.catchments, network.nexuses), 2)
