"""Reading the tables of strangers' GeoPackages: read-only, bounded, no code of theirs runs.

The file is opened as immutable, so that no journal beside it is touched. Only ordinary tables
are read: a view could run for ever. Schema functions are not trusted, pages are checked.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from headrace_formats.errors import FormatError

_MAGIC: Final = b"SQLite format 3\0"
_APPLICATIONS: Final = (b"GPKG", b"GP10", b"GP11")  # at byte 68; those of 1.0 and 1.1
_LONGEST_BYTES: Final = 64 << 20  # of one value: a geometry
_PLAIN_NAME: Final = re.compile(r"\w[\w .=-]{0,127}")


def is_geopackage(head: bytes) -> bool:
    """Tell whether a file begins as an SQLite database that calls itself a GeoPackage."""
    return head.startswith(_MAGIC) and head[68:72] in _APPLICATIONS


class Tables:
    """The tables of an open GeoPackage, by name, each with its columns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        names = [
            str(name)
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND sql LIKE 'CREATE TABLE%' LIMIT 1000"
            )
        ]
        self.columns = {
            name: tuple(str(row[1]) for row in connection.execute(f'PRAGMA table_info("{name}")'))
            for name in names
            if _PLAIN_NAME.fullmatch(name)
        }

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows of a table; a column that it lacks is None."""
        have = self.columns.get(table)
        if have is None:
            raise FormatError(f"the table {table} is missing")
        wanted = ", ".join(f'"{name}"' if name in have else "NULL" for name in columns)
        # The names are ours, and the table's is one of the file's that is checked to be plain.
        return self._connection.execute(f'SELECT {wanted} FROM "{table}"')  # noqa: S608

    def declared(self, table: str) -> list[tuple[str, str, bool]]:
        """The columns of a table: name, declared type, whether it is part of the primary key."""
        if table not in self.columns:
            raise FormatError(f"the table {table} is missing")
        found = self._connection.execute(f'PRAGMA table_info("{table}")')
        return [(str(row[1]), str(row[2]), bool(row[5])) for row in found]

    def count(self, table: str) -> int:
        """The number of rows of a table."""
        if table not in self.columns:
            raise FormatError(f"the table {table} is missing")
        # The name is one of the file's that is checked to be plain.
        found = self._connection.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608
        return int(found.fetchone()[0])

    def reference_system(self, table: str) -> str:
        """The name of the reference system of a table of features, such as `EPSG:5070`."""
        named = dict(self.rows("gpkg_geometry_columns", ("table_name", "srs_id")))
        if table not in named:
            raise FormatError(f"table {table}: gpkg_geometry_columns does not name it")
        id_ = named[table]
        columns = ("srs_id", "organization", "organization_coordsys_id")
        for srs_id, organization, code in self.rows("gpkg_spatial_ref_sys", columns):
            if srs_id == id_:
                return f"{str(organization).upper()[:40]}:{str(code)[:12]}"
        raise FormatError(f"table {table}: its reference system {id_!r} is not in the file")


@contextmanager
def opened(path: Path) -> Iterator[Tables]:
    """Open a GeoPackage; raises `FormatError` when it is damaged."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
            for setting in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON"):
                connection.execute(f"PRAGMA {setting}")
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            yield Tables(connection)
    except sqlite3.Error as error:
        raise FormatError(
            f"it can't be read as a GeoPackage: {error}", hint="is it complete?"
        ) from None
    except UnicodeDecodeError:  # sqlite3 quotes what it can't read, and Python can't read that
        raise FormatError(
            "its tables are described in letters that are none", hint="is it complete?"
        ) from None
