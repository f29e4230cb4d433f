"""Potential evaporation from the mean temperature of a day and the latitude.

Oudin, L. et al. (2005): Which potential evapotranspiration input for a lumped rainfall-runoff
model? Part 2. Journal of Hydrology 303, 290-306, equation 3. The radiation is that of Allen, R. G.
et al. (1998): Crop evapotranspiration, FAO Irrigation and Drainage Paper 56, equations 21 to 25.
"""

from typing import Any, Final

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]

_SOLAR: Final = 0.0820  # MJ m-2 min-1, the solar constant of FAO-56
_LATENT: Final = 2.45  # MJ kg-1, latent heat of vaporization in both sources
_WATER: Final = 1000.0  # kg m-3


def extraterrestrial_radiation(day_of_year: Numbers, latitude: Numbers) -> Numbers:
    """Radiation at the top of the atmosphere in MJ m-2 d-1 (FAO-56, equation 21).

    `day_of_year` 1 to 366, `latitude` in degrees north; they broadcast. Where the sun does not set
    the sunset is at midnight, where it does not rise the radiation is 0.
    """
    year = 2 * np.pi * day_of_year / 365
    distance = 1 + 0.033 * np.cos(year)
    declination = 0.409 * np.sin(year - 1.39)
    north = np.radians(latitude)
    sunset = np.arccos(np.clip(-np.tan(north) * np.tan(declination), -1, 1))
    height = sunset * np.sin(north) * np.sin(declination)
    height = height + np.cos(north) * np.cos(declination) * np.sin(sunset)
    radiation: Numbers = np.maximum(24 * 60 / np.pi * _SOLAR * distance * height, 0)
    return radiation


def oudin(mean_temperature: Numbers, day_of_year: Numbers, latitude: Numbers) -> Numbers:
    """Potential evaporation in mm d-1, never below 0; 0 where the day is colder than -5 degC.

    `mean_temperature` in degC; all broadcast.
    """
    radiation = extraterrestrial_radiation(day_of_year, latitude)
    depth_m = radiation / (_LATENT * _WATER) * (mean_temperature + 5) / 100
    found: Numbers = np.maximum(depth_m * 1000, 0)
    return found
