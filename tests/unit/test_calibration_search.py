"""Calibration: the algorithms, the course of a search, and that a kill changes no end."""

import json
import random
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_calibration.core.course import Course, Iteration, StopRules
from headrace_calibration.core.objective import Objective
from headrace_calibration.core.plan import read_plan
from headrace_calibration.core.record import line_of, read_record
from headrace_calibration.core.sampler import Search, make_sampler
from headrace_calibration.core.space import Parameter, Point, first_point, values_at
from headrace_calibration.recording import FILE, Record
from headrace_calibration.search import Searcher
from headrace_kinds.calibration_settings import Algorithm, Scale
from headrace_model.errors import InvalidInput

_BOWL = Objective("rmse", 0.0, False)


def _plan(**other: Any) -> dict[str, Any]:
    parameters = [
        {"name": name, "min": 0.0, "max": 1.0, "init": 0.9, "scale": "linear", "input": None,
         "file": "model.json", "key": f"/{name}"}
        for name in ("a", "b", "c")
    ]  # fmt: skip
    return {
        "headrace_calibration": 1,
        "parameters": parameters,
        "algorithm": "dds",
        "options": {},
        "iterations": 40,
        "parallel": 1,
        "seed": 7,
        "objective": "rmse",
        "train": [0, 100],
        "validate": None,
        "warm_up_ms": 0,
        "stop": {},
        "model": {"command": ["true"], "env": {}, "files": [], "links": [], "output": "",
                  "limit_s": None},
        "evaluation": {},
        **other,
    }  # fmt: skip


def _read(**other: Any) -> Any:
    return read_plan(json.dumps(_plan(**other)).encode())


def _bowl(number: int, values: Mapping[str, float]) -> tuple[float | None, str]:
    if 0.6 < values["a"] < 0.8:
        return None, "exit code 1"
    return sum(
        (value - at) ** 2 for value, at in zip(values.values(), (0.2, 0.4, 0.6), strict=True)
    ), ""


def _search(
    folder: Path,
    evaluate: Callable[..., Any] = _bowl,
    said: list[str] | None = None,
    **other: Any,
) -> Course:
    plan = _read(**other)
    course = Course(_BOWL, plan.rules)
    say = (said if said is not None else []).append
    Searcher(plan, Record(folder, plan.digest), evaluate, lambda: None, say).run(course)
    return course


def _end(course: Course) -> list[Any]:
    return [(each.number, each.parameters, each.score, each.failure) for each in course.iterations]


class _Killed(BaseException):
    """What a kill does to the loop: it ends between any two model runs."""


class TestAlgorithms:
    """Samplers against the library, brute force, and what their sources promise."""

    @pytest.mark.parametrize("size", [1, 4])
    def test_dds_tries_the_points_that_spotpy_tries_from_the_same_chance(self, size: int) -> None:
        import spotpy

        def loss(point: Any) -> float:
            return float(sum((each - 0.3) ** 2 for each in point))

        tried: list[tuple[float, ...]] = []

        class Setup:
            def parameters(self) -> Any:
                one = [
                    spotpy.parameter.Uniform(str(each), 0, 1, minbound=0, maxbound=1)
                    for each in range(size)
                ]
                return spotpy.parameter.generate(one)

            def simulation(self, vector: Any) -> list[float]:
                tried.append(tuple(map(float, vector)))
                return [loss(vector)]

            def evaluation(self) -> list[float]:
                return [0.0]

            def objectivefunction(self, simulation: Any, evaluation: Any) -> float:
                return -float(simulation[0])

        class Chance:
            """numpy's old names for the same numbers."""

            def __init__(self, seed: int) -> None:
                self._rng = np.random.default_rng(seed)

            def rand(self, count: int | None = None) -> Any:
                if count is None:
                    return self._rng.random()
                return [self._rng.random() for _ in range(count)]

            def normal(self, mean: float, deviation: float) -> float:
                return float(mean + deviation * self._rng.standard_normal())

        first = (0.9,) * size
        kept = random.getstate(), np.random.get_state()
        peer = spotpy.algorithms.dds(Setup(), dbformat="ram", random_state=1)
        peer._set_np_random(Chance(3))
        peer.sample(60, x_initial=np.array(first))
        random.setstate(kept[0])
        np.random.set_state(kept[1])

        sampler = make_sampler(Search(Algorithm.DDS, first, 60, {}), np.random.default_rng(3))
        ours: list[Point] = []
        while points := sampler.ask():
            ours += points
            sampler.tell([loss(each) for each in points])
        assert len(ours) == 60
        np.testing.assert_allclose(ours, tried, rtol=0, atol=1e-15)

    @given(
        algorithm=st.sampled_from(sorted(Algorithm)),
        iterations=st.integers(1, 60),
        size=st.integers(1, 5),
        seed=st.integers(0, 2**32),
        data=st.data(),
    )
    @settings(max_examples=60, deadline=None)
    def test_each_asks_just_so_many_points_of_the_cube_whatever_it_is_told(
        self, algorithm: Algorithm, iterations: int, size: int, seed: int, data: st.DataObject
    ) -> None:
        first = (0.25,) * size
        search = Search(algorithm, first, iterations, {})
        sampler = make_sampler(search, np.random.default_rng(seed))
        told = data.draw(st.sampled_from(["failed", "same", "falling"]))
        asked: list[Point] = []
        while points := sampler.ask():
            asked += points
            losses = {"failed": inf, "same": 1.0, "falling": -float(len(asked))}
            sampler.tell([losses[told]] * len(points))
        assert len(asked) == iterations
        assert asked[0] == first
        assert all(0.0 <= each <= 1.0 for point in asked for each in point)
        assert sampler.ask() == ()

    def test_a_latin_hypercube_has_one_value_in_each_stratum_of_each_parameter(self) -> None:
        sampler = make_sampler(Search(Algorithm.LHS, (0.5,) * 3, 51, {}), np.random.default_rng(1))
        sample = np.array(sampler.ask()[1:])
        strata = np.sort((sample * 50).astype(int), axis=0)
        assert (strata == np.arange(50)[:, None]).all()

    @pytest.mark.parametrize(("algorithm", "within"), [("dds", 1e-3), ("pso", 1e-3)])
    def test_what_learns_finds_the_bottom_of_a_valley_and_beats_chance(
        self, algorithm: str, within: float, tmp_path: Path
    ) -> None:
        found = {}
        for name in (algorithm, "random"):
            (tmp_path / name).mkdir()
            best = _search(tmp_path / name, algorithm=name, iterations=400).best
            assert best is not None
            found[name] = best.score or 0.0
        assert found[algorithm] < within
        assert found[algorithm] < found["random"] / 2


class TestSpace:
    """Parameters and their limits."""

    @given(
        low=st.floats(1e-9, 1e6), factor=st.floats(1.001, 1e6), at=st.floats(0, 1),
        scale=st.sampled_from(Scale),
    )  # fmt: skip
    def test_coordinates_and_values_are_each_others_inverse_and_stay_inside(
        self, low: float, factor: float, at: float, scale: Scale
    ) -> None:
        parameter = Parameter("k", low, low * factor, low, scale)
        value = parameter.value(at)
        assert low <= value <= low * factor
        assert parameter.value(parameter.coordinate(value)) == pytest.approx(value, rel=1e-9)
        assert (parameter.value(0.0), parameter.value(1.0)) == pytest.approx((low, low * factor))

    def test_the_search_begins_at_the_very_value_that_was_given(self) -> None:
        space = (Parameter("satdk", 0.0, 0.000726, 3.38e-06), Parameter("b", 1, 21.9, 4.05))
        assert values_at(space, first_point(space)) == {"satdk": 3.38e-06, "b": 4.05}

    @pytest.mark.parametrize(
        ("limits", "why"),
        [
            ((1.0, 1.0, 1.0), "k: min, 1, is not below max, 1"),
            ((0.0, 1.0, 2.0), "k: init, 2, is outside 0 to 1"),
            ((0.0, inf, 2.0), "k: min, max and init must be finite numbers"),
        ],
    )
    def test_limits_that_are_none_are_refused(
        self, limits: tuple[float, float, float], why: str
    ) -> None:
        with pytest.raises(InvalidInput, match=why):
            Parameter("k", *limits)
        with pytest.raises(InvalidInput, match="on a log scale min must be above 0"):
            Parameter("k", 0.0, 1.0, 0.5, Scale.LOG)


class TestGoingOn:
    """A search that is killed ends as one that is not."""

    @pytest.mark.parametrize("algorithm", sorted(Algorithm))
    @pytest.mark.parametrize("parallel", [1, 3])
    def test_a_kill_anywhere_changes_nothing_of_the_end(
        self, algorithm: str, parallel: int, tmp_path: Path
    ) -> None:
        whole = tmp_path / "whole"
        whole.mkdir()
        expected = _end(_search(whole, algorithm=algorithm))
        assert any(failure for *_, failure in expected)
        for at in (0, 1, 17, 39):
            folder = tmp_path / str(at)
            folder.mkdir()
            ran: list[int] = []

            def killed(number: int, values: Mapping[str, float], at: int = at) -> Any:
                if number == at:
                    raise _Killed
                return _bowl(number, values)

            def counted(number: int, values: Mapping[str, float]) -> Any:
                ran.append(number)  # noqa: B023 - of this round
                return _bowl(number, values)

            with pytest.raises(_Killed):
                _search(folder, killed, algorithm=algorithm, parallel=parallel)
            with (folder / FILE).open("ab") as file:
                file.write(b'{"number": 40, "para')  # cut by the kill
            had = read_record((folder / FILE).read_bytes(), _read(algorithm=algorithm).digest)
            again = _search(folder, counted, algorithm=algorithm, parallel=parallel)
            assert _end(again) == expected
            assert sorted(ran) == sorted(set(range(40)) - set(had))

    def test_the_number_of_models_at_once_changes_nothing_of_the_end(self, tmp_path: Path) -> None:
        ends = []
        for parallel in (1, 2, 7):
            (tmp_path / str(parallel)).mkdir()
            options = {"batch": 4}
            course = _search(tmp_path / str(parallel), parallel=parallel, options=options)
            ends.append(_end(course))
        assert ends[0] == ends[1] == ends[2]

    def test_another_seed_is_another_search(self, tmp_path: Path) -> None:
        ends = []
        for seed in (1, 2):
            (tmp_path / str(seed)).mkdir()
            ends.append(_end(_search(tmp_path / str(seed), seed=seed)))
        assert ends[0] != ends[1]

    def test_the_checkpoint_of_another_calibration_is_refused(self, tmp_path: Path) -> None:
        _search(tmp_path, iterations=5)
        with pytest.raises(InvalidInput, match="the checkpoint is of another calibration"):
            _search(tmp_path, iterations=6)

    def test_points_that_the_seed_does_not_give_are_refused(self, tmp_path: Path) -> None:
        plan = _read()
        record = Record(tmp_path, plan.digest)
        record.add(Iteration(0, (0.1, 0.1, 0.1), 1.0, "", 0.0, 0.0))
        with pytest.raises(InvalidInput, match="another version of numpy"):
            _search(tmp_path)

    def test_a_damaged_line_in_the_middle_is_told(self, tmp_path: Path) -> None:
        _search(tmp_path, iterations=5)
        lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
        (tmp_path / FILE).write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", *lines[3:]]))
        with pytest.raises(InvalidInput, match="the record of the calibration is damaged"):
            _search(tmp_path, iterations=5)

    @given(
        st.builds(
            Iteration,
            st.integers(0, 10**6),
            st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(tuple),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=20),
            st.floats(0, 1e6),
            st.floats(0, 1e6),
        )
    )
    def test_what_is_recorded_is_read_again_to_the_last_bit(self, iteration: Iteration) -> None:
        content = b'{"headrace_calibration": 1, "plan": "x"}\n' + line_of(iteration)
        assert read_record(content, "x") == {iteration.number: iteration}


class TestStopRules:
    """When a search is over before its last iteration."""

    def test_a_target_that_is_reached_ends_it(self, tmp_path: Path) -> None:
        course = _search(tmp_path, iterations=400, stop={"target": 0.05})
        assert course.over == "rmse is as good as the target, 0.05"
        *before, last = course.iterations
        assert last is course.best
        assert (last.score or 1.0) <= 0.05 < min(each.score or 1.0 for each in before)

    def test_too_long_without_anything_better_ends_it(self, tmp_path: Path) -> None:
        course = _search(tmp_path, iterations=400, stop={"without_better": 12})
        assert course.over == "12 iterations brought nothing better"
        assert course.best is not None
        assert len(course.iterations) - 1 - course.best.number == 12

    def test_time_counts_over_all_attempts(self, tmp_path: Path) -> None:
        stop = {"time_s": 3600.0, "without_better": 39}
        plan = _read(stop=stop)
        record = Record(tmp_path, plan.digest)
        first = values_at(plan.space, plan.search.first)
        record.add(Iteration(0, tuple(first.values()), 0.5, "", 1.0, 3599.9999))
        course = _search(tmp_path, stop=stop)
        assert course.over == "it ran for 3600 s, its time"
        assert len(course.iterations) < 40

    @pytest.mark.parametrize("parallel", [1, 4])
    def test_a_model_that_never_runs_ends_it_soon(self, tmp_path: Path, parallel: int) -> None:
        said: list[str] = []

        def fails(number: int, values: Mapping[str, float]) -> Any:
            return None, "exit code 1\nno such file"

        course = _search(tmp_path, fails, said, parallel=parallel, algorithm="lhs")
        assert course.hopeless
        assert course.over == "the first 3 runs of the model all failed"
        start, end = said[-1].split(" (a=", 1)
        assert start == "HEADRACE_PROGRESS 3/40 iteration 2: failed"
        assert end.endswith("): exit code 1; none ran yet")

    def test_a_score_that_is_no_number_is_a_failure_with_its_reason(self, tmp_path: Path) -> None:
        course = _search(tmp_path, lambda number, values: (float("nan"), ""), iterations=2)
        assert [each.failure for each in course.iterations] == [
            "rmse is no number for this run"
        ] * 2

    def test_the_best_so_far_is_said_with_each_iteration(self, tmp_path: Path) -> None:
        said: list[str] = []
        _search(tmp_path, said=said, iterations=3)
        assert said[0] == (
            "HEADRACE_PROGRESS 1/3 iteration 0: rmse 0.8300 (a=0.9, b=0.9, c=0.9); "
            "best rmse 0.8300 of iteration 0 (a=0.9, b=0.9, c=0.9)"
        )
        assert len(said) == 3

    def test_what_is_better_depends_on_the_metric(self) -> None:
        assert Objective("kge", 1.0, True).loss(0.7) == pytest.approx(0.3)
        assert Objective("pbias", 0.0, False).loss(-7.0) == 7.0
        course = Course(Objective("kge", 1.0, True), StopRules())
        for number, score in enumerate((0.2, 0.9, None, 0.9, -3.0)):
            course.add(Iteration(number, (), score, "", 0, 0))
        assert course.best is course.iterations[1]
