"""Copy the Delaware River Basin sample data out of the installed ``pywatershed`` package.

    python prepare.py OUT_FOLDER

The package (USGS, CC0) carries two years of real data of the basin, 1979 and 1980: daily weather
on 765 hydrologic response units (HRUs), the parameters of the model PRMS, and the discharge that
USGS measured at 168 gauges. This script puts them into three folders, each made to become one
dataset: ``forcing``, ``parameters`` and ``observations``. Nothing is changed on the way.

Running it again gives the same folders. It ends with status 2 and one sentence on stderr when
the package, or a file in it, is missing.
"""

import argparse
import importlib.util
import shutil
import sys
from pathlib import Path

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

# Only what run_prms.py and score.py read: the wheel also holds legacy text copies of the same
# numbers (*.cbh, myparam.param) and parameters of processes that this chain does not run.
FOLDERS = {
    "forcing": ("prcp.nc", "tmax.nc", "tmin.nc"),
    "parameters": (
        "parameters_dis_hru.nc",
        "parameters_dis_both.nc",
        *(f"parameters_PRMS{process}.nc" for process in PROCESSES),
    ),
    "observations": ("drb_2yr_gage_poi_obs.nc",),
}


def sample_folder() -> Path:
    """Return the folder ``data/drb_2yr`` of the installed package.

    The package is located without importing it: the import takes seconds and compiles code.
    Raises FileNotFoundError if it isn't installed or doesn't carry the data.
    """
    spec = importlib.util.find_spec("pywatershed")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "pywatershed isn't installed for this Python; run: pip install pywatershed"
        )
    folder = Path(spec.submodule_search_locations[0]) / "data" / "drb_2yr"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"this pywatershed has no sample data in {folder}; install 2.0.4 or 3.0.0 from a wheel"
        )
    return folder


def prepare(out_folder: Path) -> dict[str, int]:
    """Copy the files of FOLDERS below out_folder and return the bytes copied per folder."""
    source = sample_folder()
    copied = {}
    for folder, names in FOLDERS.items():
        target = out_folder / folder
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            # copyfile, not copy: the mode bits of site-packages mean nothing in a dataset.
            shutil.copyfile(source / name, target / name)
        copied[folder] = sum((target / name).stat().st_size for name in names)
    return copied


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Copy the Delaware River Basin sample data out of the installed pywatershed."
    )
    parser.add_argument("out_folder", type=Path, help="made if it doesn't exist")
    arguments = parser.parse_args()
    try:
        copied = prepare(arguments.out_folder)
    except OSError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 2
    for folder, size_bytes in copied.items():
        files = len(FOLDERS[folder])
        print(f"{arguments.out_folder / folder}: {files} files, {size_bytes:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
