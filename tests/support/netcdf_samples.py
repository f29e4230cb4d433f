"""Small NetCDF files as ngen reads and writes them."""

from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import Dataset

FIRST_S = 1_448_928_000  # 2015-12-01


def write_forcing(path: Path, values: dict[str, Any], **more: Any) -> Path:
    """Forcing of cat-1 and cat-2; `more`: unit of the times, their first one, step, ids, epoch."""
    first, step = more.get("first", FIRST_S * 1e9), more.get("step", 3600e9)
    steps = len(next(iter(values.values())))
    with Dataset(path, "w") as file:
        file.createDimension("catchment-id", 2)
        file.createDimension("time", steps)
        file.createVariable("ids", str, ("catchment-id",))[:] = np.array(
            more.get("ids", ["cat-1", "cat-2"]), object
        )
        time = file.createVariable("Time", "f8", ("catchment-id", "time"))
        time.units = more.get("units", "ns")
        if "epoch" in more:
            time.epoch_start = more["epoch"]
        time[:] = [first + step * np.arange(steps)] * 2
        if "second" in more:
            time[1] = more["second"]
        for name, numbers in values.items():
            variable = file.createVariable(name, "f4", ("catchment-id", "time"))
            variable[:] = [numbers] * 2
            if f"{name}_units" in more:
                variable.units = more[f"{name}_units"]
    return path
