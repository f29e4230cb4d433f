"""A stand-in for `ngen`, for tests of the kind `ngen`. It is no model: nobody's result is of use.

It takes the command line that NOAA-OWP/ngen takes, as strictly, reads every file that it is given
(fabric, realization config, init configs, forcing, partitions), fails where and as ngen fails, and
writes files of the shape of ngen's: `cat-*.csv`, `nex-*_output.csv`. What runs off a catchment in
an hour is simply the rain that its forcing has for it, so that an output tells which forcing was
read. Libraries are not loaded, and nothing is routed. A rank of MPI writes what its partition
holds; ranks exchange nothing: each works out for itself what others would send it.

    python ngen_stand_in.py CATCHMENTS SUBSET NEXUSES SUBSET REALIZATION [PARTITIONS]
"""

import csv
import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

USAGE = (
    "<catchment_data_path> <catchment subset ids> <nexus_data_path> <nexus subset ids> "
    "<realization_config_path> [<partition_config_path>]"
)
EVERY = 100  # steps between two lines, as in ngen
Rain = Callable[[str], dict[datetime, float]]
"""Of a catchment the rain of each hour, in mm/s."""


class Refused(Exception):
    """What ngen says on stderr before it ends."""


@dataclass(frozen=True)
class Catchment:
    area_km2: float
    to: str


@dataclass(frozen=True)
class Mine:
    """What a rank runs: its catchments, and the nexuses whose files it writes."""

    catchments: Collection[str]
    nexuses: Collection[str]


def main(argv: list[str]) -> None:
    """Run as ngen would."""
    say("NGen Framework 0.3.0 (stand-in: no model is run)")
    if len(argv) not in (6, 7):
        say(f"Missing required args:\n{argv[0]} {USAGE}")
        say('Use "all" as explicit argument when no subset is needed.')
        raise SystemExit(1)
    rank, ranks = rank_of(os.environ)
    catchment_path, catchment_ids, nexus_path, nexus_ids, realization, *more = argv[1:]
    if ranks > 1 and not more:
        raise Refused("Missing required argument for partition file path.")
    for path, what in (
        (catchment_path, "Catchment data"),
        (nexus_path, "Nexus data"),
        (realization, "Realization config"),
        *((each, "Partition config") for each in more),
    ):
        readable(Path(path), what)
    catchments = chosen(catchments_in(Path(catchment_path)), catchment_ids)
    nexuses = chosen(nexuses_in(Path(nexus_path)), nexus_ids)
    mine = Mine(catchments, nexuses)
    if ranks > 1:
        mine = partition(Path(more[0]), rank, ranks, catchments, nexuses)
    config = json.loads(Path(realization).read_text())
    simulate(config, catchments, nexuses, mine, rank)


def say(line: str) -> None:
    """Print a line at once, as ngen does."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def rank_of(environ: Mapping[str, str]) -> tuple[int, int]:
    """Rank and number of ranks, as Open MPI and MPICH tell them."""
    for rank, ranks in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("PMI_RANK", "PMI_SIZE"),
    ):
        if rank in environ:
            return int(environ[rank]), int(environ[ranks])
    return 0, 1


def readable(path: Path, what: str) -> None:
    """Refuse a file that can't be read."""
    if not path.is_file():
        raise Refused(f"{what} path {path} not readable")


# ---- the fabric


def catchments_in(path: Path) -> dict[str, Catchment]:
    """All catchments of a GeoJSON file or a GeoPackage."""
    if path.suffix == ".gpkg":
        query = "SELECT divide_id, areasqkm, toid FROM divides"
        return {id_: Catchment(area, to) for id_, area, to in rows_of(path, query)}
    return {
        each["id"]: Catchment(each["properties"]["areasqkm"], each["properties"]["toid"])
        for each in features_of(path)
    }


def nexuses_in(path: Path) -> dict[str, str]:
    """All nexuses, and what each flows to."""
    if path.suffix == ".gpkg":
        return dict(rows_of(path, "SELECT id, toid FROM nexus"))
    return {each["id"]: each["properties"]["toid"] for each in features_of(path)}


def rows_of(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        try:
            return opened.execute(query).fetchall()
        except sqlite3.Error as error:
            raise Refused(f"{path}: {error}") from None


def features_of(path: Path) -> list[Any]:
    features: list[Any] = json.loads(path.read_text())["features"]
    return features


def chosen(features: dict[str, Any], subset: str) -> dict[str, Any]:
    """Those of a comma list; `all` and an empty text are all."""
    if subset in ("", "all"):
        return features
    ids = subset.split(",")
    for id_ in ids:
        if id_ not in features:
            raise Refused(f"feature {id_!r} is not in the hydrofabric")
    return {id_: features[id_] for id_ in ids}


def partition(
    path: Path,
    rank: int,
    ranks: int,
    catchments: Collection[str],
    nexuses: Collection[str],
) -> Mine:
    """What the partition of a rank holds; of a nexus that two share the receiver writes."""
    found = {int(each["id"]): each for each in json.loads(path.read_text())["partitions"]}
    if len(found) != ranks:
        raise Refused(f"{path} has {len(found)} partitions for {ranks} MPI ranks")
    own = found[rank]
    sent = {
        each["nex-id"]
        for each in own["remote-connections"]
        if each["cat-direction"] == "nex-to-dest_cat"
    }
    return Mine(
        [id_ for id_ in own["cat-ids"] if id_ in catchments],
        [id_ for id_ in own["nex-ids"] if id_ in nexuses and id_ not in sent],
    )


# ---- the run


def simulate(
    config: dict[str, Any],
    catchments: dict[str, Catchment],
    nexuses: Collection[str],
    mine: Mine,
    rank: int,
) -> None:
    """Read what each catchment needs, and write what each would give."""
    stamps = stamps_of(config["time"])
    for id_ in mine.catchments:
        check_formulation(config, id_)
    feeding = {id_: each.to for id_, each in catchments.items() if each.to in mine.nexuses}
    flows = {id_: runoff(config, id_, stamps) for id_ in sorted({*mine.catchments, *feeding})}
    for step in range(len(stamps)):
        if rank == 0 and step % EVERY == 0:
            say(f"Running timestep {step}")
    output = config.get("output", {})
    root = Path(output.get("root") or config.get("output_root", "./"))
    root.mkdir(exist_ok=True)
    flowing = {}
    for nexus in mine.nexuses:
        into = {id_: catchments[id_].area_km2 for id_, to in feeding.items() if to == nexus}
        flowing[nexus] = [
            sum(flows[id_][step] / 1000 * area * 1e6 for id_, area in sorted(into.items()))
            for step in range(len(stamps))
        ]
    if output.get("catchment", {}).get("enable", True):
        for id_ in mine.catchments:
            write_catchment(root / f"{id_}.csv", stamps, flows[id_])
    if output.get("nexus", {}).get("format") == "netcdf":
        write_netcdf(root / "nexuses.nc", stamps, flowing)
    else:
        for nexus, flow in flowing.items():
            write_nexus(root / f"{nexus}_output.csv", stamps, flow)
    if rank == 0:
        say(f"Finished {len(stamps)} timesteps.")
    if "routing" in config:
        readable(Path(config["routing"]["t_route_config_file_with_path"]), "t-route config")
        text = Path(config["routing"]["t_route_config_file_with_path"]).read_text()
        folder = re.search(r"^\s*chanobs_output_directory\s*:\s*(\S+)", text, re.MULTILINE)
        if folder is None:
            raise Refused("t-route: no chanobs_output_directory")
        (Path(folder[1]) / "stand-in.txt").write_text("nothing is routed\n")
        say("stand-in: nothing is routed")


def stamps_of(time: dict[str, Any]) -> list[datetime]:
    """The begin of each step: the last one begins at `end_time`."""
    begin, end = (
        datetime.strptime(time[key], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - as ngen has it, UTC
        for key in ("start_time", "end_time")
    )
    step = timedelta(seconds=time["output_interval"])
    return [begin + n * step for n in range((end - begin) // step + 1)]


def check_formulation(config: dict[str, Any], id_: str) -> None:
    """Refuse a catchment that has none, or whose init configs can't be read."""
    part = config.get("catchments", {}).get(id_) or config.get("global", {})
    if not part.get("formulations"):
        raise Refused(f"no formulation for {id_}, and no global one")
    left = [part["formulations"][0]]
    while left:
        each = left.pop()
        params = each["params"]
        left += params.get("modules", [])
        path = params["init_config"].replace("{{id}}", id_)
        if path and not Path(path).exists():
            raise Refused(f"{each['name']}: init_config {path} of {id_} not readable")
        if each["name"] in ("bmi_c", "bmi_c++", "bmi_fortran") and not params["library_file"]:
            raise Refused(f"{each['name']} needs library_file")


def runoff(config: dict[str, Any], id_: str, stamps: list[datetime]) -> list[float]:
    """Of each step the rain, in mm/s."""
    of = config.get("catchments", {}).get(id_, {}).get("forcing") or config["global"]["forcing"]
    path = Path(of["path"])
    rain = netcdf_rain(path, id_) if of["provider"] == "NetCDF" else csv_rain(path, of, id_)
    for stamp in stamps:
        if stamp not in rain:
            raise Refused(f"Forcing of {id_} has no data for {stamp}: out of range")
    return [rain[stamp] for stamp in stamps]


def csv_rain(folder: Path, of: dict[str, Any], id_: str) -> dict[datetime, float]:
    pattern = of.get("file_pattern")
    path = folder
    if pattern is not None:
        fits = re.compile(pattern.replace("{{id}}", id_))
        if not folder.is_dir():
            raise Refused(f"Error opening forcing dir {folder}")
        found = [each for each in folder.iterdir() if fits.fullmatch(each.name)]
        if not found:
            raise Refused(f"Forcing data could not be found for {id_}")
        path = found[0]
    with path.open(newline="") as file:
        return {
            datetime.strptime(row["time"], "%Y-%m-%d %H:%M:%S"):  # noqa: DTZ007
            float(row["precip_rate"])
            for row in csv.DictReader(file)
        }


def netcdf_rain(path: Path, id_: str) -> dict[datetime, float]:
    from netCDF4 import Dataset

    readable(path, "Forcing")
    with Dataset(path) as opened:
        ids = [str(each) for each in opened.variables["ids"][:]]
        if id_ not in ids:
            raise Refused(f"{path} has no catchment {id_}")
        at = ids.index(id_)
        times = opened.variables["Time"]
        unit_s = {"ns": 1e-9, "s": 1.0, "h": 3600.0}[times.units.partition(" ")[0]]
        stamps = [
            datetime(1970, 1, 1) + timedelta(seconds=round(each * unit_s))  # noqa: DTZ001
            for each in times[at, :].tolist()
        ]
        numbers = opened.variables["precip_rate"][at, :].tolist()
    return dict(zip(stamps, numbers, strict=True))


def write_catchment(path: Path, stamps: list[datetime], rain: list[float]) -> None:
    """A catchment's file; `Q_OUT` is a depth of water an hour, in m, as CFE's."""
    with path.open("x") as file:
        file.write("Time Step,Time,RAIN_RATE,Q_OUT\n")
        for step, (stamp, each) in enumerate(zip(stamps, rain, strict=True)):
            file.write(f"{step},{stamp},{each:.9g},{each * 3.6:.9g}\n")


def write_nexus(path: Path, stamps: list[datetime], flow: list[float]) -> None:
    """A nexus's file: m3/s."""
    with path.open("x") as file:
        for step, (stamp, each) in enumerate(zip(stamps, flow, strict=True)):
            file.write(f"{step}, {stamp}, {each:.6g}\n")


def write_netcdf(path: Path, stamps: list[datetime], flows: dict[str, list[float]]) -> None:
    """The flows of all nexuses: m3/s."""
    from netCDF4 import Dataset

    with Dataset(path, "w") as made:
        made.createDimension("feature_id", len(flows))
        made.createDimension("time", len(stamps))
        made.createVariable("feature_id", str, ("feature_id",))[:] = np_array(list(flows))
        time = made.createVariable("time", "i8", ("time",))
        time.units = "hours since 1970-01-01"
        time[:] = [round((each - datetime(1970, 1, 1)).total_seconds() / 3600) for each in stamps]  # noqa: DTZ001
        rate = made.createVariable("runoff_rate", "f8", ("feature_id", "time"))
        rate.units = "m3 s-1"
        rate[:] = list(flows.values())


def np_array(texts: list[str]) -> Any:
    """Texts as the library takes them."""
    import numpy as np

    return np.array(texts, dtype=object)


if __name__ == "__main__":
    try:
        main(sys.argv)
    except Refused as refused:
        raise SystemExit(f"terminate called after throwing an instance: {refused}") from None
