"""Import in place: objects that lie elsewhere become items, and stay where they are.

A call goes on from where the one before ended, for some seconds, and keeps nothing: what is an
item already, by its key, is not read again. So who was cut off begins anew and loses nothing.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headrace_data.core.places import place_of
from headrace_data.library import Library, check_open
from headrace_model.dataset import Dataset, Item, check_item_path
from headrace_model.errors import NotFound, Unavailable
from headrace_model.people import Act, User
from headrace_ports.imported import imported_key
from headrace_ports.object_store import Listed, ObjectStore
from headrace_wire.datasets import ImportRequest, ImportView

_PAGE: Final = 10_000
_TURN_S: Final = 5.0
_LONG_S: Final = 60.0  # for what is read in one go: a client waits for longer
_GROUP: Final = 1_000
_GROUP_BYTES: Final = 2**30
_READING: Final = 8  # groups that are read on while nobody waits for them

_Reading = asyncio.Task[dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Found:
    """An object of the place, and what it would be as an item (but for its SHA-256)."""

    at: Listed
    path: str
    key: str


@dataclass(slots=True)
class Importing:
    """`places`: where each lies, by name; `stores`: what reads them."""

    library: Library
    places: Mapping[str, str]
    stores: Mapping[str, ObjectStore]
    _reading: dict[tuple[str, str], _Reading] = field(default_factory=dict)

    async def step(self, name: str, user: User, asked: ImportRequest) -> ImportView:
        """Make items of some objects more; `after` of the answer is None when all are items.

        Raises `Forbidden`, `InvalidInput` (no such place, a path that no item can have),
        `NotFound` (nothing is there), `Conflict` (an object is replaced meanwhile; the dataset is
        SEALED, and not just this), `TooLarge`, `Unavailable`.
        """
        dataset = (await self.library.access.allowed(name, user, Act.IMPORT_DATA)).dataset
        place, folder = place_of(asked.source, self.places)
        store, below = self.stores[place], folder and f"{folder}/"
        until = time.monotonic() + _TURN_S
        after = below + check_item_path(asked.after) if asked.after else ""
        page = await store.page(folder, after, _PAGE)
        if not page and not asked.after:
            raise NotFound(
                f"there is no file below {asked.source[:200]!r}",
                hint="links and names that end in .part are no files here",
            )
        found = [
            _Found(each, path, imported_key(place, each.stamp, each.key))
            for each in page
            if (path := check_item_path(each.key.removeprefix(below)))
        ]
        size = items = read = 0
        for group in _groups(found):
            if items and time.monotonic() >= until:
                break
            done = await self._keep(dataset, place, store, group)
            if done is None:
                break
            read += done
            items += len(group)
            size += sum(each.at.size_bytes for each in group)
            after = group[-1].at.key
        whole = items == len(found) and len(page) < _PAGE
        return ImportView(items, size, read, None if whole else after.removeprefix(below))

    async def _keep(
        self, dataset: Dataset, place: str, store: ObjectStore, group: Sequence[_Found]
    ) -> int | None:
        """Make items of a group, and tell how many were read; None: they still are."""
        known = await self.library.items_at(dataset, [each.path for each in group])
        fresh = [each for each in group if getattr(known.get(each.path), "key", "") != each.key]
        if not fresh:
            return 0
        check_open(dataset)
        new = sum(each.path not in known for each in fresh)
        await self.library.check_room(dataset, 0, new=new)
        digests = await self._read(place, store, fresh)
        if digests is None:
            return None
        items = [
            Item(each.path, each.at.size_bytes, digests[each.at.key], each.key) for each in fresh
        ]
        await self.library.register(dataset, items)
        return len(items)

    async def _read(
        self, place: str, store: ObjectStore, fresh: Sequence[_Found]
    ) -> dict[str, str] | None:
        """The SHA-256 of each; None: that takes longer, and goes on for who asks again."""
        name = (place, f"{fresh[0].key} {fresh[-1].key}")
        reading = self._reading.get(name)
        if reading is None:
            self._let_go()
            stamps = {each.at.key: each.at.stamp for each in fresh}
            reading = self._reading[name] = asyncio.create_task(store.digests(stamps))
        try:
            await asyncio.wait({reading}, timeout=_LONG_S)
        except asyncio.CancelledError:
            if len(fresh) > 1:  # soon read again; one large file goes on
                self._reading.pop(name, None)
                reading.cancel()
            raise
        if not reading.done():
            return None
        del self._reading[name]
        return reading.result()

    def _let_go(self) -> None:
        """Forget what was read and nobody asked for again."""
        for name, reading in list(self._reading.items()):
            if reading.done():
                reading.cancelled() or reading.exception()
                del self._reading[name]
        if len(self._reading) >= _READING:
            raise Unavailable("too much is imported at a time", hint="try again in a minute")


def _groups(found: Sequence[_Found]) -> Iterator[list[_Found]]:
    """Cut into groups that are read side by side."""
    group: list[_Found] = []
    size = 0
    for each in found:
        if group and (len(group) == _GROUP or size + each.at.size_bytes > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += each.at.size_bytes
    if group:
        yield group
