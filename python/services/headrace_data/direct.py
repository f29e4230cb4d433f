"""Large items that clients put into the store, or read from it, themselves by presigned URLs.

How far an upload is, the store knows and nobody else, so it survives a restart of anybody. What
came is measured here and hashed at the seal (`Library.seal`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_data.core.keys import direct_folder
from headrace_data.library import Library, check_open
from headrace_data.spool import Piece, Upload
from headrace_model.dataset import Dataset, Item
from headrace_model.people import Act, User
from headrace_ports.imported import IMPORTED
from headrace_service.threads import to_end
from headrace_wire.datasets import item_view
from headrace_wire.direct import DirectUpload

if TYPE_CHECKING:
    from headrace_adapters.s3.direct import DirectObjects


@dataclass(frozen=True, slots=True)
class Direct:
    """`objects` None: there is no such way here, and the answers say so. Access is asked first."""

    library: Library
    objects: "DirectObjects | None"

    async def upload(self, name: str, user: User, asked: DirectUpload) -> dict[str, Any]:
        """Begin or go on with an upload: what lacks, or the item once all of it is there.

        Raises `Conflict` where the dataset is not OPEN; `TooLarge`, `OverQuota`, `Unavailable`
        where there is no room.
        """
        entry = await self.library.access.allowed(name, user, Act.CHANGE_DATASET)
        dataset = entry.dataset
        known = (await self.library.items_at(dataset, [asked.path])).get(asked.path)
        if known is not None and known.sha256 == asked.sha256:
            return _upload_view(known)
        check_open(dataset)
        if self.objects is None:
            return _upload_view(None)
        upload = Upload(dataset.id, asked.path, asked.sha256)
        self.library.spool.check_size(upload, Piece(0, asked.size_bytes, asked.size_bytes))
        await self.library.check_room(dataset, asked.size_bytes, new=known is None)
        before = known.size_bytes if known else 0
        await self.library.check_quotas(dataset, asked.size_bytes - before)
        taken = await self.library.take_known(dataset, upload, asked.size_bytes, user)
        if taken is not None:
            return _upload_view(taken)
        return await to_end(self._go_on(self.objects, dataset, asked))

    async def _go_on(
        self, objects: "DirectObjects", dataset: Dataset, asked: DirectUpload
    ) -> dict[str, Any]:
        """An object that is there, and did not become an item, is the next try's, or swept."""
        folder = direct_folder(dataset, asked.path, asked.sha256)
        found = await objects.go_on(folder, asked.size_bytes)
        if isinstance(found, str):
            item = Item(asked.path, asked.size_bytes, asked.sha256, found)
            await self.library.register(dataset, [item])
            return _upload_view(item)
        parts = [
            {"offset": each.offset, "size_bytes": each.size_bytes, "url": each.url}
            for each in found.parts
        ]
        return _upload_view(None, found.kept_bytes, parts)

    async def download(self, name: str, user: User, path: str) -> dict[str, Any]:
        """A URL to read an item by, null where there is no such way; raises `NotFound`."""
        item = await self.library.item(name, user, path)
        url = None
        if self.objects is not None and not item.key.startswith(IMPORTED):
            url = await self.objects.url(item.key)
        return {**item_view(item), "url": url}


def _upload_view(
    item: Item | None, kept_bytes: int = 0, parts: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "item": item and item_view(item),
        "kept_bytes": kept_bytes if item is None else item.size_bytes,
        "parts": parts or [],
    }
