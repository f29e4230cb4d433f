"""Estimates of run time and memory: what they cover, whom they compare, how they are told."""

from dataclasses import replace
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.estimate import (
    KEPT,
    LEAST,
    Likeness,
    Run,
    estimate_of,
    likeness_of,
    lower,
    upper,
)
from headrace_model.resources import Resources
from headrace_model.spec import ArraySpec, Environment, JobSpec, ResourceSpec

GIB = 2**30


def _spec(*command: str, image: str | None = None) -> JobSpec:
    return JobSpec(kind="command", name="run", command=command, image=image)


def _runs(*times: int) -> list[Run]:
    return [Run(time) for time in times]


@given(st.lists(st.integers(0, 10**9), min_size=LEAST, max_size=200))
def test_the_rank_of_a_quantile_is_the_smallest_that_covers_the_next_of_n_plus_one(
    values: list[int],
) -> None:
    ordered = sorted(values)
    n = len(ordered)
    for tenths in range(1, 10):
        rank = min(k for k in range(1, n + 1) if 10 * k >= tenths * (n + 1))
        assert upper(ordered, tenths) == ordered[rank - 1]
    rank = max(k for k in range(1, n + 1) if 10 * k <= n + 1)
    assert lower(ordered, 1) == ordered[rank - 1]


def _trace(rng: Random, jobs: int) -> list[tuple[JobSpec, int, int]]:
    """A synthetic trace: programs with their own spread, run times that grow with the inputs and
    drift (by half in all, with a step of a fifth midway, as a new version of a model brings)."""
    programs = [(f"model{n}", rng.uniform(3, 9), rng.uniform(0.1, 0.8)) for n in range(6)]
    found = []
    for at in range(jobs):
        name, middle, spread = rng.choice(programs)
        input_bytes = rng.choice([0, GIB // 4, GIB, 3 * GIB])
        drift = 1 + 0.5 * at / jobs + (0.2 if at > jobs // 2 else 0)
        scale = exp(middle) * (1 + input_bytes / GIB) * drift
        seconds = scale * rng.lognormvariate(0, spread)
        command = (name, "run.yaml", f"--year={rng.randrange(1900, 2100)}")
        found.append((_spec(*command), input_bytes, round(seconds * 1000)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_p90_covers_nine_of_ten_runs_of_a_trace_that_it_has_not_seen(seed: int) -> None:
    runs_of: dict[str, list[Run]] = {}
    covered = above = told = 0
    for spec, input_bytes, run_ms in _trace(Random(seed), 4_000):  # noqa: S311 - a trace to replay
        likeness = likeness_of(spec, "ann")
        assert likeness is not None
        if estimate := estimate_of(likeness, input_bytes, runs_of):
            told += 1
            covered += run_ms <= estimate.p90_ms
            above += run_ms >= estimate.p10_ms
        for key in likeness.keys(input_bytes):
            runs_of.setdefault(key, []).append(Run(run_ms))
    assert told > 3_500
    assert 0.85 <= covered / told <= 0.95
    assert 0.85 <= above / told <= 0.95


def test_the_narrowest_key_with_enough_runs_is_taken_and_the_basis_names_it() -> None:
    likeness = likeness_of(_spec("model", "a.yaml", image="lab/model:1"), "ann")
    assert likeness is not None
    command, program, software = likeness.keys(int(1.5 * GIB))
    runs_of = {
        command: _runs(*range(LEAST - 1)),
        program: _runs(*range(100, 129)),
        software: _runs(*range(30)),
    }
    found = estimate_of(likeness, int(1.5 * GIB), runs_of)
    assert found is not None
    assert found.basis == "p90 of 29 runs of this program with inputs of 1.0 GiB to 2.0 GiB"
    assert (found.p10_ms, found.p50_ms, found.p90_ms) == (102, 114, 126)
    del runs_of[program]
    broader = estimate_of(likeness, int(1.5 * GIB), runs_of)
    assert broader is not None
    assert broader.basis == "p90 of 30 runs of this software with inputs of 1.0 GiB to 2.0 GiB"
    assert estimate_of(likeness, 0, runs_of) is None


def test_only_the_newest_runs_count() -> None:
    likeness = Likeness("c", "p")
    (key, _) = likeness.keys(0)
    found = estimate_of(likeness, 0, {key: _runs(*[10**6] * 50, *[1] * KEPT)})
    assert found is not None
    assert (found.p90_ms, found.runs, found.basis) == (1, KEPT, "p90 of 32 runs of this command")


def test_memory_is_told_where_enough_runs_were_measured() -> None:
    likeness = Likeness("c", "p")
    (key, _) = likeness.keys(0)
    measured = [Run(1, peak) for peak in range(1, 10)]
    told = estimate_of(likeness, 0, {key: [*measured, *_runs(1, 1)]})
    untold = estimate_of(likeness, 0, {key: [*measured[1:], *_runs(1, 1)]})
    assert told is not None
    assert told.memory_bytes == 9
    assert untold is not None
    assert untold.memory_bytes is None


def test_jobs_are_alike_by_command_program_and_software() -> None:
    base = _spec("python", "-u", "run.py", "--year", "1979")
    other_year = replace(base, command=(*base.command[:-1], "1980"))
    ann, bob = likeness_of(base, "ann"), likeness_of(base, "bob")
    later = likeness_of(other_year, "ann")
    assert ann is not None
    assert bob is not None
    assert later is not None
    assert ann.command == bob.command
    assert ann.program != bob.program
    assert ann.command != later.command
    assert ann.program == later.program
    assert not ann.software
    wider = replace(base, resources=ResourceSpec(Resources(4_000, GIB)))
    assert likeness_of(wider, "ann") not in (None, ann)
    packaged = likeness_of(replace(base, environment=Environment(("numpy==2.1.0",))), "ann")
    assert packaged is not None
    assert packaged.software
    assert likeness_of(replace(base, array=ArraySpec(count=3)), "ann") is None
