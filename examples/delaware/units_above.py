"""Tell the units of the Delaware whose water passes a gauge, with their areas.

    python units_above.py --parameters FOLDER --gauge 01420500

It prints what ``calibrate.yaml`` says of its location: each hydrologic response unit (HRU) that
drains to the gauge by the segments of the river network, as Headrace names it, and its area in
km2. It ends with status 1 and one sentence on stderr for a gauge that is not there.
"""

import argparse
from pathlib import Path

import netCDF4
import numpy as np

KM2_PER_ACRE = 0.0040468564224


def read(folder: Path, file: str, name: str) -> np.ndarray:
    with netCDF4.Dataset(folder / file) as data:
        data.set_auto_mask(False)
        return np.asarray(data[name][...])


def units_above(gauge: str, folder: Path) -> np.ndarray:
    """Which HRUs drain to the gauge; raises SystemExit for an unknown one."""
    gauges = [str(each) for each in read(folder, "parameters_dis_both.nc", "poi_gage_id")]
    if gauge not in gauges:
        raise SystemExit(f"{gauge} is no gauge of these parameters, for example {gauges[0]} is")
    segments = read(folder, "parameters_dis_both.nc", "poi_gage_segment")
    to_segment = read(folder, "parameters_dis_both.nc", "tosegment")  # from 1; 0 leaves the basin
    above = {int(segments[gauges.index(gauge)])}
    while more := {n + 1 for n, to in enumerate(to_segment) if int(to) in above} - above:
        above |= more
    of_unit = read(folder, "parameters_PRMSChannel.nc", "hru_segment")
    return np.isin(of_unit, list(above))


def main() -> None:
    parser = argparse.ArgumentParser(description="The units above a gauge, with their areas.")
    parser.add_argument("--parameters", type=Path, required=True)
    parser.add_argument("--gauge", required=True)
    told = parser.parse_args()
    inside = units_above(told.gauge, told.parameters)
    ids = read(told.parameters, "parameters_dis_hru.nc", "nhm_id")[inside]
    areas = read(told.parameters, "parameters_dis_hru.nc", "hru_area")[inside] * KM2_PER_ACRE
    print(f"# {len(ids)} units, {areas.sum():.1f} km2 above {told.gauge}")
    for id_, area in zip(ids, areas, strict=True):
        print(f"cat-{id_}: {area:.3f}")


if __name__ == "__main__":
    main()
