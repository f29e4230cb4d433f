"""The read model: an SQLite file of all jobs, live and archived, to list, filter and search.

It is disposable: made anew where it is damaged or of another version, and filled from Redis and
the packs of archived jobs. One replica has one, in its own folder.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Event
from typing import Any, Final, TypeVar

from headrace_adapters.sqlite import tables
from headrace_adapters.sqlite.tables import Asked, Found, Words
from headrace_adapters.threads import Threads
from headrace_model.errors import InvalidInput, Unavailable
from headrace_model.ids import DatasetId, JobId
from headrace_model.listing import Archived, Filter, Listed, Place
from headrace_model.people import User
from headrace_model.status import Status

VERSION: Final = "2"
_TRIGRAMS_SINCE: Final = (3, 34, 0)
_READERS: Final = 3
_PATIENCE_S: Final = 10.0
_PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
     sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)  # fmt: skip
_PACK_OF: Final = "SELECT packs.name FROM jobs JOIN packs ON packs.n = jobs.pack WHERE id = ?"
T = TypeVar("T")


class Broken(Unavailable):
    """The file is damaged; it is made anew."""

    code = "READ_MODEL_BROKEN"


class ReadModel:
    """All that the request service does with the file. Methods raise `Broken`, `Unavailable`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = Threads(_READERS + 1, "read-model")
        self._turn = asyncio.Lock()
        self._writer: _Connection | None = None
        self._readers: LifoQueue[_Connection] = LifoQueue()
        self._opened = 0
        self.broken = False
        """Whether a call found the file damaged: `replace` it."""

    async def open(self) -> None:
        """Open the file, a new one where there is none that can be used.

        Raises `InvalidInput` where this SQLite can't search.
        """
        if sqlite3.sqlite_version_info < _TRIGRAMS_SINCE:
            raise InvalidInput(
                f"SQLite {sqlite3.sqlite_version} can't search in names",
                hint="use a Python with SQLite 3.34 or newer: `python -c 'import sqlite3; "
                "print(sqlite3.sqlite_version)'`",
            )
        async with self._turn:
            await self._run(self._open)

    async def replace(self) -> None:
        """Begin with an empty file."""
        async with self._turn:
            await self._run(self._replace)
            self.broken = False

    async def close(self) -> None:
        """Close the file."""
        async with self._turn:
            await self._run(self._shut)
        await self._threads.close()

    # ---- writing

    async def put(self, jobs: Iterable[Listed], gone: Iterable[str] = (), **notes: str) -> None:
        """Put live jobs as they are now, take out others, and keep notes: all or nothing."""

        def write(db: _Connection) -> None:
            for job in jobs:
                tables.put(db.sql, db.words, job)
            tables.take_out(db.sql, db.words, gone)
            db.keep(notes)

        await self._write(write)

    async def put_pack(self, name: str, jobs: Iterable[Archived], live: Iterable[Listed]) -> None:
        """Take a pack in, but for those of its jobs that Redis holds (again): those are live."""

        def write(db: _Connection) -> None:
            number = db.pack(name)
            held = {job.id for job in live}
            for job in live:
                tables.put(db.sql, db.words, job)
            for each in jobs:
                newer = db.first(_PACK_OF, each.listed.id) or ""
                if each.listed.id not in held and newer <= name:
                    tables.put(db.sql, db.words, each.listed, number, each.fields)
            db.sql.execute("UPDATE packs SET read = 1 WHERE n = ?", (number,))

        await self._write(write)

    async def name_packs(self, names: Iterable[str], gone: Iterable[str] = ()) -> None:
        """Note packs that are still to be read, and drop others with their jobs."""

        def write(db: _Connection) -> None:
            for name in names:
                db.pack(name)
            for name in gone:
                number = db.pack(name)
                ids = db.sql.execute("SELECT id FROM jobs WHERE pack = ?", (number,)).fetchall()
                tables.take_out(db.sql, db.words, (job for (job,) in ids))
                db.sql.execute("DELETE FROM packs WHERE n = ?", (number,))

        await self._write(write)

    # ---- reading

    async def note(self, name: str) -> str:
        """A note that was kept; empty where there is none."""
        return await self._read(
            lambda db: str(db.first("SELECT value FROM notes WHERE name = ?", name) or "")
        )

    async def packs(self) -> dict[str, bool]:
        """All packs, and whether each has been read."""
        return await self._read(
            lambda db: {
                name: bool(read) for name, read in db.sql.execute("SELECT name, read FROM packs")
            }
        )

    async def unread(self) -> tuple[int, int]:
        """How many packs are still to be read, and how many there are."""
        return await self._read(
            lambda db: (
                db.first("SELECT count(*) FROM packs WHERE read = 0"),
                db.first("SELECT count(*) FROM packs"),
            )
        )

    async def live(self, among: Sequence[str] | None = None) -> set[JobId]:
        """The live jobs, all or those of some."""

        def read(db: _Connection) -> set[JobId]:
            if among is None:
                rows = db.sql.execute("SELECT id FROM jobs WHERE pack IS NULL").fetchall()
                return {JobId(job) for (job,) in rows}
            one = "SELECT id FROM jobs WHERE id = ? AND pack IS NULL"
            return {JobId(job) for job in among if db.first(one, job)}

        return await self._read(read)

    async def pack_of(self, job: JobId) -> str | None:
        """The pack of an archived job; None for one that is not known to be archived."""
        return await self._read(lambda db: db.first(_PACK_OF, job))

    async def users_of(
        self, datasets: Sequence[DatasetId], most: int
    ) -> dict[DatasetId, list[JobId]]:
        """The jobs that took each dataset, live and archived; at most `most` of each."""
        return await self._read(
            lambda db: {
                one: [JobId(job) for job in tables.users_of(db.sql, one, most)] for one in datasets
            }
        )

    async def page(
        self,
        user: User,
        statuses: Sequence[Status],
        wanted: Filter,
        *,
        limit: int,
        after: Place | None,
    ) -> Found:
        """Read a page of what a user may see."""
        asked = Asked(user, statuses, wanted, limit, after)
        return await self._read(lambda db: tables.read(db.sql, db.words, asked))

    # ---- connections

    async def _write(self, work: "Callable[[_Connection], None]") -> None:
        def call() -> None:
            if self._writer is None:
                raise Unavailable("the list of jobs is being made anew")
            self._writer.write(work)

        async with self._turn:
            await self._run(call)

    async def _read(self, work: "Callable[[_Connection], T]") -> T:
        def call() -> T:
            try:
                db = self._readers.get(timeout=_PATIENCE_S)
            except Empty:
                raise Unavailable("the list of jobs is being made anew") from None
            try:
                return db.read(work)
            finally:
                self._readers.put(db)

        return await self._run(call)

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await self._threads.run(call, Event())
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _PASSING:
                raise Unavailable(f"the list of jobs can't be used: {error}") from None
            self.broken = True
            raise Broken(
                f"the list of jobs is damaged: {error}",
                hint="it is made anew by itself; try again in a moment",
            ) from None

    def _open(self) -> None:
        try:
            self._writer = _Connection(self._file)
            if self._writer.version() != VERSION:
                raise sqlite3.DatabaseError("another version")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise
            self._shut()
            self._remove()
            self._writer = _Connection(self._file)
            self._writer.make()
        while self._opened < _READERS:
            self._readers.put(_Connection(self._file))
            self._opened += 1

    def _replace(self) -> None:
        self._shut()
        self._remove()
        self._open()

    def _shut(self) -> None:
        """Close every connection, once those that read have given theirs back."""
        while self._opened:
            self._readers.get().close()
            self._opened -= 1
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)


class _Connection:
    """One connection; used by one thread at a time."""

    def __init__(self, file: Path) -> None:
        self.sql = sqlite3.connect(
            file, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        # A power cut may take the last transactions, and the place in the events with them.
        self.sql.execute("PRAGMA journal_mode = WAL")
        self.sql.execute("PRAGMA synchronous = NORMAL")
        self.words = Words(self.sql)

    def close(self) -> None:
        self.sql.close()

    def version(self) -> object:
        return self.first("SELECT value FROM notes WHERE name = 'version'")

    def make(self) -> None:
        schema = (files("headrace_adapters.sqlite") / "schema.sql").read_text()
        self.sql.executescript(schema)
        self.write(lambda _: self.keep({"version": VERSION}))

    def first(self, query: str, *values: object) -> Any:
        row = self.sql.execute(query, values).fetchone()
        return None if row is None else row[0]

    def keep(self, notes: Mapping[str, str]) -> None:
        self.sql.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", notes.items())

    def pack(self, name: str) -> int:
        self.sql.execute("INSERT OR IGNORE INTO packs(name, read) VALUES (?, 0)", (name,))
        number: int = self.first("SELECT n FROM packs WHERE name = ?", name)
        return number

    def write(self, work: "Callable[[_Connection], None]") -> None:
        self.sql.execute("BEGIN IMMEDIATE")
        try:
            work(self)
        except BaseException:
            self.words.forget()
            if self.sql.in_transaction:
                self.sql.execute("ROLLBACK")
            raise
        self.sql.execute("COMMIT")

    def read(self, work: "Callable[[_Connection], T]") -> T:
        self.sql.execute("BEGIN")
        try:
            return work(self)
        finally:
            if self.sql.in_transaction:
                self.sql.execute("ROLLBACK")
