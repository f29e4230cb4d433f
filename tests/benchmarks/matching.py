"""Requirements a job may have, matched against 100,000 datasets; beside a walk over all of them.

The catalogue: forcing of 1,000 basins as CSV and NetCDF, a dataset for each of 50 months. What is
asked: what one dataset holds, months that several hold together, and what none holds whole. The
walk asks of each dataset only whether it alone covers what is wanted. CPU time counts, not the
clock: it is pure code.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from statistics import median

from headrace_data.core.matching import Matcher
from headrace_model.dataset import Category, Dataset, DatasetState
from headrace_model.domain import Continuous, Discrete, Domain, Index, contains
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Miss, Requirement
from headrace_model.times import Instant
from headrace_model.visible import readers_of
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, series

NAME = "matching"
ABOUT = "requirements matched against 100,000 datasets, beside a walk over all of them"
_BASINS, _MONTHS, _FORMATS = 1_000, 50, ("AORC_CSV", "NETCDF_AORC_DEFAULT")
_MONTH_MS = 30 * 86_400_000
_MOST_MS, _LEAST_RATIO = 1.0, 100.0
_NOW_MS = 10
_WALKS = 5


async def measure(bench: Bench) -> list[Row]:
    """A row for each kind of requirement."""
    return await asyncio.to_thread(_measure, bench.seconds)


def _measure(seconds: float) -> list[Row]:
    datasets = [
        _dataset(basin, month, format_)
        for basin in range(_BASINS)
        for month in range(_MONTHS)
        for format_ in _FORMATS
    ]
    matcher = Matcher()
    for each in datasets:
        matcher.add(each)
    third_s = seconds / 3
    return [
        _row("one dataset holds it", matcher, datasets, 1, 0, Fulfilment, third_s),
        _row("a union of 12 holds it", matcher, datasets, 12, 0, Fulfilment, third_s),
        _row("none holds it", matcher, datasets, 2, _MONTHS - 1, Miss, third_s),
    ]


def _row(
    what: str,
    matcher: Matcher,
    datasets: Sequence[Dataset],
    months: int,
    first: int,
    answer: type[Fulfilment] | type[Miss],
    seconds: float,
) -> Row:
    chance = random.Random(1)  # noqa: S311 - the same questions at each run
    readers = readers_of("ada", ())
    ours: list[float] = []
    until = time.monotonic() + seconds
    while not ours or time.monotonic() < until:
        begin = first or chance.randrange(_MONTHS - months)
        wanted = _wanted(chance.randrange(_BASINS), begin, months, chance.choice(_FORMATS))
        began = time.thread_time()
        found = matcher.match(wanted, _NOW_MS, readers)
        ours.append((time.thread_time() - began) * 1000)
        if not isinstance(found, answer):
            raise AssertionError(f"{wanted} was answered by {found}")
    same = _wanted(_BASINS // 2, first, months, _FORMATS[0])
    walks = [_walk(datasets, same) for _ in range(_WALKS)]
    late = sorted(ours)[len(ours) * 99 // 100]
    ratio = median(walks) / median(ours)
    return Row(
        name=f"matching, {what}",
        unit="ms",
        ours=series(ours),
        budget=f"p99 ≤ {_MOST_MS:g} ms, ≥ {_LEAST_RATIO:g}x",
        met=late <= _MOST_MS and ratio >= _LEAST_RATIO,
        peer_name="a walk",
        peer=series(walks),
        note=f"p99 {late:.2f} ms; {ratio:,.0f}x as fast",
    )


def _walk(datasets: Sequence[Dataset], wanted: Requirement) -> float:
    began = time.thread_time()
    found = [each for each in datasets if _covers(each, wanted)]
    spent_ms = (time.thread_time() - began) * 1000
    if len(found) > 1:
        raise AssertionError(f"{len(found)} datasets hold {wanted}")
    return spent_ms


def _covers(dataset: Dataset, wanted: Requirement) -> bool:
    if dataset.category is not wanted.category or dataset.format != wanted.format:
        return False
    return all(
        (held := dataset.domain.get(index)) is not None and contains(held, asked)
        for index, asked in wanted.domain.restrictions
    )


def _domain(basin: int, month: int, months: int, catchments: int) -> Domain:
    begin, end = Instant(month * _MONTH_MS), Instant((month + months) * _MONTH_MS)
    ids = frozenset(f"cat-{basin * 100 + number}" for number in range(catchments))
    return Domain.of({Index.TIME: Continuous(((begin, end),)), Index.CATCHMENT_ID: Discrete(ids)})


def _dataset(basin: int, month: int, format_: str) -> Dataset:
    name = f"{format_.lower()}-{basin}-{month}"
    return Dataset(
        id=DatasetId(name),
        name=name,
        version=1,
        category=Category.FORCING,
        format=format_,
        domain=_domain(basin, month, 1, 20),
        owner="ada",
        created_ms=month,
        state=DatasetState.SEALED,
        sealed_ms=month,
        manifest_sha256="0" * 64,
    )


def _wanted(basin: int, month: int, months: int, format_: str) -> Requirement:
    return Requirement("rain", Category.FORCING, format_, _domain(basin, month, months, 3))
