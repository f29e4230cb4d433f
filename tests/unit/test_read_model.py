"""The read model beside brute force: who sees what, filters, order and cursors, any history."""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_adapters.sqlite import tables
from headrace_adapters.sqlite.model import Broken, ReadModel
from headrace_adapters.sqlite.tables import Asked, Words
from headrace_model.ids import job_id
from headrace_model.listing import Archived, Filter, Listed, Place
from headrace_model.people import ALL_SCOPES, Act, Level, Scope, Share, User, UserRole, may
from headrace_model.status import Status

PEOPLE, GROUPS = ("ann", "bob", "eve"), ("hydro", "met")
KINDS = ("command", "evaluation")
STATUSES = (Status.RUNNING, Status.COMPLETED, Status.FAILED)
PARTS = ("del", "delaware", "a.b", "prms", "x")
WHO = ("everyone", *(f"user:{name}" for name in PEOPLE), *(f"group:{name}" for name in GROUPS))
shares = st.lists(
    st.builds(Share, st.sampled_from(WHO), st.sampled_from(Level)),
    max_size=3,
    unique_by=lambda share: share.who,
).map(lambda found: tuple(sorted(found)))
jobs = st.builds(
    Listed,
    id=st.integers(0, 20).map(lambda number: job_id(1_000, number)),
    name=st.lists(st.sampled_from(PARTS), min_size=1, max_size=2).map("-".join),
    kind=st.sampled_from(KINDS),
    owner=st.sampled_from(PEOPLE),
    status=st.sampled_from(STATUSES),
    entered_ms=st.integers(0, 5),
    shared=shares,
)
users = st.builds(
    User,
    st.sampled_from(PEOPLE),
    st.sampled_from(UserRole),
    st.frozensets(st.sampled_from(GROUPS)),
    st.sampled_from([ALL_SCOPES, frozenset({Scope.JOBS})]),
)
filters = st.builds(
    Filter,
    kind=st.sampled_from([None, *KINDS]),
    owner=st.sampled_from([None, *PEOPLE]),
    q=st.sampled_from(
        ["", "d", "el", "DEL", "ware", "elaware-del", "a.b", "-", '"', "0000", "no"]
    ),
    since_ms=st.sampled_from([None, 2]),
)


class _Table:
    """The tables in memory, beside a plain dict."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        schema = Path(tables.__file__).with_name("schema.sql").read_text()
        self.db.executescript(schema)
        self.words = Words(self.db)
        self.truth: dict[str, Listed] = {}

    def put(self, job: Listed, *, archived: bool) -> None:
        before = self.truth.get(job.id)
        # A job's name, kind and owner never change.
        job = (before and replace(
            job, name=before.name, kind=before.kind, owner=before.owner
        )) or job  # fmt: skip
        tables.put(self.db, self.words, job, *((1, {"v": "x"}) if archived else ()))
        self.truth[job.id] = job

    def take_out(self, job: str) -> None:
        tables.take_out(self.db, self.words, [job])
        self.truth.pop(job, None)

    def pages(self, asked: Asked) -> list[Listed]:
        found: list[Listed] = []
        for _ in range(100):
            page = tables.read(self.db, self.words, asked)
            assert len(page.hits) <= asked.limit
            found += [hit.listed for hit in page.hits]
            if page.go_on is None:
                return found
            asked = replace(asked, after=page.go_on)
        raise AssertionError("the pages have no end")

    def wanted(self, asked: Asked) -> list[Listed]:
        user = asked.user
        fitting = [
            job
            for job in self.truth.values()
            if may(user, Act.SEE_JOB, user.standing(job.owner, job.shared))
            and asked.wanted.takes(job)
            and job.status in asked.statuses
        ]
        return sorted(fitting, key=lambda job: job.place, reverse=True)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(jobs, st.sampled_from(["live", "archived", "gone"])), max_size=30),
    st.lists(
        st.tuples(users, filters, st.lists(st.sampled_from(STATUSES), unique=True), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 4),
    st.sampled_from([0, 3, 5_000]),
)
def test_pages_show_what_rules_and_filters_take_in_order_and_once(
    history: list[tuple[Listed, str]],
    asks: list[tuple[User, Filter, list[Status], bool]],
    limit: int,
    few: int,
) -> None:
    table = _Table()
    for job, what in history:
        if what == "gone":
            table.take_out(job.id)
        else:
            table.put(job, archived=what == "archived")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_FEW", few)  # more than these are looked for another way
        patch.setattr(tables, "_SCANNED", 7)
        patch.setattr(tables, "_AT_ONCE", 3)
        for user, wanted, statuses, every in asks:
            asked = Asked(user, tuple(Status) if every else statuses, wanted, limit, None)
            assert table.pages(asked) == table.wanted(asked)
    table.db.close()


def _job(number: int, **changes: Any) -> Listed:
    job = Listed(
        job_id(1_000, number), f"job-{number}", "command", "ann", Status.RUNNING, 1_000 + number
    )
    return replace(job, **changes)


async def _names(model: ReadModel, user: User) -> list[str]:
    page = await model.page(user, tuple(Status), Filter(), limit=100, after=None)
    return [hit.listed.name for hit in page.hits]


ANN = User("ann", UserRole.USER)


async def test_what_was_put_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    first = ReadModel(tmp_path / "jobs.sqlite")
    await first.open()
    await first.put([_job(1), _job(2)], at="5-0")
    await first.close()
    again = ReadModel(tmp_path / "jobs.sqlite")
    await again.open()
    assert await _names(again, ANN) == ["job-2", "job-1"]
    assert await again.note("at") == "5-0"
    await again.close()


@pytest.mark.parametrize("damage", ["other version", "no database", "half a file"])
async def test_a_file_that_can_not_be_used_is_made_anew(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "jobs.sqlite"
    model = ReadModel(file)
    await model.open()
    await model.put([_job(number) for number in range(500)], at="5-0")
    await model.close()
    match damage:
        case "other version":
            with sqlite3.connect(file) as db:
                db.execute("UPDATE notes SET value = '0' WHERE name = 'version'")
            db.close()
        case "no database":
            file.write_bytes(b"nonsense" * 1_000)
        case _:
            file.write_bytes(file.read_bytes()[:5_000])
    again = ReadModel(file)
    await again.open()
    assert await again.note("at") == ""
    assert await _names(again, ANN) == []
    await again.put([_job(1)])
    assert await _names(again, ANN) == ["job-1"]
    await again.close()


async def test_damage_that_shows_later_is_told_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    model = ReadModel(file)
    await model.open()
    await model.put([_job(number) for number in range(2_000)], at="5-0")
    await model.close()
    data = bytearray(file.read_bytes())
    data[8 * 4096 :] = b"\xff" * (len(data) - 8 * 4096)
    file.write_bytes(data)
    again = ReadModel(file)
    await again.open()

    async def use_it() -> None:
        for number in range(100):
            await _names(again, ANN)
            await again.put([_job(number, status=Status.FAILED)])

    with pytest.raises(Broken):
        await use_it()
    assert again.broken
    await again.replace()
    assert (again.broken, await _names(again, ANN), await again.note("at")) == (False, [], "")
    await again.close()


async def test_a_change_that_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "jobs.sqlite")
    await model.open()
    broken = replace(_job(2), entered_ms=2**70)
    with pytest.raises(OverflowError):
        await model.put([_job(1, kind="derivation"), broken])
    assert await _names(model, ANN) == []
    await model.put([_job(1, kind="derivation")])
    assert await _names(model, ANN) == ["job-1"]
    await model.close()


async def test_lists_are_read_while_something_is_written(tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "jobs.sqlite")
    await model.open()

    async def write() -> None:
        for first in range(0, 600, 100):
            await model.put([_job(number) for number in range(first, first + 100)])

    async def read() -> Sequence[int]:
        return [len(await _names(model, ANN)) for _ in range(20)]

    counts, *_ = await asyncio.gather(read(), read(), write())
    assert list(counts) == sorted(counts)
    assert len(await _names(model, ANN)) == 100
    await model.close()


async def test_a_pack_makes_its_jobs_archived_but_for_those_that_redis_holds(
    tmp_path: Path,
) -> None:
    model = ReadModel(tmp_path / "jobs.sqlite")
    await model.open()
    await model.put([_job(1), _job(2)])
    await model.name_packs(["p"])
    assert (await model.packs(), await model.unread()) == ({"p": False}, (1, 1))
    held = _job(2, entered_ms=9)
    await model.put_pack("p", [Archived(_job(n), {"name": "x"}) for n in (1, 2, 3)], [held])
    assert (await model.packs(), await model.unread()) == ({"p": True}, (0, 1))
    assert [await model.pack_of(_job(n).id) for n in (1, 2, 3)] == ["p", None, "p"]
    assert await model.live() == {held.id}
    page = await model.page(ANN, tuple(Status), Filter(), limit=9, after=None)
    assert [(hit.listed.name, hit.fields) for hit in page.hits] == [
        ("job-3", {"name": "x"}),
        ("job-1", {"name": "x"}),
        ("job-2", None),
    ]
    await model.name_packs([], gone=["p"])
    assert (await model.packs(), await _names(model, ANN)) == ({}, ["job-2"])
    await model.close()


async def test_a_cursor_goes_on_where_the_page_ended(tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "jobs.sqlite")
    await model.open()
    await model.put([_job(number, entered_ms=number // 3) for number in range(10)])
    seen: list[str] = []
    after: Place | None = None
    while True:
        page = await model.page(ANN, tuple(Status), Filter(), limit=4, after=after)
        seen += [hit.listed.name for hit in page.hits]
        if (after := page.go_on) is None:
            break
    assert seen == [f"job-{number}" for number in reversed(range(10))]
    await model.close()
