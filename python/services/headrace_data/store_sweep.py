"""Removes what nothing names from the store: writes that came too late, remains of a kill.

An object goes when it is older than a set age and *nothing can ever name it*, which holds in three
cases only:

* Its dataset is SEALED, and the manifest does not list it: a SEALED dataset never changes.
* Its dataset is not in the catalogue and never will be: the id of an upload is fresh and was in
  the catalogue before its first byte, so it was deleted, and deleted ids never come back; the job
  of an output is final (or archived), and what it did not seal with its end, in one script, it
  never seals. No marker in the store speaks for it, from which a catalogue could be rebuilt.
* It is a checkpoint of a job that is final, or archived: a late agent's.

So an upload in progress loses nothing at whatever age: its dataset is OPEN, its job not final, and
both are left alone. And it does not matter how late a removal comes: a leader that is stopped
between its look at Redis and the removal, and goes on when another one leads, removes what is
still nobody's. The age keeps what an operator may want to look at, no more.

What Redis says is believed only while it is the Redis that it was: `swept/catalogue` in the store
keeps its epoch and the number of its commits. A Redis that was emptied, rebuilt or restored from
an earlier copy knows less than the store; then nothing is removed until the operator removes that
object. Each look is by one script, which refuses a leader that is none any more.

A round is a page of keys; a walk goes on where the last round stopped, and begins anew with
another leader. An admin may have any page looked at, or swept, at any time (`sweep_page`): that
needs no leader, for what it removes is nobody's whoever removes it.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from headrace_data.core.keys import (
    CATALOGUE,
    CHECKPOINTS,
    DATASETS,
    DELETED,
    MARKERS,
    TOMBSTONES,
    deleted_key,
    manifest_key,
    marker_key,
)
from headrace_data.core.sweeping import is_over, why_left, why_over
from headrace_data.staging import Manifests
from headrace_model.dataset import DatasetState, check_item_path
from headrace_model.errors import (
    Conflict,
    Fenced,
    HeadraceError,
    InvalidInput,
    InvalidName,
    NotFound,
    Unavailable,
)
from headrace_model.ids import DatasetId, JobId, parse_job_id
from headrace_model.outputs import maker_of
from headrace_ports.object_store import Listed, ObjectStore
from headrace_service.logs import logger
from headrace_wire.datasets import read_entry

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore, Look

_PAGE: Final = 200  # of as many datasets manifests are read
_WALKS: Final = 4  # begin within the age
_MARKER_BYTES: Final = 64 * 2**20
_CATALOGUE_BYTES: Final = 4096
# A marker that speaks for nothing goes before the objects that it would have kept.
_STAGES: Final = (TOMBSTONES, MARKERS, DELETED, DATASETS, CHECKPOINTS)
_OTHER_REDIS: Final = (
    "the store is not swept: Redis was emptied or restored since, and may have forgotten what "
    "lies there; once all datasets are as they should be, remove the object "
    f"{CATALOGUE} from the store"
)


@dataclass(frozen=True, slots=True)
class Nameless:
    """An object that nothing can ever name; `due`: it is old enough to go."""

    key: str
    size_bytes: int
    age_s: float
    due: bool
    why: str


@dataclass(frozen=True, slots=True)
class Swept:
    """A page of the store: how many objects were looked at, and where to go on; None: the end."""

    looked_at: int
    nameless: tuple[Nameless, ...]
    cursor: str | None


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
        old = [each for each in page if each.age_s >= self.older_than_s]
        if old:
            look, found = await self._judge(stage, old, term)
            if look.commits < self._commits:
                await self._keep(look.epoch, self._commits)
                self._begun = False
                return False
            self._commits = look.commits
            await self._remove(stage, found)
        if page:
            self._after = page[-1].key
            return True
        self._after, self._stage = "", self._stage + 1
        self._begun = self._stage < len(_STAGES)
        return self._begun

    async def sweep_page(self, cursor: str, *, dry_run: bool) -> Swept:
        """Find what nothing can name in a page of the store, and remove what is old enough of it.

        With `dry_run` nothing is removed. Raises `Conflict` where Redis may have forgotten what
        lies there, `InvalidInput` for a cursor that was never given.
        """
        stage = check_item_path(cursor).partition("/")[0] if cursor else _STAGES[0]
        if stage not in _STAGES:
            raise InvalidInput(
                f"no sweep gave the cursor {cursor[:80]!r}", hint="begin without one"
            )
        look = await self.datasets.look({}, None)
        kept = await self._kept()
        if not _is_same(kept, look):
            raise Conflict(_OTHER_REDIS)
        if kept is None and not dry_run:
            await self._keep(look.epoch, look.commits)
        page = await self.store.page(stage, cursor if "/" in cursor else "", _PAGE)
        look, found = await self._judge(stage, page, None, foresees=dry_run)
        if not _is_same(kept, look):
            raise Conflict(_OTHER_REDIS)
        if not dry_run:
            await self._remove(stage, [each for each in found if each.due])
        if page:
            return Swept(len(page), tuple(found), page[-1].key)
        following = _STAGES.index(stage) + 1
        return Swept(0, (), _STAGES[following] if following < len(_STAGES) else None)

    async def _begin(self, term: int) -> bool:
        """Begin a walk, unless Redis knows less than it did; see the module."""
        look = await self.datasets.look({}, term)
        kept = await self._kept()
        if not _is_same(kept, look):
            if look.epoch not in self._told:
                self._told.add(look.epoch)
                logger("data").warning(_OTHER_REDIS, action="sweep")
            return False
        try:
            await self._keep(look.epoch, look.commits)
        except Unavailable:
            if kept is None:
                raise
            # A full store is swept all the same, which makes room: what it kept does for now.
        self._begun, self._stage, self._after, self._commits = True, 0, "", look.commits
        return True

    async def _kept(self) -> object:
        """By which Redis the store was swept last; None: by none so far."""
        try:
            return json.loads(await self.store.get_bytes(CATALOGUE, _CATALOGUE_BYTES))
        except NotFound:
            return None
        except ValueError:
            return "damaged"

    async def _keep(self, epoch: str, commits: int) -> None:
        text = json.dumps({"epoch": epoch, "commits": commits})
        await self.store.put_bytes(CATALOGUE, text.encode())

    async def _judge(
        self, stage: str, page: Sequence[Listed], term: int | None, *, foresees: bool = False
    ) -> tuple["Look", list[Nameless]]:
        """Find those of a page that nothing can name.

        One `foresees` what a walk removes as a whole: a marker goes before what it would have
        kept.
        """
        found: dict[DatasetId, list[Listed]] = {}
        makers: dict[DatasetId, JobId | None] = {}
        for each in page:
            dataset = DatasetId(each.key.split("/")[1])
            try:
                makers[dataset] = (
                    parse_job_id(dataset) if stage == CHECKPOINTS else maker_of(dataset)
                )
            except InvalidName:
                continue  # not ours to judge
            found.setdefault(dataset, []).append(each)
        look = await self.datasets.look(makers, term)
        nameless: list[Nameless] = []
        for dataset, theirs in found.items():
            state, maker, status = look.states[dataset], makers[dataset], look.statuses[dataset]
            why, gone = "", list[Listed]()
            try:
                if state is DatasetState.SEALED and stage == DATASETS:
                    why = f"the manifest of dataset {dataset} does not list it"
                    gone = await self._unlisted(dataset, theirs)
                elif stage == CHECKPOINTS:
                    if maker and is_over(None, maker, status):
                        why, gone = why_left(maker, status), theirs
                elif is_over(state, maker, status):
                    why = why_over(maker, status)
                    gone = await self._over(stage, dataset, theirs, foresees=foresees)
            except (Conflict, InvalidInput, NotFound) as error:
                # A damaged manifest, or marker, does not tell what may go.
                logger("data").warning(
                    f"what lies in the store for a dataset stays: {error}",
                    action="sweep",
                    dataset=dataset,
                )
            nameless += [
                Nameless(
                    each.key, each.size_bytes, each.age_s, each.age_s >= self.older_than_s, why
                )
                for each in gone
            ]
        return look, nameless

    async def _unlisted(self, dataset: DatasetId, theirs: Sequence[Listed]) -> list[Listed]:
        """Those objects of a SEALED dataset that its manifest does not list."""
        for entry in await self.datasets.get_many([dataset]):
            if entry.dataset.state is DatasetState.SEALED:
                manifest = await self.manifests.of(entry.dataset)
                keep = {item.key for item in manifest.items}
                keep.add(manifest_key(entry.dataset, manifest.sha256))
                return [each for each in theirs if each.key not in keep]
        return []  # deleted meanwhile

    async def _over(
        self, stage: str, dataset: DatasetId, theirs: Sequence[Listed], *, foresees: bool
    ) -> list[Listed]:
        """What may go of a dataset of which nothing can come any more."""
        if stage == TOMBSTONES:
            return list(theirs)
        if stage in (MARKERS, DELETED):
            believed = await self._is_believed(dataset, theirs[0].key)
        else:
            believed = await self._is_marked(dataset, foresees=foresees)
        return [] if believed else list(theirs)

    async def _is_marked(self, dataset: DatasetId, *, foresees: bool) -> bool:
        for key in (marker_key(dataset), deleted_key(dataset)):
            there = await self.store.stat(key) is not None
            if there and (not foresees or await self._is_believed(dataset, key)):
                return True
        return False

    async def _is_believed(self, dataset: DatasetId, marker: str) -> bool:
        """Whether a rebuild might take a dataset back, by a marker and the manifest it names."""
        data = await self.store.get_bytes(marker, _MARKER_BYTES)
        try:
            sealed = read_entry(data.decode())
        except UnicodeDecodeError as error:
            raise InvalidInput("the marker is damaged") from error
        key = manifest_key(sealed, sealed.manifest_sha256 or "")
        return await self.store.stat(key) is not None

    async def _remove(self, stage: str, found: Sequence[Nameless]) -> None:
        gone: dict[DatasetId, list[str]] = {}
        for each in found:
            gone.setdefault(DatasetId(each.key.split("/")[1]), []).append(each.key)
        for dataset, keys in gone.items():
            if stage == TOMBSTONES:
                keys = [marker_key(dataset), deleted_key(dataset), *keys]
            for key in keys:
                await self.store.delete(key)
            theirs = f"{stage}/{dataset}"
            if stage in (DATASETS, CHECKPOINTS) and not await self.store.keys(theirs):
                await self.store.delete(theirs)  # a directory has empty folders left
            logger("data").info(
                f"{len(keys)} objects that nothing names left the store, such as {keys[-1]}",
                action="sweep",
                **{"job" if stage == CHECKPOINTS else "dataset": dataset},
            )


def _is_same(kept: Any, look: "Look") -> bool:
    """Tell whether Redis is the one that was kept, and knows as much at least."""
    if kept is None:
        return True
    try:
        return bool(kept["epoch"] == look.epoch and kept["commits"] <= look.commits)
    except (KeyError, TypeError):
        return False
