"""The data service dies while a dataset is deleted, brought back and purged: nothing half-visible.

Each write to Redis is a point, before and after it: between two of them lie the writes to the
store. `tests/integration/test_dataset_undo.py` cuts between those too.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_adapters.files.store import DirectoryStore
from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_data.core.keys import deleted_key, folder, marker_key, tombstone_key
from headrace_model.errors import NotFound
from headrace_model.ids import DatasetId
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = b"rain\n" * 100
_WITHIN_S = 90.0
_NUMBERS = count(1)
_AT = [
    f"{call}.{when}"
    for call in ("delete_dataset", "mark_dataset", "undelete_dataset", "tombstone_dataset",
                 "forget_dataset")
    for when in ("before", "after")
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(run_root: Path) -> AsyncIterator[Stack]:
    """A stack whose data service dies where it is told to, and is started again."""
    place = run_root / "life"
    place.mkdir()
    made = Stack(
        place / "home", keep_alive=True, points=True, settings={"store": str(place / "store")}
    )
    async with made:
        yield made


@pytest.mark.parametrize("point", _AT)
async def test_a_dataset_is_deleted_brought_back_and_purged_whatever_dies(
    stack: Stack, tmp_path: Path, point: str
) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    store = DirectoryStore(stack.home.root.parent / "store")
    async with stack.client() as client:
        await client.nodes()  # who has met its server waits for it
        name = f"life{next(_NUMBERS)}"
        made = await client.datasets.create({"name": name, "category": "FORCING"})
        id_ = DatasetId(made["id"])
        await client.datasets.upload_item(id_, LocalFile(file, "a.bin"))
        await client.datasets.seal(id_)
        await _agreed(client, store, id_, "SEALED")

        stack.points("data").crash_at(point)
        await client.datasets.delete(id_)
        await _agreed(client, store, id_, "DELETED")
        back = await client.datasets.undelete(id_)
        assert back["title"] == f"{name} v1"
        await _agreed(client, store, id_, "SEALED")
        with suppress(NotFound):  # done, and the answer was lost
            await client.datasets.delete(id_, now=True)
        await _agreed(client, store, id_, None)
        assert stack.points("data").reached(point), "nobody died"


async def _agreed(
    client: AsyncClient, store: DirectoryStore, id_: DatasetId, state: str | None
) -> None:
    """Wait until all doors and the store say the same of a dataset; `state` None: it is gone."""

    async def seen() -> tuple[bool, bool, bool, set[str]]:
        try:
            readable = bool([item async for item in client.datasets.items(id_)])
        except NotFound:
            readable = False
        listed = [each["id"] for each in (await client.datasets.list())["datasets"]]
        kept = [each["id"] for each in (await client.datasets.list(state="DELETED"))["datasets"]]
        keys = (marker_key(id_), deleted_key(id_), tombstone_key(id_))
        there = {key for key in keys if await store.stat(key) is not None}
        return readable, id_ in listed, id_ in kept, there | set(await store.keys(folder(id_)))

    marks = {"SEALED": marker_key(id_), "DELETED": deleted_key(id_)}

    async def right() -> bool:
        readable, listed, kept, objects = await seen()
        alive = state == "SEALED"
        whole = not objects if state is None else marks[state] in objects and len(objects) == 3
        return (readable, listed, kept, whole) == (alive, alive, state == "DELETED", True)

    await wait_until(
        right, f"dataset {id_} to be {state or 'gone'} everywhere", within_s=_WITHIN_S
    )
