"""Mixed jobs under random kills of everything: nothing lost, nothing doubled, nothing leaked.

`scripts/run-tests.sh soak --minutes 30 --seeds 10` gives each of 10 seeds 3 minutes; the last
lines tell the figures. Even seeds run with the product's own waits, odd ones with short ones,
which see more blows; every third has its data on an S3 server. HEADRACE_SOAK_FIRST_SEED says with
which seed to begin (1).
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TypeVar

import pytest

from tests.support.s3_servers import JuiceFs, find_program
from tests.support.soak.blows import blows
from tests.support.soak.figures import Figures
from tests.support.soak.run import PRODUCT, SHORT, Soak, any_errands
from tests.support.soak.stores import directory_store, s3_store

T = TypeVar("T")

_MINUTES = int(os.environ.get("HEADRACE_SOAK_MINUTES", "10"))
_NUMBER = int(os.environ.get("HEADRACE_SOAK_SEEDS", "4"))
_FIRST_SEED = int(os.environ.get("HEADRACE_SOAK_FIRST_SEED", "1"))
_SEEDS = range(_FIRST_SEED, _FIRST_SEED + _NUMBER)


@pytest.mark.parametrize("seed", _SEEDS)
async def test_everything_is_kept_once_whatever_is_killed(
    run_root: Path, figures: Figures, seed: int
) -> None:
    times = PRODUCT if seed % 2 == 0 else SHORT
    folder, name = run_root / f"soak{seed}", str(seed)
    has_s3 = seed % 3 == 0 and find_program(JuiceFs.program) is not None
    with s3_store(folder / "s3") if has_s3 else directory_store(folder / "store") as store:
        soak = Soak(folder, name, times, store)
        until = monotonic() + _MINUTES * 60 / _NUMBER
        struck = blows(name, node_lost_s=times.node_lost_s, lease_s=times.lease_s, store=store)
        try:
            await soak.run(_before(until, any_errands(name)), _before(until, struck))
        finally:
            figures.add(soak.figures)
    if soak.figures.harms:
        told = "\n".join(f"{harm}: {sentence}" for harm, sentence in soak.figures.harms)
        pytest.fail(
            f"{told}\nthe files of this stack are kept in {soak.kept}; again: "
            f"HEADRACE_SOAK_FIRST_SEED={seed} scripts/run-tests.sh soak "
            f"--minutes {max(1, _MINUTES // _NUMBER)} --seeds 1",
            pytrace=False,
        )


def _before(until: float, things: Iterable[T]) -> Iterator[T]:
    for thing in things:
        if monotonic() > until:
            return
        yield thing
