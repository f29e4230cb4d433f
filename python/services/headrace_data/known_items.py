"""What an upload need not send: contents that stand in a dataset which the uploader may read."""

import asyncio
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace_data.catalogue import Catalogue
from headrace_data.staging import Manifests
from headrace_model.dataset import DatasetState
from headrace_model.errors import HeadraceError
from headrace_model.ids import DatasetId
from headrace_service.logs import logger
from headrace_service.threads import finish

if TYPE_CHECKING:
    from headrace_adapters.sqlite.items import ItemIndex

WORTH_BYTES: Final = 1 << 20
"""Smaller items are not known: sending one takes no longer than asking."""
_LOOK_EVERY_S: Final = 10.0
_MOST_FOUND: Final = 64
_FORGOTTEN_AT_ONCE: Final = 500


@dataclass(slots=True)
class KnownItems:
    """Finds items of SEALED datasets by SHA-256. Late by some seconds, and never needed: what it
    does not find is sent.
    """

    index: "ItemIndex"
    catalogue: Catalogue
    manifests: Manifests

    async def find(self, digest: str) -> list[tuple[DatasetId, str]]:
        """Items of a content, as (dataset, path); whether one may be read, the caller checks."""
        try:
            return await finish(self.index.find, digest, _MOST_FOUND)
        except sqlite3.Error as error:
            _say(f"known items can't be looked up: {error}")
            return []

    async def run(self) -> None:
        """Learn and forget datasets for ever."""
        await self.catalogue.ready.wait()
        while True:
            try:
                await finish(self.index.open)
                learned = await finish(self.index.datasets)
                while True:
                    await self._keep_up(learned)
                    await asyncio.sleep(_LOOK_EVERY_S)
            except sqlite3.Error as error:
                _say(f"known items can't be kept: {error}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _keep_up(self, learned: set[DatasetId]) -> None:
        """Bring the file, and with it `learned`, to what the catalogue has."""
        sealed = {
            each.id: each for each in self.catalogue.all() if each.state is DatasetState.SEALED
        }
        gone = sorted(learned - sealed.keys())
        for start in range(0, len(gone), _FORGOTTEN_AT_ONCE):
            some = gone[start : start + _FORGOTTEN_AT_ONCE]
            await finish(self.index.forget, some)
            learned.difference_update(some)
        for one in sealed.keys() - learned:
            dataset = sealed[one]
            items: list[tuple[str, str]] = []
            if dataset.size_bytes >= WORTH_BYTES:
                try:
                    found = await self.manifests.of(dataset)
                except HeadraceError as error:
                    _say(f"the items of dataset {dataset.title} can't be read: {error}")
                    continue
                items = [(e.sha256, e.path) for e in found.items if e.size_bytes >= WORTH_BYTES]
            await finish(self.index.learn, one, items)
            learned.add(one)


def _say(what: str) -> None:
    logger("data").warning(what, action="known_items")
