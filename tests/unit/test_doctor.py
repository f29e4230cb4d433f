"""Checks of the doctor that no machine can be brought to fail: they are values in, values out."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace_local.doctor import machine
from headrace_local.doctor.finding import Level
from headrace_local.doctor.running import certificate

_PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 10), Level.PROBLEM),
        ((3, 11), Level.OK),
        ((3, 13), Level.OK),
        ((3, 14), Level.WARN),
        ((4, 0), Level.WARN),
    ],
)
def test_a_python_is_old_right_or_untried(version: tuple[int, int], level: Level) -> None:
    (found,) = machine.python(version)
    assert (found.level, ".".join(map(str, version)) in found.says) == (level, True)
    assert (found.fix is None) == (level is Level.OK)


def test_the_pythons_are_those_of_the_distribution() -> None:
    project = _PYPROJECT["project"]
    assert project["requires-python"] == f">={machine.OLDEST[0]}.{machine.OLDEST[1]}"
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if " :: 3." in each]
    assert max(tuple(map(int, each.split("."))) for each in named) == machine.NEWEST


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(days=30), Level.OK),
        (timedelta(days=13), Level.WARN),
        (timedelta(seconds=1), Level.WARN),
        (timedelta(0), Level.PROBLEM),
    ],
)
def test_a_certificate_is_good_ends_soon_or_has_expired(left: timedelta, level: Level) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert certificate(now + left, "the certificate x", now).level is level
