"""Lays the data of Sugar Creek out as datasets, from a clone of NOAA-OWP/ngen.

    python prepare.py NGEN/data TARGET

TARGET gets the folders `fabric`, `forcing`, `realization` and `init`. Rain is mended on the way:
the rates in ngen's files are in m/s and one hour early, so they are made of APCP_surface.
"""

import csv
import sys
from pathlib import Path

HERE = Path(__file__).parent
CATCHMENTS = ("cat-27", "cat-52", "cat-67")
HOUR_S = 3600


def mend(source: Path, target: Path) -> None:
    """Copy a file of forcing with `precip_rate` (mm/s) from `APCP_surface` (mm in the hour)."""
    with source.open(newline="") as read, target.open("w", newline="") as written:
        rows = csv.DictReader(read)
        out = csv.DictWriter(written, rows.fieldnames or (), lineterminator="\n")
        out.writeheader()
        for row in rows:
            out.writerow({**row, "precip_rate": float(row["APCP_surface"]) / HOUR_S})


def main() -> None:
    """Copy, mend, and write the configs of each catchment."""
    source, target = (Path(each) for each in sys.argv[1:])
    for name in ("fabric", "forcing", "realization", "init"):
        (target / name).mkdir(parents=True, exist_ok=True)
    for name in ("catchment_data.geojson", "nexus_data.geojson"):
        (target / "fabric" / name).write_bytes((source / name).read_bytes())
    for id_ in CATCHMENTS:
        (path,) = (source / "forcing").glob(f"{id_}_*.csv")
        mend(path, target / "forcing" / f"{id_}_2015-12.csv")
        (target / "init" / f"cfe_{id_}.ini").write_bytes((HERE / "cfe.ini").read_bytes())
    (target / "init" / "pet.ini").write_bytes((HERE / "pet.ini").read_bytes())
    realization = (HERE / "realization.json").read_bytes()
    (target / "realization" / "realization.json").write_bytes(realization)
    print(f"{target}: fabric, forcing, realization, init")


if __name__ == "__main__":
    main()
