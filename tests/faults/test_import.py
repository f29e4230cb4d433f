"""The data service dies while files are imported in place: it goes on, and nothing is doubled."""

from collections.abc import AsyncIterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_model.cause import Cause
from headrace_model.status import Status
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FILES = 2_500  # more than are registered at a time
_NUMBERS = count(1)
_AT = [
    f"{call}.{when}"
    for call in ("put_items", "seal_dataset", "mark_dataset")
    for when in ("before", "after")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(run_root: Path) -> AsyncIterator[Stack]:
    """A stack whose data service dies where it is told to, and is started again."""
    place = run_root / "import"
    files = place / "archive" / "many"
    files.mkdir(parents=True)
    for number in range(_FILES):
        (files / f"{number:05}").write_bytes(b"%d\n" % number)
    settings = {"import_places": f"archive={place / 'archive'}"}
    async with Stack(place / "home", keep_alive=True, points=True, settings=settings) as made:
        yield made


def _archive(stack: Stack) -> Path:
    return stack.home.root.parent / "archive"


@pytest.mark.parametrize("point", _AT)
async def test_an_import_is_whole_whatever_dies(stack: Stack, point: str) -> None:
    source = str(_archive(stack) / "many")
    async with stack.client() as client:
        await client.nodes()  # who has met its server waits for it
        name = f"many{next(_NUMBERS)}"
        made = await client.datasets.create({"name": name, "category": "FORCING"})
        stack.points("data").crash_at(point)
        assert await client.datasets.import_from(made["id"], source) == _FILES
        view = await client.datasets.seal(made["id"], {"format": "GENERIC"})
        assert (view["state"], view["item_count"]) == ("SEALED", _FILES)
        await wait_until(lambda: _reached(stack, point), "the service to die where it was told to")
        items = [item async for item in client.datasets.items(name)]
        assert [item["sha256"] for item in items] == [
            sha256(b"%d\n" % number).hexdigest() for number in range(_FILES)
        ]
        assert await client.datasets.import_from(made["id"], source) == _FILES, "as it was"


async def _reached(stack: Stack, point: str) -> bool:
    return stack.points("data").reached(point)


async def test_a_job_takes_files_from_where_they_lie_and_is_told_of_a_change(
    stack: Stack,
) -> None:
    folder = _archive(stack) / "one"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"as it was\n")
    async with stack.client() as client:
        domain = {"DATA_ID": "in-place"}
        asked = {"name": "one", "category": "FORCING", "domain": domain}
        made = await client.datasets.create(asked)
        await client.datasets.import_from(made["id"], str(folder))
        await client.datasets.seal(made["id"])
        assert (await _run(client, domain)) == (Status.COMPLETED, None, b"as it was\n")

        (folder / "a.txt").write_bytes(b"as it is!\n")
        # What a node has kept is what was imported, and is not read again.
        assert (await _run(client, domain)) == (Status.COMPLETED, None, b"as it was\n")
        for each in (stack.home.root / "agent").rglob("cache/sha256/*/*"):
            each.unlink()
        status, cause, detail = await _run(client, domain)
        assert (status, cause) == (Status.FAILED, Cause.STAGING)
        assert b"was changed since it was imported" in detail


async def _run(client: AsyncClient, domain: dict[str, str]) -> tuple[Status, Cause | None, bytes]:
    """Run a job that writes its input out; how it ended, and what it wrote, or why not."""
    job = {
        "headrace": 1, "kind": "command", "command": ["sh", "-c", "cat {in}/a.txt"],
        "resources": {"cpus": "100m", "memory": "32MiB"}, "retry": {"limit": 0},
        "inputs": {"in": {"category": "FORCING", "domain": domain}},
    }  # fmt: skip
    view = await client.ended((await client.submit(job)).id)
    said = [part async for part in client.log(view.id, stream="out")]
    return view.status, view.cause, b"".join(said) or view.detail.encode()
