"""Small Parquet files as t-route writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HOUR_US = 3_600_000_000
UNITS = {"streamflow": "m3/s", "velocity": "m/s", "depth": "m"}


def flows(
    ids: Sequence[str], hours: Sequence[int], variables: Sequence[str] = tuple(UNITS)
) -> dict[str, Any]:
    """The rows that t-route writes, as columns: a time, a variable, all elements."""
    rows = [(id_, hour, name) for hour in hours for name in variables for id_ in ids]
    return {
        "location_id": [id_ for id_, _, _ in rows],
        "value": [0.5] * len(rows),
        "value_time": pa.array([hour * HOUR_US for _, hour, _ in rows], pa.timestamp("us")),
        "variable_name": [name for _, _, name in rows],
        "units": [UNITS.get(name, "?") for _, _, name in rows],
    }


def write_flows(path: Path) -> None:
    """Two elements, three hours, three variables."""
    pq.write_table(pa.table(flows(["wb-1", "wb-2"], [0, 1, 2])), path)
