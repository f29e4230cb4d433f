"""A store, and beside it places outside whose objects are read where they lie.

An object outside (`headrace_ports.imported`) is read only, and only while it has the stamp that it
had when it was imported; nothing here can write, list or delete it. All other keys are the
store's own.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from headrace_model.errors import Conflict, InvalidInput, NotFound
from headrace_ports.imported import IMPORTED
from headrace_ports.object_store import Grant, ObjectStore, Stat


def _own(name: str) -> Any:
    """The method of the store itself."""
    return property(lambda self: getattr(self._store, name))


class ImportingStore:
    """See the module. `places`: the stores outside, by the names that keys have for them."""

    check = _own("check")
    put_file = _own("put_file")
    put_arriving = _own("put_arriving")
    put_bytes = _own("put_bytes")
    put_many = _own("put_many")
    copy_many = _own("copy_many")
    digests = _own("digests")
    keys = _own("keys")
    page = _own("page")
    delete = _own("delete")
    grant_put = _own("grant_put")
    free_bytes = _own("free_bytes")
    sweep_parts = _own("sweep_parts")

    def __init__(self, store: ObjectStore, places: Mapping[str, ObjectStore]) -> None:
        self._store = store
        self._places = places

    async def close(self) -> None:
        """Let go of all of them."""
        for each in (self._store, *self._places.values()):
            await each.close()

    async def get_bytes(self, key: str, limit_bytes: int) -> bytes:
        """Read a whole object."""
        store, path = await self._at(key)
        return await store.get_bytes(path, limit_bytes)

    async def get_many(self, limits: Mapping[str, int]) -> dict[str, bytes]:
        """Read many small objects."""
        own = {key: limit for key, limit in limits.items() if not key.startswith(IMPORTED)}
        found = await self._store.get_many(own) if own else {}
        for key, limit in limits.items():
            if key not in own:
                found[key] = await self.get_bytes(key, limit)
        return found

    async def stream(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from `offset` on."""
        store, path = await self._at(key)
        async for data in store.stream(path, offset, length):
            yield data

    async def stat(self, key: str) -> Stat | None:
        """Look at an object; raises `Conflict` for one that was changed since it was imported."""
        if not key.startswith(IMPORTED):
            return await self._store.stat(key)
        store, stamp, path = self._outside(key)
        known = await store.stat(path)
        if known is not None and known.stamp != stamp:
            raise Conflict(
                f"{path} was changed since it was imported",
                hint="import it again, as a new version; or put back what was there",
            )
        return known

    async def fetch(self, key: str, to: Path) -> None:
        """Make a file at `to` that has the object's bytes."""
        store, path = await self._at(key)
        await store.fetch(path, to)

    async def grant_get(self, key: str) -> Grant:
        """Let another program read an object; who reads compares its SHA-256."""
        if not key.startswith(IMPORTED):
            return await self._store.grant_get(key)
        store, _, path = self._outside(key)
        return await store.grant_get(path)

    async def _at(self, key: str) -> tuple[ObjectStore, str]:
        """Which store has an object under which key, once it is known to be what it was."""
        if not key.startswith(IMPORTED):
            return self._store, key
        store, _, path = self._outside(key)
        if await self.stat(key) is None:
            raise NotFound(
                f"{path}, which was imported, is not where it was",
                hint="put it back, or import what there is as a new version",
            )
        return store, path

    def _outside(self, key: str) -> tuple[ObjectStore, str, str]:
        name, stamp, path = key.removeprefix(IMPORTED).split("/", 2)
        if name not in self._places:
            raise InvalidInput(
                f"{path} was imported from {name}, which this Headrace is not set up to read",
                hint="name it again in the setting import_places of the data service",
            )
        return self._places[name], stamp, path
