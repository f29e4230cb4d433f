"""Mixed jobs under random kills of everything: nothing lost, nothing doubled, nothing leaked.

`scripts/run-tests.sh soak --minutes 30 --seeds 10` gives each of 10 seeds 3 minutes; the last
lines tell the figures. Even seeds run with the product's own waits, odd ones with short ones,
which see more blows. HEADRACE_SOAK_FIRST_SEED says with which seed to begin (1).
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TypeVar

import pytest

from tests.support.small_disk import small_file_system
from tests.support.soak.blows import blows
from tests.support.soak.figures import Figures
from tests.support.soak.run import PRODUCT, SHORT, Soak, any_errands

T = TypeVar("T")

_STORE_MIB = 96
_MINUTES = int(os.environ.get("HEADRACE_SOAK_MINUTES", "10"))
_NUMBER = int(os.environ.get("HEADRACE_SOAK_SEEDS", "4"))
_FIRST_SEED = int(os.environ.get("HEADRACE_SOAK_FIRST_SEED", "1"))
_SEEDS = range(_FIRST_SEED, _FIRST_SEED + _NUMBER)


@pytest.mark.parametrize("seed", _SEEDS)
async def test_everything_is_kept_once_whatever_is_killed(
    run_root: Path, figures: Figures, seed: int
) -> None:
    times = PRODUCT if seed % 2 == 0 else SHORT
    soak = Soak(run_root / f"soak{seed}", str(seed), times)
    until = monotonic() + _MINUTES * 60 / _NUMBER
    with small_file_system(soak.store, _STORE_MIB) as reason:
        try:
            await soak.run(
                _before(until, any_errands(str(seed))),
                _before(
                    until,
                    blows(
                        str(seed),
                        node_lost_s=times.node_lost_s,
                        lease_s=times.lease_s,
                        small_store=None if reason else soak.store,
                    ),
                ),
            )
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
