"""Run HBV over one sub-basin of the Delaware; the flow at its gauge in m3 s-1, day by day.

    python hbv.py hbv.json basin.nc OUTPUT_FOLDER

``hbv.json`` is what the package ``hbv`` (1.5.2) reads, ``basin.nc`` what ``hbv_basin.py`` makes.
HBV here is one bucket for the whole sub-basin: mean weather in, mean runoff (mm d-1) out. It runs
up to the day before HEADRACE_END, where that is set: a calibration asks for no more.
"""

import csv
import json
import os
import sys
from pathlib import Path

import netCDF4
import numpy as np
from HBV import HBV

M3_S_PER_MM_D_KM2 = 1000 / 86400


def main() -> None:
    config, basin, output = (Path(each) for each in sys.argv[1:])
    with netCDF4.Dataset(basin) as data:
        gauge, area = str(data.gauge), float(data.area_km2)
    told = json.loads(config.read_text())
    for name in ("precipitation_file", "potential_evaporation_file", "mean_temperature_file"):
        told[name] = str(basin)
    Path("hbv_run.json").write_text(json.dumps(told))
    model = HBV()
    model.initialize("hbv_run.json")
    days = model.time.astype("datetime64[D]")
    end = np.datetime64(os.environ.get("HEADRACE_END", "9999-01-01").rstrip("Z"))
    runoff = np.zeros(1)
    output.mkdir(parents=True, exist_ok=True)
    with (output / "flow.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", f"{gauge} [m3 s-1]"])
        for day in days[days < end]:
            model.update()
            model.get_value("Q", runoff)
            rows.writerow([str(day), f"{runoff[0] * area * M3_S_PER_MM_D_KM2:.6f}"])


if __name__ == "__main__":
    main()
