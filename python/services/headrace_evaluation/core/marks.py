"""What charts of reports are made of: round numbers, lines with gaps, long series made short."""

from math import ceil, floor, isfinite, log10

import numpy as np

from headrace_evaluation.core.metrics import Array


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    rough = (high - low) / about
    size: float = 10.0 ** floor(log10(rough))
    size *= next(each for each in (1, 2, 5, 10) if each * size >= rough * 0.999)
    first, last = ceil(low / size), floor(high / size + 1e-9)
    return [number * size for number in range(first, last + 1)]


def path_of(x: Array, y: Array) -> str:
    """The `d` of an SVG path through places, shapes (n,), that breaks where one is no number."""
    parts, is_open = [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        if not (isfinite(px) and isfinite(py)):
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{px:.1f} {py:.1f}")
        is_open = True
    return "".join(parts)


def thinned(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """The least and the most of each of so many columns of a long series, and where one has a gap
    a gap; a short one as it is."""
    if x.size <= 2 * columns:
        return x, y
    is_gap = np.isnan(y)
    low, high = np.where(is_gap, np.inf, y), np.where(is_gap, -np.inf, y)
    kept: set[int] = set()
    for group in np.array_split(np.arange(x.size), columns):
        kept |= {int(group[np.argmin(low[group])]), int(group[np.argmax(high[group])])}
        kept |= {int(each) for each in group[is_gap[group]][:1]}
    order = sorted(kept)
    return x[order], y[order]
