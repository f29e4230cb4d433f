"""Lays the data of gauge 01073000 out as datasets, from a clone of NOAA-OWP/ngen.

    python prepare.py NGEN/data/gauge_01073000 TARGET

TARGET gets the folders `fabric`, `forcing`, `realization`, `init` and `t-route`; files are copied
as they are.
"""

import shutil
import sys
from pathlib import Path

REALIZATION = "example_bmi_multi_realization_config_w_routing.json"


def main() -> None:
    """Copy."""
    source, target = (Path(each) for each in sys.argv[1:])
    files = {
        "fabric": [source / "gauge_01073000.gpkg"],
        "forcing": sorted((source / "forcing").glob("cat-*.csv")),
        "realization": [source / REALIZATION],
        "t-route": [source / "routing_config.yaml"],
    }
    for folder, paths in files.items():
        (target / folder).mkdir(parents=True, exist_ok=True)
        for path in paths:
            shutil.copyfile(path, target / folder / path.name)
    for folder in ("CFE", "PET", "NOAH"):
        shutil.copytree(source / folder, target / "init" / folder, dirs_exist_ok=True)
    print(f"{target}: {', '.join(files)}, init")


if __name__ == "__main__":
    main()
