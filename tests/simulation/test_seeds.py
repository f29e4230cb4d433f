"""The whole cluster in one thread, on a clock, a network and machines of a seed.

`scripts/run-tests.sh simulation --seeds 500` runs so many; HEADRACE_SIMULATION_FIRST_SEED says
with which to begin (1). docs/decisions/0040-simulation.md says what is simulated and how.
"""

import os
from pathlib import Path
from time import monotonic

import pytest

from tests.support.simulation.plants import PLANTS
from tests.support.simulation.seeds import run_seeds

_FIRST = int(os.environ.get("HEADRACE_SIMULATION_FIRST_SEED", "1"))
_NUMBER = int(os.environ.get("HEADRACE_SIMULATION_SEEDS", "0"))
_SECONDS = 45.0
_LEAST = 10  # however slow the machine is


def test_what_is_promised_holds_after_every_step_whatever_goes_wrong(
    tmp_path: Path, figures: list[str]
) -> None:
    began = monotonic()
    if _NUMBER:
        found = run_seeds(tmp_path, first=_FIRST, seeds=_NUMBER)
    else:
        found = run_seeds(tmp_path, first=_FIRST, seeds=10**6, seconds=_SECONDS, least=_LEAST)
    figures.append(found.figures(monotonic() - began))
    if found.broken:
        pytest.fail(found.report(), pytrace=False)
    assert len(found.outcomes) >= min(_LEAST, _NUMBER or _LEAST)
    assert sum(each["looks"] for each in found.outcomes) > 20 * len(found.outcomes)


def test_a_seed_is_the_same_story_each_time(tmp_path: Path) -> None:
    once, again = (
        run_seeds(tmp_path, first=_FIRST, seeds=3, side_by_side=1).outcomes for _ in range(2)
    )
    alone = run_seeds(tmp_path, first=_FIRST + 2, seeds=1).outcomes
    assert [each["digest"] for each in once] == [each["digest"] for each in again]
    # Nor does it hang on what the program did before.
    assert alone[0]["digest"] == once[2]["digest"]
    assert len({each["digest"] for each in once}) == 3


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_bug_is_found(plant: str, tmp_path: Path, figures: list[str]) -> None:
    most = PLANTS[plant].within
    found = run_seeds(tmp_path, first=1, seeds=most, plant=plant)
    assert found.broken, f"{PLANTS[plant].about}: not found in {most} seeds"
    assert PLANTS[plant].found_by in found.broken["broken"], found.report()
    figures.append(
        f"{plant}: found by seed {found.broken['seed']}: {found.broken['broken']}"[:180]
    )
