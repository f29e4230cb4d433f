"""Potential evaporation by Oudin (2005) and the radiation of FAO-56 that it takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_derivations.evaporation import Numbers, extraterrestrial_radiation, oudin

TEMPERATURES = st.floats(-60, 50)
DAYS = st.integers(1, 366)
LATITUDES = st.floats(-90, 90)


def numbers(*values: float) -> Numbers:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("day", "latitude", "published"),
    [
        (246, -20, 32.2),  # example 8: 3 September at 20 degrees south
        (15, 0, 36.2),  # annex 2, table 2.6: the equator in January
    ],
)
def test_radiation_is_that_of_the_tables_of_fao_56(
    day: float, latitude: float, published: float
) -> None:
    found = extraterrestrial_radiation(numbers(day), numbers(latitude))
    assert found[0] == pytest.approx(published, abs=0.1)


def test_the_polar_night_has_no_radiation_and_the_polar_day_has_most() -> None:
    assert extraterrestrial_radiation(numbers(355), numbers(80)).tolist() == [0]
    pole, equator = extraterrestrial_radiation(numbers(172), numbers(90, 0))
    assert pole > equator > 30


def test_evaporation_is_the_radiation_s_depth_by_a_hundredth_of_the_warmth_above_minus_5() -> None:
    """32.2 MJ m-2 d-1 / 2.45 MJ kg-1 = 13.14 mm d-1; times (20 + 5) / 100 is 3.286."""
    found = oudin(numbers(20), numbers(246), numbers(-20))
    assert found[0] == pytest.approx(3.286, abs=0.01)
    # As warm as 95 degC it would be the whole depth.
    assert oudin(numbers(95), numbers(246), numbers(-20))[0] == pytest.approx(13.14, abs=0.04)


@given(TEMPERATURES, DAYS, LATITUDES)
def test_evaporation_is_never_below_0_and_0_in_the_cold(
    warmth: float, day: int, latitude: float
) -> None:
    (found,) = oudin(numbers(warmth), numbers(day), numbers(latitude))
    assert found >= 0
    if warmth <= -5:
        assert found == 0


@given(TEMPERATURES, st.floats(0.01, 30), DAYS, LATITUDES)
def test_evaporation_rises_with_temperature(
    warmth: float, more: float, day: int, latitude: float
) -> None:
    cold, warm = oudin(numbers(warmth, warmth + more), numbers(day), numbers(latitude))
    assert warm >= cold
    sun = extraterrestrial_radiation(numbers(day), numbers(latitude))[0]
    if warmth > -5 and sun > 0.01:
        assert warm > cold


@given(st.floats(-4.9, 50), DAYS, DAYS, LATITUDES, LATITUDES)
def test_evaporation_rises_with_radiation(
    warmth: float, day: int, other_day: int, latitude: float, other: float
) -> None:
    days, latitudes = numbers(day, other_day), numbers(latitude, other)
    sun = extraterrestrial_radiation(days, latitudes)
    found = oudin(numbers(warmth), days, latitudes)
    if abs(sun[1] - sun[0]) > 0.01:
        assert (found[1] > found[0]) == (sun[1] > sun[0])
