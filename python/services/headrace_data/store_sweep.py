"""Removes what nothing names from the store: writes that came too late, remains of a kill.

An object goes when it is older than a set age and *nothing can ever name it*, which holds in two
cases only:

* Its dataset is SEALED, and the manifest does not list it: a SEALED dataset never changes.
* Its dataset is not in the catalogue and never will be: the id of an upload is fresh and was in
  the catalogue before its first byte, so it was deleted, and deleted ids never come back; the job
  of an output is final (or archived), and what it did not seal with its end, in one script, it
  never seals. No marker in the store speaks for it, from which a catalogue could be rebuilt.

So an upload in progress loses nothing at whatever age: its dataset is OPEN, its job not final, and
both are left alone. And it does not matter how late a removal comes: a leader that is stopped
between its look at Redis and the removal, and goes on when another one leads, removes what is
still nobody's. The age keeps what an operator may want to look at, no more.

What Redis says is believed only while it is the Redis that it was: `swept/catalogue` in the store
keeps its epoch and the number of its commits. A Redis that was emptied, rebuilt or restored from
an earlier copy knows less than the store; then nothing is removed until the operator removes that
object. Each look is by one script, which refuses a leader that is none any more.

A round is a page of keys; a walk goes on where the last round stopped, and begins anew with
another leader.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from headrace_data.core.keys import (
    CATALOGUE,
    DATASETS,
    DELETED,
    MARKERS,
    TOMBSTONES,
    deleted_key,
    folder,
    manifest_key,
    marker_key,
    tombstone_key,
)
from headrace_data.core.sweeping import is_over
from headrace_data.staging import Manifests
from headrace_model.dataset import DatasetState
from headrace_model.errors import (
    Conflict,
    Fenced,
    HeadraceError,
    InvalidInput,
    InvalidName,
    NotFound,
    Unavailable,
)
from headrace_model.ids import DatasetId, JobId
from headrace_model.outputs import maker_of
from headrace_ports.object_store import ObjectStore
from headrace_service.logs import logger
from headrace_wire.datasets import read_entry

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore

_PAGE: Final = 200  # of as many datasets manifests are read
_WALKS: Final = 4  # begin within the age
_MARKER_BYTES: Final = 64 * 2**20
_CATALOGUE_BYTES: Final = 4096
# A marker that speaks for nothing goes before the objects that it would have kept.
_STAGES: Final = (TOMBSTONES, MARKERS, DELETED, DATASETS)


@dataclass(slots=True)
class StoreSweep:
    """Works for the leading data service. See the module."""

    datasets: "DatasetStore"
    store: ObjectStore
    manifests: Manifests
    older_than_s: float
    pause_s: float
    _begun: bool = False
    _stage: int = 0
    _after: str = ""
    _commits: int = 0
    _told: set[str] = field(default_factory=set)

    async def run(self, term: int) -> None:
        """Sweep for ever. Raises `Fenced`; what else fails is tried again."""
        self._begun = False
        rest_s = max(self.pause_s, self.older_than_s / _WALKS)
        while True:
            goes_on = True
            try:
                goes_on = await self.step(term)
            except Fenced:
                raise
            except (HeadraceError, OSError) as error:
                logger("data").warning(
                    f"the store could not be swept, it is tried again: {error}", action="sweep"
                )
            await asyncio.sleep(self.pause_s if goes_on else rest_s)

    async def step(self, term: int) -> bool:
        """Look at one page; False: the walk has come to its end, or may not begin."""
        if not self._begun and not await self._begin(term):
            return False
        stage = _STAGES[self._stage]
        page = await self.store.page(stage, self._after, _PAGE)
        old = [each.key for each in page if each.age_s >= self.older_than_s]
        if old and not await self._judge(stage, old, term):
            return False
        if page:
            self._after = page[-1].key
            return True
        self._after, self._stage = "", self._stage + 1
        self._begun = self._stage < len(_STAGES)
        return self._begun

    async def _begin(self, term: int) -> bool:
        """Begin a walk, unless Redis knows less than it did; see the module."""
        look = await self.datasets.look({}, term)
        kept = None
        try:
            kept = json.loads(await self.store.get_bytes(CATALOGUE, _CATALOGUE_BYTES))
            same = kept["epoch"] == look.epoch and kept["commits"] <= look.commits
        except NotFound:
            same = True
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            if look.epoch not in self._told:
                self._told.add(look.epoch)
                logger("data").warning(
                    "the store is not swept: Redis was emptied or restored since, and may have "
                    "forgotten what lies there; once all datasets are as they should be, remove "
                    f"the object {CATALOGUE} from the store",
                    action="sweep",
                )
            return False
        try:
            await self._keep(look.epoch, look.commits)
        except Unavailable:
            if kept is None:
                raise
            # A full store is swept all the same, which makes room: what it kept does for now.
        self._begun, self._stage, self._after, self._commits = True, 0, "", look.commits
        return True

    async def _keep(self, epoch: str, commits: int) -> None:
        text = json.dumps({"epoch": epoch, "commits": commits})
        await self.store.put_bytes(CATALOGUE, text.encode())

    async def _judge(self, stage: str, keys: Sequence[str], term: int) -> bool:
        """Remove those of some keys that nothing can name; False: Redis is not what it was."""
        found: dict[DatasetId, list[str]] = {}
        makers: dict[DatasetId, JobId | None] = {}
        for key in keys:
            dataset = DatasetId(key.split("/")[1])
            try:
                makers[dataset] = maker_of(dataset)
            except InvalidName:
                continue  # not ours to judge
            found.setdefault(dataset, []).append(key)
        look = await self.datasets.look(makers, term)
        if look.commits < self._commits:
            await self._keep(look.epoch, self._commits)
            self._begun = False
            return False
        self._commits = look.commits
        for dataset, theirs in found.items():
            state = look.states[dataset]
            try:
                if state is DatasetState.SEALED and stage == DATASETS:
                    await self._remove(dataset, await self._unlisted(dataset, theirs))
                elif is_over(state, makers[dataset], look.statuses[dataset]):
                    await self._over(stage, dataset, theirs)
            except (Conflict, InvalidInput, NotFound) as error:
                # A damaged manifest, or marker, does not tell what may go.
                logger("data").warning(
                    f"what lies in the store for a dataset stays: {error}",
                    action="sweep",
                    dataset=dataset,
                )
        return True

    async def _unlisted(self, dataset: DatasetId, keys: Sequence[str]) -> list[str]:
        """Those keys of a SEALED dataset that its manifest does not list."""
        for entry in await self.datasets.get_many([dataset]):
            if entry.dataset.state is DatasetState.SEALED:
                manifest = await self.manifests.of(entry.dataset)
                keep = {item.key for item in manifest.items}
                keep.add(manifest_key(entry.dataset, manifest.sha256))
                return [key for key in keys if key not in keep]
        return []  # deleted meanwhile

    async def _over(self, stage: str, dataset: DatasetId, keys: Sequence[str]) -> None:
        """Remove what lies there of a dataset of which nothing can come any more."""
        if stage == TOMBSTONES:
            for key in (marker_key(dataset), deleted_key(dataset)):
                await self.store.delete(key)
            await self._remove(dataset, [tombstone_key(dataset)])
        elif stage in (MARKERS, DELETED):
            (key,) = keys
            if not await self._is_believed(dataset, key):
                await self._remove(dataset, [key])
        elif not await self._is_marked(dataset):
            await self._remove(dataset, keys)
            if not await self.store.keys(folder(dataset)):
                await self.store.delete(folder(dataset))  # a directory has empty folders left

    async def _is_marked(self, dataset: DatasetId) -> bool:
        keys = (marker_key(dataset), deleted_key(dataset))
        return any([await self.store.stat(key) is not None for key in keys])

    async def _is_believed(self, dataset: DatasetId, marker: str) -> bool:
        """Whether a rebuild might take a dataset back, by a marker and the manifest it names."""
        data = await self.store.get_bytes(marker, _MARKER_BYTES)
        try:
            sealed = read_entry(data.decode())
        except UnicodeDecodeError as error:
            raise InvalidInput("the marker is damaged") from error
        key = manifest_key(sealed, sealed.manifest_sha256 or "")
        return await self.store.stat(key) is not None

    async def _remove(self, dataset: DatasetId, keys: Sequence[str]) -> None:
        for key in keys:
            await self.store.delete(key)
        if keys:
            logger("data").info(
                f"{len(keys)} objects that nothing names left the store, such as {keys[0]}",
                action="sweep",
                dataset=dataset,
            )
