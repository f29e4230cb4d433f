"""Ten thousand simulated seeds: `scripts/run-tests.sh soak -- -k simulated`.

`--seeds` says how many, HEADRACE_SIMULATION_FIRST_SEED with which to begin; see tests/simulation.
"""

import os
from pathlib import Path
from time import monotonic

import pytest

from tests.support.simulation.seeds import run_seeds

_FIRST = int(os.environ.get("HEADRACE_SIMULATION_FIRST_SEED", "1"))
_NUMBER = int(os.environ.get("HEADRACE_SIMULATION_SEEDS", "10000"))


def test_what_is_promised_holds_in_all_simulated_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = monotonic()
    found = run_seeds(tmp_path, first=_FIRST, seeds=_NUMBER)
    if found.broken:
        pytest.fail(found.report(), pytrace=False)
    assert len(found.outcomes) == _NUMBER
    with capsys.disabled():
        print(f"\n{found.figures(monotonic() - began)}")  # noqa: T201 - what the run was for
