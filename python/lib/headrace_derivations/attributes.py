"""The attributes of catchments in the tables of a hydrofabric as a GeoPackage.

They stand in `divides`, in tables whose name ends in `attributes`, and in `flowpaths`, by
`divide_id` or by the `id` of the catchment or of its flowpath. Of tables with the same column the
first in that order counts, unless the name says which: `table.column`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_derivations.base import DerivationFailed
from headrace_formats.geopackage import Tables, opened
from headrace_model.drainage import as_catchment
from headrace_model.nearest import did_you_mean

_KEYS: Final = ("divide_id", "id")
_GEOMETRY: Final = "geom"


@dataclass(frozen=True, slots=True)
class Attributes:
    """Values by catchment and name."""

    values: Mapping[str, Mapping[str, Any]]

    def value(self, catchment: str, name: str, where: str) -> Any:
        """The value; raises `DerivationFailed` where there is none, saying who asked."""
        found = self.values[catchment].get(name)
        if found is None:
            raise DerivationFailed(f"{where}: {catchment} has no value of {name}")
        return found


def read_attributes(
    paths: Sequence[Path], names: Mapping[str, str], catchments: frozenset[str]
) -> Attributes:
    """Read the named attributes of catchments; `names` tells where each is asked for.

    Raises `DerivationFailed` for a name that is none, with the nearest.
    """
    found: dict[str, dict[str, Any]] = {id_: {} for id_ in catchments}
    for path in paths:
        with opened(path) as tables:
            for table, columns in _columns(tables, names).items():
                _read(tables, table, columns, found)
    return Attributes(found)


def _columns(tables: Tables, names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Which columns of which tables the names are: by table, name → column."""
    known: dict[str, tuple[str, str]] = {}
    for table in _in_order(tables):
        for column in tables.columns[table]:
            if column != _GEOMETRY:
                known.setdefault(column, (table, column))
                known[f"{table}.{column}"] = (table, column)
    found: dict[str, dict[str, str]] = {}
    for name, where in names.items():
        if name not in known:
            raise DerivationFailed(
                f"{where}: the hydrofabric has no attribute {name[:60]!r}; "
                + did_you_mean(name, known)
            )
        table, column = known[name]
        found.setdefault(table, {})[name] = column
    return found


def _in_order(tables: Tables) -> list[str]:
    with_ids = [name for name, has in tables.columns.items() if set(_KEYS) & set(has)]
    named = sorted(name for name in with_ids if name.lower().endswith("attributes"))
    return [name for name in ("divides", *named, "flowpaths") if name in with_ids]


def _read(
    tables: Tables, table: str, columns: Mapping[str, str], found: dict[str, dict[str, Any]]
) -> None:
    for divide, id_, *values in tables.rows(table, (*_KEYS, *columns.values())):
        key = divide if divide is not None else id_
        own = found.get(as_catchment(key)) if isinstance(key, str) else None
        if own is not None:
            own.update(zip(columns, values, strict=True))
