"""Lists of jobs: pages of the read model with 100,000 live and 1,000,000 archived jobs.

The jobs are made straight into packs and the model; what is timed of them is what a rebuild does:
reading a pack and putting its jobs, and putting live jobs.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headrace_adapters.sqlite.model import ReadModel
from headrace_model.ids import NodeId, job_id
from headrace_model.job import Ask
from headrace_model.listing import Archived, Filter, Listed, Place
from headrace_model.people import Share, User, UserRole
from headrace_model.resources import Allocation, Paradigm, Resources
from headrace_model.resources import Share as NodeShare
from headrace_model.status import Status
from headrace_wire.packs import Record, read_pack, write_pack
from headrace_wire.records import compact, encode, encode_shares, read_listed
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row, Series, series

NAME = "listing"
ABOUT = "pages of lists with 100,000 live and 1,000,000 archived jobs"
_LIVE, _ARCHIVED, _PACK = 100_000, 1_000_000, 500
_PAGE = 100
_START_MS = 1_700_000_000_000
_EVERY_MS = 30_000  # a job, so that the archive spans a year
_SHARED_EVERY = 20_000  # jobs, one of which is shared with the viewer
_RARE_EVERY = 100_000
_OPEN = (Status.AWAITING_ALLOCATION, Status.RUNNING, Status.AWAITING_DATA_CHECK)
_OVER = (*[Status.COMPLETED] * 18, Status.FAILED, Status.CANCELED)
_HELD = encode(Allocation((NodeShare(NodeId("node1"), Resources(500, 64 * 2**20)),)))
_BASINS = ("delaware", "hudson", "ohio", "yukon", "loire", "elbe", "murray", "niger")
_MODELS = ("prms", "ngen", "hbv", "topmodel", "snow17")

_FIELDS = {
    "spec": '{"command":["run_model","--input","{forcing}"],"kind":"command"}',
    "desired": "RUN",
    "version": "6",
    "attempt": "1",
    "priority": "50",
    "rank": "50",
    "ask": encode(Ask(Resources(500, 64 * 2**20), Paradigm.SINGLE_NODE, "process")),
    "allocation": _HELD,
}
_HISTORY = tuple(compact({"at": _START_MS, "event": f"E{n}", "version": n}) for n in range(7))
_SHARED = encode_shares((Share("user:guest"),))

ADMIN = User("root", UserRole.ADMIN)
BUSY = User("user0", UserRole.USER)  # owns half of all jobs
OWNER = User("user7", UserRole.USER)  # owns a four-hundredth
VIEWER = User("guest", UserRole.VIEWER)


@dataclass(frozen=True, slots=True)
class _Page:
    """One kind of page."""

    name: str
    user: User
    wanted: Filter = field(default_factory=Filter)
    statuses: tuple[Status, ...] = tuple(Status)
    after: Place | None = None


async def measure(bench: Bench) -> list[Row]:
    """Rows for making the model, its size, and each kind of page."""
    file = bench.folder / "jobs.sqlite"
    model = ReadModel(file)
    await model.open()
    try:
        rows = [await _archived(model), await _live(model), _size(file)]
        pages = list(_pages())
        for page in pages:
            rows.append(await _row(model, page, bench.seconds / len(pages)))
    finally:
        await model.close()
    return rows


def _pages() -> Iterator[_Page]:
    middle = Place(_START_MS + (_LIVE + _ARCHIVED) // 2 * _EVERY_MS, job_id(0, 0))
    yield _Page("first page, admin", ADMIN)
    yield _Page("page in the middle, admin", ADMIN, after=middle)
    yield _Page("first page of RUNNING, admin", ADMIN, statuses=(Status.RUNNING,))
    yield _Page("first page of FAILED, admin", ADMIN, statuses=(Status.FAILED,))
    yield _Page("first page, owner of half", BUSY)
    yield _Page("page in the middle, owner of half", BUSY, after=middle)
    yield _Page("first page, viewer of 55 shared jobs", VIEWER)
    yield _Page("q of 11 jobs, admin", ADMIN, Filter(q="rarebird"))
    yield _Page("q of 11 jobs, owner of none of them", OWNER, Filter(q="rarebird"))
    yield _Page("q of an eighth, admin", ADMIN, Filter(q="yukon"))
    yield _Page("q of an eighth, owner of a few", OWNER, Filter(q="yukon"))
    yield _Page("q of no job, admin", ADMIN, Filter(q="amazonas"))
    yield _Page("q of two letters, admin", ADMIN, Filter(q="ng"))


async def _row(model: ReadModel, page: _Page, seconds: float) -> Row:
    until = time.monotonic() + seconds
    samples: list[float] = []
    found = 0
    while not samples or time.monotonic() < until:
        began = time.perf_counter()
        got = await model.page(
            page.user, page.statuses, page.wanted, limit=_PAGE, after=page.after
        )
        samples.append((time.perf_counter() - began) * 1000)
        found = len(got.hits)
    note = f"{found} jobs on the page" if found < _PAGE else ""
    return _figure(page.name, "ms", series(samples), note)


async def _archived(model: ReadModel) -> Row:
    rates: list[float] = []
    chance = random.Random(1)  # noqa: S311 - the same jobs at each run
    for first in range(0, _ARCHIVED, _PACK):
        some = [_record(chance, first + n, chance.choice(_OVER)) for n in range(_PACK)]
        data = write_pack(some)
        began = time.perf_counter()
        records = read_pack(data)
        jobs = [
            Archived(read_listed(each.id, each.fields), each.listed_fields) for each in records
        ]
        await model.put_pack(f"{first:014}", jobs, [])
        rates.append(_PACK / (time.perf_counter() - began))
    note = f"packs of {_PACK}; the last one has {len(data):,} bytes"
    return _figure("archived jobs taken in", "jobs/s", series(rates), note)


async def _live(model: ReadModel) -> Row:
    rates: list[float] = []
    chance = random.Random(2)  # noqa: S311 - the same jobs at each run
    for first in range(0, _LIVE, _PACK):
        records = [
            _record(chance, _ARCHIVED + first + n, chance.choice(_OPEN)) for n in range(_PACK)
        ]
        jobs: list[Listed] = [read_listed(each.id, each.fields) for each in records]
        began = time.perf_counter()
        await model.put(jobs, at=f"{first}-0")
        rates.append(_PACK / (time.perf_counter() - began))
    return _figure("live jobs put", "jobs/s", series(rates), "without reading them from Redis")


def _record(chance: random.Random, number: int, status: Status) -> Record:
    created_ms = _START_MS + number * _EVERY_MS
    rare = "-rarebird" if number % _RARE_EVERY == 0 else ""
    fields = _FIELDS | {
        "owner": "user0" if chance.random() < 0.5 else f"user{chance.randrange(1, 200)}",
        "name": f"{chance.choice(_BASINS)}-{chance.choice(_MODELS)}{rare}-{number % 1_000}",
        "kind": chance.choice(("command", "command", "ngen", "calibration")),
        "status": status.value,
        "created_ms": str(created_ms),
        "entered_ms": str(created_ms),
    }
    if number % _SHARED_EVERY == 0:
        fields["shared"] = _SHARED
    job = job_id(created_ms, chance.getrandbits(30))
    return Record(job, fields, _HISTORY, {1: {"allocation": _HELD}})


def _size(file: Path) -> Row:
    total = sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))
    return _figure("size of the read model", "MiB", Series(1, total / 2**20, total / 2**20), "")


def _figure(name: str, unit: str, found: Series, note: str) -> Row:
    return Row(name=name, unit=unit, ours=found, budget="-", met=None, note=note)
