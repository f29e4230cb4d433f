"""Make the weather of one sub-basin of the Delaware, as the model HBV reads it.

    python hbv_basin.py --forcing FOLDER --parameters FOLDER --gauge 01420500 --output FOLDER

The sub-basin is all hydrologic response units (HRUs) whose water passes the gauge, by the segments
of the river network. ``basin.nc`` holds their mean, weighted by area, for each day: ``pr``
(mm d-1), ``tas`` (degC, the mean of the day's lowest and highest) and ``evspsblpot`` (mm d-1), the
potential evaporation of Oudin et al. (2005), doi:10.1016/j.jhydrol.2004.08.026, with the radiation
of FAO-56; and as attributes the gauge, the area in km2 and the number of HRUs.

It ends with status 2 and one sentence on stderr where something is missing.
"""

import argparse
import sys
from pathlib import Path

import netCDF4
import numpy as np

KM2_PER_ACRE = 0.0040468564224
MM_PER_INCH = 25.4


def read(folder: Path, file: str, name: str) -> np.ndarray:
    with netCDF4.Dataset(folder / file) as data:
        data.set_auto_mask(False)
        return np.asarray(data[name][...])


def units_above(gauge: str, folder: Path) -> np.ndarray:
    """Which HRUs drain to the gauge; raises SystemExit for an unknown one."""
    with netCDF4.Dataset(folder / "parameters_dis_both.nc") as data:
        gauges = [str(each) for each in data["poi_gage_id"][...]]
        segments = np.asarray(data["poi_gage_segment"][...])
        to_segment = np.asarray(data["tosegment"][...])  # counted from 1; 0 leaves the basin
    if gauge not in gauges:
        raise SystemExit(f"{gauge} is no gauge of these parameters, for example {gauges[0]} is")
    above = {int(segments[gauges.index(gauge)])}
    while more := {n + 1 for n, to in enumerate(to_segment) if int(to) in above} - above:
        above |= more
    of_unit = read(folder, "parameters_PRMSChannel.nc", "hru_segment")
    return np.isin(of_unit, list(above))


def oudin(celsius: np.ndarray, day_of_year: np.ndarray, latitude: float) -> np.ndarray:
    """Potential evaporation in mm d-1 (Oudin et al. 2005, equation 3; FAO-56, equation 21)."""
    year = 2 * np.pi * day_of_year / 365
    declination = 0.409 * np.sin(year - 1.39)
    north = np.radians(latitude)
    sunset = np.arccos(-np.tan(north) * np.tan(declination))
    height = sunset * np.sin(north) * np.sin(declination)
    height += np.cos(north) * np.cos(declination) * np.sin(sunset)
    radiation = 24 * 60 / np.pi * 0.0820 * (1 + 0.033 * np.cos(year)) * height
    return np.maximum(radiation / 2.45 * (celsius + 5) / 100, 0)


def write(path: Path, days: np.ndarray, series: dict[str, np.ndarray], **about: object) -> None:
    units = {"pr": "mm d-1", "tas": "degC", "evspsblpot": "mm d-1"}
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(about)
        file.createDimension("time", len(days))
        time = file.createVariable("time", "i4", ("time",))
        time.units, time.calendar = "days since 1979-01-01", "standard"
        time[:] = (days - np.datetime64("1979-01-01")).astype(int)
        for name, values in series.items():
            variable = file.createVariable(name, "f8", ("time",))
            variable.units = units[name]
            variable[:] = values


def main() -> None:
    parser = argparse.ArgumentParser(description="The weather of a sub-basin, for HBV.")
    for name in ("forcing", "parameters", "gauge", "output"):
        parser.add_argument(f"--{name}", required=True)
    told = parser.parse_args()
    forcing, parameters, output = (
        Path(each) for each in (told.forcing, told.parameters, told.output)
    )
    inside = units_above(told.gauge, parameters)
    area = read(parameters, "parameters_dis_hru.nc", "hru_area")[inside] * KM2_PER_ACRE
    latitude = read(parameters, "parameters_dis_hru.nc", "hru_lat")[inside]
    weight = area / area.sum()
    rain, warmest, coldest = (
        read(forcing, f"{name}.nc", name)[:, inside] @ weight for name in ("prcp", "tmax", "tmin")
    )
    celsius = ((warmest + coldest) / 2 - 32) / 1.8
    days = np.datetime64("1979-01-01") + np.arange(len(rain))
    in_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
    series = {
        "pr": rain * MM_PER_INCH,
        "tas": celsius,
        "evspsblpot": oudin(celsius, in_year, float(latitude @ weight)),
    }
    output.mkdir(parents=True, exist_ok=True)
    about = {"gauge": told.gauge, "area_km2": float(area.sum()), "units": int(inside.sum())}
    write(output / "basin.nc", days, series, **about)
    print(f"{about['units']} units, {area.sum():.0f} km2 above {told.gauge}", file=sys.stderr)


if __name__ == "__main__":
    main()
