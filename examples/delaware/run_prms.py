"""Run the Precipitation-Runoff Modeling System (PRMS) and write the flow at every gauge.

    python run_prms.py --forcing DIR --parameters DIR --output DIR [--start DAY --end DAY]

The whole chain runs in daily steps: solar geometry, atmosphere, canopy, snow, runoff, soil zone,
groundwater, channel (Markstrom et al. 2015, USGS Techniques and Methods 6-B7; Muskingum-Mann
routing), as USGS wrote it in Python (``pywatershed``, 2.0.4 or 3.0.0). Each process checks its
water balance at each step, and an imbalance ends the run.

Reads    forcing/{prcp,tmax,tmin}.nc: inches a day and degrees Fahrenheit, (time, nhm_id);
         parameters/parameters_*.nc as prepare.py lists them. Both folders may be read-only.
Writes   output/streamflow.nc: ``streamflow(time, gauge)`` in m3 s-1, the mean of each day, at the
         outflow of the segment on which a gauge lies; ``gauge_id(gauge)``, ``segment_id(gauge)``;
         CF-1.8, a discrete sampling geometry of time series. The same inputs, period and library
         versions give the same bytes.
Prints   lines such as ``progress 37.5 % 1979-10-01`` on stdout.
Ends     with status 0, or 2 and one sentence on stderr when an input or the period is wrong.

DAY is the first and the last day to run, both included (YYYY-MM-DD); without them the whole time
of the forcing runs.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

# Read by pywatershed's plotting modules when they are imported: a worker has no display.
os.environ["MPLBACKEND"] = "Agg"

import netCDF4
import numpy as np

PROCESSES = (
    "SolarGeometry",
    "Atmosphere",
    "Canopy",
    "Snow",
    "Runoff",
    "Soilzone",
    "Groundwater",
    "Channel",
)
FORCING = ("prcp", "tmax", "tmin")
CUBIC_METRES_PER_CUBIC_FOOT = 0.3048**3  # the international foot, exact
PROGRESS_LINES = 80


class InputError(Exception):
    """An input folder or the period can't be used; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where the gauges lie: three parallel arrays of the length n."""

    ids: np.ndarray[Any, Any]  # str, sorted
    segment_ids: np.ndarray[Any, Any]  # int, the National Hydrologic Model's ids
    segment_indexes: np.ndarray[Any, Any]  # int from 0, into the model's arrays


def read_gauges(parameters: Path) -> Gauges:
    """Read the gauges from the discretization file.

    ``poi_gage_segment`` counts segments from 1 (PRMS is Fortran); 0 means "on no segment".
    Raises InputError if no gauge lies on a segment.
    """
    with netCDF4.Dataset(parameters / "parameters_dis_both.nc") as file:
        ids = np.array([str(name).strip() for name in file["poi_gage_id"][:]])
        segments = np.asarray(file["poi_gage_segment"][:], dtype=np.int64)
        segment_ids = np.asarray(file["nhm_seg"][:], dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    order = order[segments[order] > 0]
    if order.size == 0:
        raise InputError("parameters_dis_both.nc places no gauge on a segment; nothing to write")
    indexes = segments[order] - 1
    return Gauges(ids[order], segment_ids[indexes], indexes)


def check_files(folder: Path, names: list[str]) -> None:
    """Raise InputError if a file is missing below the folder."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} holds no {', '.join(missing)}; make it with prepare.py")


def forcing_days(forcing: Path) -> list[date]:
    """Return the days that all forcing files hold.

    Raises InputError if the files differ or their days leave gaps.
    """
    found: list[date] | None = None
    for name in FORCING:
        with netCDF4.Dataset(forcing / f"{name}.nc") as file:
            time = file["time"]
            stamps: Any = netCDF4.num2date(
                time[:], time.units, getattr(time, "calendar", "standard")
            )
        days = [date(stamp.year, stamp.month, stamp.day) for stamp in stamps]
        if found is not None and days != found:
            raise InputError(f"{name}.nc has other days than {FORCING[0]}.nc in {forcing}")
        found = days
    if not found or found[-1] - found[0] != timedelta(days=len(found) - 1):
        raise InputError(f"the forcing in {forcing} isn't one value a day without gaps")
    return found


def choose_period(available: list[date], start: date | None, end: date | None) -> list[date]:
    """Return the days to run; raise InputError if the forcing doesn't hold them all."""
    first, last = start or available[0], end or available[-1]
    if last < first:
        raise InputError(f"--end {last} lies before --start {first}")
    if first < available[0] or last > available[-1]:
        raise InputError(
            f"the forcing holds {available[0]} to {available[-1]}, not {first} to {last}"
        )
    return available[(first - available[0]).days : (last - available[0]).days + 1]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what pywatershed prints and warns about while it is imported and built.

    It names optional plotting packages that are absent and kernels that numba compiles: noise in
    a job's log. Errors still reach the caller as exceptions.
    """
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def build_model(forcing: Path, parameters: Path, days: list[date]) -> Any:
    """Build the chain of all processes, ready at its first step (a ``pywatershed.Model``)."""
    import pywatershed

    # The same option under two names: 3.0.0 renamed it.
    is_2 = pywatershed.__version__.startswith("2.")
    balance = "budget_type" if is_2 else "imbalance_behavior"
    control = pywatershed.Control(
        start_time=np.datetime64(days[0], "s"),
        end_time=np.datetime64(days[-1], "s"),
        time_step=np.timedelta64(24, "h"),
        options={
            "input_dir": forcing,
            "calc_method": "numpy",
            # Ponds and wetlands (depression storage). 2.0.4 has them on by default; 3.0.0 means
            # to, but loses the default and runs without them, so say it.
            "dprst_flag": True,
            balance: "error",
        },
    )

    def load(name: str) -> Any:
        return pywatershed.Parameters.from_netcdf(
            parameters / f"parameters_{name}.nc", encoding=False
        )

    chain: dict[str, Any] = {
        "control": control,
        "dis_hru": load("dis_hru"),
        "dis_both": load("dis_both"),
        "model_order": [process.lower() for process in PROCESSES],
    }
    for process in PROCESSES:
        chain[process.lower()] = {
            "class": getattr(pywatershed, f"PRMS{process}"),
            "parameters": load(f"PRMS{process}"),
            # Only the channel knows segments; the others live on HRUs.
            "dis": "dis_both" if process == "Channel" else "dis_hru",
        }
    return pywatershed.Model(chain)


def run(model: Any, days: list[date], segment_indexes: np.ndarray[Any, Any]) -> Any:
    """Step through the days; return the flow in m3 s-1, float64 (time, gauge)."""
    outflow_cfs = np.empty((len(days), segment_indexes.size))
    printed = 0
    for step, day in enumerate(days):
        model.advance()
        model.calculate()
        outflow_cfs[step] = model.processes["channel"]["seg_outflow"][segment_indexes]
        due = (step + 1) * PROGRESS_LINES // len(days)
        if due > printed:
            printed = due
            print(f"progress {100 * (step + 1) / len(days):.1f} % {day}", flush=True)
    model.finalize()
    return outflow_cfs * CUBIC_METRES_PER_CUBIC_FOOT


def write_streamflow(
    path: Path, days: list[date], gauges: Gauges, flow: np.ndarray[Any, Any], version: str
) -> None:
    """Write the flow (time, gauge) as CF-1.8; the file appears under its name when complete."""
    partial = path.with_suffix(".partial")
    with netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
        file.setncatts(
            {
                "Conventions": "CF-1.8",
                "featureType": "timeSeries",
                "title": "Streamflow at the gauges, simulated by PRMS",
                "source": f"pywatershed {version}, PRMS processes {', '.join(PROCESSES)}",
                "model": "pywatershed",
                "model_version": version,
            }
        )
        file.createDimension("time", len(days))
        file.createDimension("gauge", gauges.ids.size)
        file.createDimension("bounds", 2)
        write_time(file, days)

        ids = file.createVariable("gauge_id", str, ("gauge",))
        ids.setncatts({"long_name": "USGS station number", "cf_role": "timeseries_id"})
        ids[:] = gauges.ids.astype(object)
        segments = file.createVariable("segment_id", "i4", ("gauge",))
        segments.long_name = "National Hydrologic Model id of the segment the gauge lies on"
        segments[:] = gauges.segment_ids

        streamflow = file.createVariable(
            "streamflow", "f4", ("time", "gauge"), zlib=True, shuffle=True, fill_value=np.nan
        )
        streamflow.setncatts(
            {
                "long_name": "outflow of the segment",
                "standard_name": "water_volume_transport_in_river_channel",
                "units": "m3 s-1",
                "cell_methods": "time: mean",
                "coordinates": "gauge_id segment_id",
            }
        )
        streamflow[:] = flow
    partial.replace(path)


def write_time(file: netCDF4.Dataset, days: list[date]) -> None:
    """Write the stamps, each the beginning of a day, and the bounds of the days."""
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts(
        {
            "long_name": "beginning of the day",
            "standard_name": "time",
            "units": f"days since {days[0]} 00:00:00",
            "calendar": "standard",
            "axis": "T",
            "bounds": "time_bounds",
        }
    )
    numbers = np.arange(len(days), dtype=np.float64)
    time[:] = numbers
    bounds = file.createVariable("time_bounds", "f8", ("time", "bounds"))
    bounds[:] = np.stack([numbers, numbers + 1], axis=1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Run PRMS and write the flow at every gauge to OUTPUT/streamflow.nc."
    )
    parser.add_argument("--forcing", type=Path, required=True, metavar="DIR")
    parser.add_argument("--parameters", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--start", type=date.fromisoformat, metavar="DAY", help="first day to run")
    parser.add_argument("--end", type=date.fromisoformat, metavar="DAY", help="last day to run")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    forcing, parameters = arguments.forcing.resolve(), arguments.parameters.resolve()
    try:
        check_files(forcing, [f"{name}.nc" for name in FORCING])
        names = ["dis_hru", "dis_both", *(f"PRMS{process}" for process in PROCESSES)]
        check_files(parameters, [f"parameters_{name}.nc" for name in names])
        days = choose_period(forcing_days(forcing), arguments.start, arguments.end)
        gauges = read_gauges(parameters)
    except InputError as error:
        print(f"run_prms.py: {error}", file=sys.stderr)
        return 2

    with quiet():
        import pywatershed

        model = build_model(forcing, parameters, days)
    version = pywatershed.__version__
    print(f"pywatershed {version}, {days[0]} to {days[-1]}: {len(days)} days", flush=True)
    warnings.simplefilter("ignore")  # numpy's divisions by zero that PRMS masks afterwards
    flow = run(model, days, gauges.segment_indexes)

    arguments.output.mkdir(parents=True, exist_ok=True)
    write_streamflow(arguments.output / "streamflow.nc", days, gauges, flow, version)
    print(f"wrote streamflow.nc: {gauges.ids.size} gauges, {len(days)} days", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
