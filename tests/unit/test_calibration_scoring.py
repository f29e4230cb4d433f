"""Calibration: how well a run fits what was observed, at one location and at several."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace_calibration.core.periods import Span
from headrace_calibration.core.plan import read_plan
from headrace_calibration.scoring import Scorer
from headrace_model.errors import InvalidInput

_HOUR, _DAY = 3_600_000, 86_400_000
_SPAN = Span(0, 4 * _DAY)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def _scorer(root: Path, objective: str, *weights: float) -> Scorer:
    """Observations in `root`/seen; the locations are a, b, c …"""
    locations = [
        {"observed": name, "simulated": name, "weight": weight}
        for name, weight in zip("abc", weights, strict=False)
    ]
    model = {"command": ["true"], "env": {}, "files": [], "links": [], "output": "",
             "limit_s": None}  # fmt: skip
    plan = {
        "headrace_calibration": 1, "parameters": [], "algorithm": "dds", "options": {},
        "iterations": 1, "parallel": 1, "seed": 1, "objective": objective,
        "train": [_SPAN.begin, _SPAN.end], "validate": None, "warm_up_ms": 0, "stop": {},
        "model": model,
        "evaluation": {"unit": None, "variable": None, "locations": locations},
    }  # fmt: skip
    return Scorer(read_plan(json.dumps(plan).encode()), root / "seen")


def _write(folder: Path, step_ms: int, **columns: Any) -> Path:
    folder.mkdir()
    rows = [
        ",".join(
            [f"{_BEGIN + timedelta(milliseconds=n * step_ms):%Y-%m-%dT%H:%M:%SZ}", *map(str, row)]
        )
        for n, row in enumerate(zip(*columns.values(), strict=True))
    ]
    (folder / "flow.csv").write_text("\n".join([",".join(["time", *columns]), *rows, ""]))
    return folder


def _score(scorer: Scorer, run: Path) -> float:
    return scorer.score(scorer.read(run), _SPAN)


def test_a_model_of_hours_is_scored_by_the_days_that_were_observed(tmp_path: Path) -> None:
    hours = np.arange(96.0)
    _write(tmp_path / "seen", _DAY, a=hours.reshape(4, 24).mean(1) + 2)
    run = _write(tmp_path / "run", _HOUR, a=hours)
    assert _score(_scorer(tmp_path, "rmse", 1), run) == pytest.approx(2)


def test_steps_that_do_not_fit_are_told_with_the_location(tmp_path: Path) -> None:
    _write(tmp_path / "seen", _DAY, a=[1, 2, 3, 4])
    run = _write(tmp_path / "run", 5 * _HOUR, a=range(19))
    with pytest.raises(InvalidInput, match="a: the step simulated is 5 h, the one observed 24 h"):
        _score(_scorer(tmp_path, "rmse", 1), run)


@pytest.mark.parametrize(
    ("objective", "perfect", "too_low", "too_high"),
    [("pbias", 0.0, -20.0, 20.0), ("kge_beta", 1.0, 0.8, 1.2), ("kge_alpha", 1.0, 0.8, 1.2)],
)
def test_too_much_at_one_location_does_not_make_up_for_too_little_at_another(
    tmp_path: Path, objective: str, perfect: float, too_low: float, too_high: float
) -> None:
    seen = np.array([1.0, 4.0, 2.0, 3.0])
    _write(tmp_path / "seen", _DAY, a=seen, b=seen)
    run = _write(tmp_path / "run", _DAY, a=0.8 * seen, b=1.2 * seen)
    scorer = _scorer(tmp_path, objective, 1, 1)
    apart = abs(too_high - perfect)
    assert scorer.objective.loss(_score(scorer, run)) == pytest.approx(apart)
    weighted = _scorer(tmp_path, objective, 3, 1)
    assert _score(weighted, run) == pytest.approx(too_low), "the sign of what weighs more"
    both = _write(tmp_path / "both", _DAY, a=1.1 * seen, b=1.3 * seen)
    same_way = perfect + (too_high - perfect) * (3 * 0.5 + 1 * 1.5) / 4
    assert _score(weighted, both) == pytest.approx(same_way)


def test_a_metric_with_a_highest_value_is_the_weighted_mean(tmp_path: Path) -> None:
    seen = np.array([1.0, 4.0, 2.0, 3.0])
    _write(tmp_path / "seen", _DAY, a=seen, b=seen)
    run = _write(tmp_path / "run", _DAY, a=seen, b=np.full(4, 2.5))
    assert _score(_scorer(tmp_path, "nse", 3, 1), run) == pytest.approx(0.75)
