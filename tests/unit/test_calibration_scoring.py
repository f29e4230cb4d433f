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


def _scorer(root: Path, objective: str, *weights: float, **evaluation: Any) -> Scorer:
    """Observations in `root`/seen; the locations are a, b, c …"""
    locations = [
        {"observed": name, "simulated": name, "weight": weight}
        for name, weight in zip("abc", weights, strict=False)
    ]
    told = {"unit": None, "variable": None, "locations": locations}
    model = {"command": ["true"], "env": {}, "files": [], "links": [], "output": "",
             "limit_s": None}  # fmt: skip
    plan = {
        "headrace_calibration": 1, "parameters": [], "algorithm": "dds", "options": {},
        "iterations": 1, "parallel": 1, "seed": 1, "objective": objective,
        "train": [_SPAN.begin, _SPAN.end], "validate": None, "warm_up_ms": 0, "stop": {},
        "model": model,
        "evaluation": told | evaluation,
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


@pytest.mark.parametrize("unit", [None, "l/s"])
def test_both_are_brought_into_one_unit_whether_one_is_asked_for_or_not(
    tmp_path: Path, unit: str | None
) -> None:
    seen = np.array([1.0, 4.0, 2.0, 3.0])
    _write(tmp_path / "seen", _DAY, **{"a [m3 s-1]": seen})
    run = _write(tmp_path / "run", _DAY, **{"a [ft3 s-1]": seen / 0.3048**3})
    scorer = _scorer(tmp_path, "rmse", 1, unit=unit)
    assert _score(scorer, run) == pytest.approx(0, abs=1e-9)
    untold = _write(tmp_path / "untold", _DAY, a=seen + 1)
    apart = 1 if unit is None else np.sqrt(np.mean((seen + 1 - 1000 * seen) ** 2))
    assert _score(scorer, untold) == pytest.approx(apart)


def test_what_is_not_there_or_can_not_be_compared_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "seen", _DAY, **{"a [m3 s-1]": [1, 2, 3, 4]})
    scorer = _scorer(tmp_path, "rmse", 1)
    other = _write(tmp_path / "other", _DAY, outlet=[1, 2, 3, 4])
    with pytest.raises(InvalidInput, match="output tells nothing of a; known are outlet"):
        scorer.read(other)
    depth = _write(tmp_path / "depth", _DAY, **{"a [mm d-1]": [1, 2, 3, 4]})
    with pytest.raises(InvalidInput, match="a: values in 'mm d-1' can't be compared in 'm3 s-1'"):
        scorer.read(depth)
    (other / "a.csv").write_text("time,a\nnever,1\n")
    with pytest.raises(InvalidInput, match=r"the model's output: a\.csv: line 2, column time"):
        scorer.read(other)


def _catchments(folder: Path, *depths: float) -> Path:
    """What the kind `bmi` writes: a file a catchment, which tells no unit."""
    folder.mkdir()
    for number, depth in enumerate(depths, 1):
        rows = [f"{n},1970-01-0{n + 1} 00:00:00,{depth * n}" for n in range(4)]
        (folder / f"cat-{number}.csv").write_text("\n".join(["Time Step,Time,Q", *rows, ""]))
    return folder


def test_the_depths_of_catchments_make_a_flow_by_their_areas(tmp_path: Path) -> None:
    flow = [n * (2 * 10 + 3 * 30) * 1000 / 86400 for n in range(4)]  # mm/d over km2 to m3/s
    _write(tmp_path / "seen", _DAY, **{"a [m3 s-1]": flow})
    run = _catchments(tmp_path / "run", 2, 3, 99)
    told: dict[str, Any] = {
        "locations": [
            {
                "observed": "a",
                "simulated": "a",
                "weight": 1,
                "areas_km2": {"cat-1": 10, "cat-2": 30},
            }
        ],
        "variable": "Q",
    }
    scorer = _scorer(tmp_path, "rmse", 1, **told, simulated_unit="mm/d")
    assert _score(scorer, run) == pytest.approx(0, abs=1e-12)
    with pytest.raises(InvalidInput, match="a: the values have no unit"):
        _scorer(tmp_path, "rmse", 1, **told).read(run)
    told["locations"][0]["areas_km2"] = {"cat-1": 10, "cat-7": 30}
    with pytest.raises(InvalidInput, match="output tells nothing of cat-7; did you mean cat-3"):
        _scorer(tmp_path, "rmse", 1, **told).read(run)
