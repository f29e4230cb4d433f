"""Which SEALED datasets hold a content: an SQLite file of the larger items, by their SHA-256.

It is disposable: one that can't be used is made anew and filled from the manifests. Each replica
of the data service has one of its own.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Final

from headrace_model.ids import DatasetId

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE datasets (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE items (digest BLOB NOT NULL, dataset INTEGER NOT NULL, path TEXT NOT NULL,
  PRIMARY KEY (digest, dataset, path)) WITHOUT ROWID;
CREATE INDEX by_dataset ON items (dataset);
"""


class ItemIndex:
    """All methods block, and may be called from any thread. They raise `sqlite3.Error`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()

    def open(self) -> None:
        """Make the file where there is none that can be used."""
        with self._lock:
            try:
                with closing(self._connect()) as found:
                    if found.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
                        return
            except sqlite3.DatabaseError:
                pass  # damaged: made anew
            for each in (self._file, *(Path(f"{self._file}{end}") for end in ("-wal", "-shm"))):
                each.unlink(missing_ok=True)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as made:
                made.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")

    def datasets(self) -> set[DatasetId]:
        """Those that were learned."""
        with self._lock, closing(self._connect()) as found:
            return {DatasetId(id_) for (id_,) in found.execute("SELECT id FROM datasets")}

    def learn(self, dataset: DatasetId, items: Sequence[tuple[str, str]]) -> None:
        """Note the items of a dataset, as (SHA-256, path): all or none; a repeat is success."""
        with self._lock, closing(self._connect()) as file, file:
            file.execute("INSERT OR IGNORE INTO datasets (id) VALUES (?)", (dataset,))
            [(number,)] = file.execute("SELECT n FROM datasets WHERE id = ?", (dataset,))
            file.executemany(
                "INSERT OR IGNORE INTO items VALUES (?, ?, ?)",
                ((bytes.fromhex(digest), number, path) for digest, path in items),
            )

    def forget(self, datasets: Iterable[DatasetId]) -> None:
        """Note some datasets no more."""
        with self._lock, closing(self._connect()) as file, file:
            for each in datasets:
                file.execute(
                    "DELETE FROM items WHERE dataset = (SELECT n FROM datasets WHERE id = ?)",
                    (each,),
                )
                file.execute("DELETE FROM datasets WHERE id = ?", (each,))

    def find(self, digest: str, most: int) -> list[tuple[DatasetId, str]]:
        """Give some items of a content, as (dataset, path), those learned last first."""
        with self._lock, closing(self._connect()) as found:
            rows = found.execute(
                "SELECT id, path FROM items JOIN datasets ON n = dataset WHERE digest = ? "
                "ORDER BY n DESC LIMIT ?",
                (bytes.fromhex(digest), most),
            )
            return [(DatasetId(id_), path) for id_, path in rows]

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._file, timeout=10.0)
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = OFF")  # what a power cut damages is made anew
        return made
