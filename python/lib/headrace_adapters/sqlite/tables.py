"""The tables of the read model: rows put, taken out, and read in pages. Blocking.

Every function works in the transaction that its caller opened on the connection.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from sqlite3 import Connection
from typing import Final

from headrace_model.ids import JobId
from headrace_model.listing import Filter, Hit, Listed, Place
from headrace_model.people import Act, Standing, User, may
from headrace_model.status import Status
from headrace_model.visible import reader_keys, readers_of
from headrace_wire.records import decode_shares, encode_shares

_ALL: Final = "*"
_MAY_BE_NAMED: Final = re.compile(r"[a-z0-9._-]{0,128}")  # as `check_name` lets names be
_RUN: Final = 3  # characters: shorter texts are in no index
_FEW: Final = 5_000  # so many finds are sorted as they are; more are met soon in the list's order
_SCANNED: Final = (
    20_000  # jobs looked at for one page: a rare match must not read them all at once
)
_AT_ONCE: Final = 200
_Was = tuple[int, int, int, int, int, str, int | None]
_Row = tuple[Listed, str | None]  # a job, and its fields as they are kept
_COLUMNS: Final = "id, name, kind, owner, status, entered_ms, shared, fields"


@dataclass(frozen=True, slots=True)
class Asked:
    """One page: of the jobs that a user may see, in some statuses, below a place."""

    user: User
    statuses: Sequence[Status]
    wanted: Filter
    limit: int
    after: Place | None


@dataclass(frozen=True, slots=True)
class Found:
    """Jobs in order, and from where to go on (None: there are no more)."""

    hits: tuple[Hit, ...]
    go_on: Place | None


class Words:
    """Numbers of words, remembered: they are few and never change."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._numbers: dict[str, int] = {}
        self._words: dict[int, str] = {}

    def number(self, word: str) -> int | None:
        """The number of a word; None where no job has it."""
        if word not in self._numbers:
            row = self._db.execute("SELECT n FROM words WHERE word = ?", (word,)).fetchone()
            if row is None:
                return None
            self._numbers[word] = row[0]
        return self._numbers[word]

    def keep(self, word: str) -> int:
        """The number of a word, a new one if need be."""
        if (number := self.number(word)) is not None:
            return number
        self._db.execute("INSERT INTO words(word) VALUES (?)", (word,))
        return self.keep(word)

    def word(self, number: int) -> str:
        """The word of a number."""
        if number not in self._words:
            row = self._db.execute("SELECT word FROM words WHERE n = ?", (number,)).fetchone()
            self._words[number] = row[0]
        return self._words[number]

    def forget(self) -> None:
        """Forget what a transaction kept that was taken back."""
        self._numbers.clear()
        self._words.clear()


# ---- writing


def put(
    db: Connection,
    words: Words,
    job: Listed,
    pack: int | None = None,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Put a job as it is now: live without `pack` and `fields`, else archived."""
    kind, owner, status = words.keep(job.kind), words.keep(job.owner), words.keep(job.status)
    shared = encode_shares(job.shared)
    now = (kind, owner, status, job.entered_ms, shared, pack)
    text = None if fields is None else json.dumps(fields, separators=(",", ":"))
    was: _Was | None = db.execute(
        "SELECT n, kind, owner, status, entered_ms, shared, pack FROM jobs WHERE id = ?", (job.id,)
    ).fetchone()
    if was is None:
        row = db.execute(
            "INSERT INTO jobs(kind, owner, status, entered_ms, shared, pack, id, name, fields) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*now, job.id, job.name, text),
        )
        db.execute(
            "INSERT INTO texts(rowid, text) VALUES (?, ?)",
            (row.lastrowid, _text(job.name, job.id)),
        )
        _use(db, row.lastrowid, job)
    elif was[1:] == now:
        return
    else:
        db.execute(
            "UPDATE jobs SET kind = ?, owner = ?, status = ?, entered_ms = ?, shared = ?, "
            "pack = ?, fields = ? WHERE n = ?",
            (*now, text, was[0]),
        )
        if was[1:6] == now[:5]:
            return
        _unplace(db, words, job.id, was)
        db.execute("DELETE FROM uses WHERE job = ?", (was[0],))
        _use(db, was[0], job)
    db.executemany(
        "INSERT INTO places(reader, kind, status, entered_ms, id) VALUES (?, ?, ?, ?, ?)",
        [
            (words.keep(key), kind, status, job.entered_ms, job.id)
            for key in _keys(job.owner, shared)
        ],
    )


def take_out(db: Connection, words: Words, ids: Iterable[str]) -> None:
    """Take jobs out; success for those that are not there."""
    for job in ids:
        was = db.execute(
            "SELECT n, kind, owner, status, entered_ms, shared, pack, name FROM jobs WHERE id = ?",
            (job,),
        ).fetchone()
        if was is None:
            continue
        _unplace(db, words, job, was[:7])
        db.execute(
            "INSERT INTO texts(texts, rowid, text) VALUES ('delete', ?, ?)",
            (was[0], _text(was[7], job)),
        )
        db.execute("DELETE FROM uses WHERE job = ?", (was[0],))
        db.execute("DELETE FROM jobs WHERE n = ?", (was[0],))


def _use(db: Connection, number: int | None, job: Listed) -> None:
    db.executemany(
        "INSERT INTO uses(dataset, job) VALUES (?, ?)",
        [(dataset, number) for dataset in job.inputs],
    )


def _unplace(db: Connection, words: Words, job: str, was: _Was) -> None:
    _, kind, owner, status, entered_ms, shared, _ = was
    db.executemany(
        "DELETE FROM places WHERE reader = ? AND kind = ? AND status = ? AND entered_ms = ? "
        "AND id = ?",
        [
            (words.keep(key), kind, status, entered_ms, job)
            for key in _keys(words.word(owner), shared)
        ],
    )


def _keys(owner: str, shared: str) -> list[str]:
    return [_ALL, *sorted(readers_of(owner, decode_shares(shared)))]


def _text(name: str, job: str) -> str:
    return f"{name}\n{job}"


# ---- reading


def users_of(db: Connection, dataset: str, most: int) -> list[str]:
    """The jobs that took a dataset, the first `most` that the model came to know."""
    query = "SELECT id FROM uses JOIN jobs ON n = job WHERE dataset = ? ORDER BY job LIMIT ?"
    return [job for (job,) in db.execute(query, (dataset, most))]


def read(db: Connection, words: Words, asked: Asked) -> Found:
    """Read a page. It may hold fewer jobs than asked, even none, and still go on."""
    keys = _readers(asked.user, asked.wanted.owner)
    q = asked.wanted.q.lower()
    if not keys or not _MAY_BE_NAMED.fullmatch(q):
        return Found((), None)
    if len(q) >= _RUN and (few := _few(db, words, q)) is not None:
        return _sorted_page(few, asked)
    return _scanned_page(db, words, keys, asked)


def _readers(user: User, owner: str | None) -> list[str]:
    """Under which keys to look for what the user may see, and `owner` owns."""
    if not may(user, Act.SEE_JOB, Standing.OWNER):
        return []
    if may(user, Act.SEE_JOB, Standing.STRANGER):
        return [_ALL] if owner is None else sorted(readers_of(owner, ()))
    if owner == user.name:
        return sorted(readers_of(owner, ()))
    keys = reader_keys(user)
    return sorted(keys if owner is None else keys - readers_of(user.name, ()))


def _few(db: Connection, words: Words, q: str) -> list[_Row] | None:
    """The jobs whose name or id holds `q`; None where they are many."""
    runs = " AND ".join(f'"{q[at : at + _RUN]}"' for at in range(len(q) - _RUN + 1))
    found = db.execute(
        "SELECT rowid FROM texts WHERE texts MATCH ? LIMIT ?", (runs, _FEW + 1)
    ).fetchall()
    if len(found) > _FEW:
        return None
    rows: list[_Row] = []
    for at in range(0, len(found), _AT_ONCE):
        some = [number for (number,) in found[at : at + _AT_ONCE]]
        marks = ",".join("?" * len(some))
        rows += _rows(db, words, f"n IN ({marks})", some)
    return rows


def _sorted_page(rows: Sequence[_Row], asked: Asked) -> Found:
    statuses = frozenset(asked.statuses)
    fitting = [
        (job, fields)
        for job, fields in rows
        if (asked.after is None or job.place < asked.after)
        and job.status in statuses
        and asked.wanted.takes(job)
        and may(asked.user, Act.SEE_JOB, asked.user.standing(job.owner, job.shared))
    ]
    fitting.sort(key=lambda row: row[0].place, reverse=True)
    page = fitting[: asked.limit]
    return _found(page, page[-1][0].place if len(fitting) > asked.limit else None)


def _scanned_page(db: Connection, words: Words, keys: Sequence[str], asked: Asked) -> Found:
    """Walk the lists of all keys together, in order, until the page is full."""
    taken: list[_Row] = []
    scanned, last = 0, asked.after
    places = _once(merge(*_lists(db, words, keys, asked), reverse=True))
    while some := list(islice(places, _AT_ONCE)):
        marks = ",".join("?" * len(some))
        rows = {
            row[0].id: row
            for row in _rows(db, words, f"id IN ({marks})", [job for _, job in some])
        }
        for entered_ms, job in some:
            if len(taken) == asked.limit:
                return _found(taken, last)
            scanned, last = scanned + 1, Place(entered_ms, JobId(job))
            if (row := rows.get(JobId(job))) and asked.wanted.takes(row[0]):
                taken.append(row)
        if scanned >= _SCANNED:
            return _found(taken, last)
    return _found(taken, None)


def _lists(
    db: Connection, words: Words, keys: Sequence[str], asked: Asked
) -> Iterator[Iterator[tuple[int, str]]]:
    after, since_ms = asked.after, asked.wanted.since_ms
    top = (after.entered_ms, after.job) if after else (2**62, "")
    kind = asked.wanted.kind
    kinds = [kind] if kind is not None else _kinds(db)
    for key in keys:
        if (reader := words.number(key)) is None:
            continue
        for one in kinds:
            if (number := words.number(one)) is None:
                continue
            for status in map(words.number, dict.fromkeys(asked.statuses)):
                if status is None:
                    continue
                yield db.execute(
                    "SELECT entered_ms, id FROM places WHERE reader = ? AND kind = ? "
                    "AND status = ? AND (entered_ms, id) < (?, ?) AND entered_ms >= ? "
                    "ORDER BY entered_ms DESC, id DESC",
                    (reader, number, status, *top, since_ms or 0),
                )


def _kinds(db: Connection) -> list[str]:
    """All kinds that jobs have, by leaps over the index: nobody lists without the key of all."""
    found: list[str] = []
    last = 0
    while True:
        row = db.execute(
            "SELECT kind, word FROM places JOIN words ON words.n = kind WHERE reader = "
            "(SELECT n FROM words WHERE word = ?) AND kind > ? ORDER BY kind LIMIT 1",
            (_ALL, last),
        ).fetchone()
        if row is None:
            return found
        last = row[0]
        found.append(row[1])


def _once(places: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """What several keys show comes in a row: give it once."""
    before: tuple[int, str] | None = None
    for place in places:
        if place != before:
            yield place
        before = place


def _rows(db: Connection, words: Words, where: str, values: Sequence[object]) -> Iterator[_Row]:
    # `where` is one of ours, with as many marks as there are values.
    query = f"SELECT {_COLUMNS} FROM jobs WHERE {where}"  # noqa: S608
    for job, name, kind, owner, status, entered_ms, shared, fields in db.execute(query, values):
        yield (
            Listed(
                id=JobId(job),
                name=name,
                kind=words.word(kind),
                owner=words.word(owner),
                status=Status(words.word(status)),
                entered_ms=entered_ms,
                shared=decode_shares(shared),
            ),
            fields,
        )


def _found(rows: Iterable[_Row], go_on: Place | None) -> Found:
    hits = (Hit(job, None if text is None else json.loads(text)) for job, text in rows)
    return Found(tuple(hits), go_on)
