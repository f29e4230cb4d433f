"""The catalogue of datasets in Redis: make, fill, seal, describe, delete, restore, read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.dataset import Category, Dataset, DatasetState, Item
from headrace_model.errors import InvalidInput, NotFound, OverQuota
from headrace_model.ids import DatasetId, JobId
from headrace_model.quota import Quota, over_quota
from headrace_model.status import Role, Status
from headrace_wire.datasets import read_entry
from headrace_wire.records import compact, encode_dataset

_COUNTED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A dataset as the catalogue holds it: `doc` is what scripts compare it by.

    `changes` counts the changes of an OPEN dataset's items.
    """

    dataset: Dataset
    doc: str
    changes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What Redis said in one instant: which Redis, how many scripts have written to it, and by
    dataset its state and the status of the job whose output it is; None: not in Redis."""

    epoch: str
    commits: int
    states: Mapping[DatasetId, DatasetState | None]
    statuses: Mapping[DatasetId, Status | None]


class DatasetStore:
    """All that the services do with datasets in Redis. Every method may be repeated."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(
        self, dataset: Dataset, *, new_version: bool, newest: str, once: str = ""
    ) -> tuple[DatasetId, bool]:
        """Make an OPEN dataset; Redis gives version and time. False: it was made before.

        `once` names the request: for a day a repeat finds what it made, though under another id.
        `newest` is the id that the name stood for when owner and shares were decided, "" for
        none. Raises `Stale` where it stands for another one by now, and `Conflict`: the name is
        taken and `new_version` is false, or is being written.
        """
        args = {
            "id": dataset.id,
            "name": dataset.name,
            "new_version": new_version,
            "newest": newest,
            "doc": encode_dataset(dataset),
        }
        if once:
            args["once"] = once
        id_, made = await self._redis.script("create_dataset", args)
        return DatasetId(id_), bool(made)

    async def put_items(
        self, dataset: DatasetId, items: Iterable[Item], most: int, quotas: Iterable[Quota] = ()
    ) -> int:
        """Add or replace items of an OPEN dataset, all or none; how many were not there just so.

        Raises `NotFound`, `Conflict` (not OPEN), `TooLarge`: it would have more than `most` items,
        and `OverQuota`: they would pass one of its owner's `quotas`.
        """
        args = {
            "id": dataset,
            "items": {each.path: _item_text(each) for each in items},
            "most": most,
            "quotas": [
                {"who": each.who, "limit": each.limit_bytes, "owners": list(each.owners)}
                for each in quotas
            ],
        }
        try:
            (changed,) = await self._redis.script("put_items", args)
        except OverQuota as error:
            who, *numbers = error.message.split()
            raise over_quota(who, *(int(each) for each in numbers)) from None
        return int(changed)

    async def count(self) -> None:
        """Have every dataset count for its owner that was made before they were counted."""
        if await self._redis.command("EXISTS", "hr:counted"):
            return
        ids = sorted(await self.ids() | set(await self.deleted()))
        for start in range(0, len(ids) + 1, _COUNTED_AT_ONCE):
            args = {
                "datasets": ids[start : start + _COUNTED_AT_ONCE],
                "last": start + _COUNTED_AT_ONCE > len(ids),
            }
            await self._redis.script("count_datasets", args)

    async def remove_item(self, dataset: DatasetId, path: str) -> bool:
        """Remove an item of an OPEN dataset; False: there was none."""
        (changed,) = await self._redis.script("put_items", {"id": dataset, "items": {path: ""}})
        return bool(changed)

    async def seal(self, entry: Entry, sealed: Dataset) -> bool:
        """Seal what `entry` says; False: it was SEALED already.

        Raises `Stale` where items or description changed since, `NotFound`, `Conflict`.
        """
        args = {
            "id": sealed.id,
            "doc": encode_dataset(sealed),
            "old": entry.doc,
            "index": index_key(sealed.category, sealed.format),
            "changes": entry.changes,
        }
        (done,) = await self._redis.script("seal_dataset", args)
        return bool(done)

    async def describe(self, entry: Entry, described: Dataset) -> None:
        """Change description, expiry or shares. Raises `Stale`, `NotFound`."""
        doc = encode_dataset(described)
        if doc != entry.doc:
            args = {"id": described.id, "old": entry.doc, "doc": doc}
            await self._redis.script("describe_dataset", args)

    async def rename(self, changes: Sequence[tuple[Entry, Dataset]]) -> None:
        """Rename all versions of a name, each with other changes where it has any.

        Raises `Stale` (one changed, came or went meanwhile), and `Conflict`: the new name is or
        was another dataset's.
        """
        args = {
            "name": changes[0][0].dataset.name,
            "to": changes[0][1].name,
            "datasets": [
                {
                    "id": changed.id,
                    "version": changed.version,
                    "old": entry.doc,
                    "doc": encode_dataset(changed),
                }
                for entry, changed in changes
            ],
        }
        await self._redis.script("rename_dataset", args)

    async def marked(self, dataset: DatasetId, doc: str) -> bool:
        """Note that the store says `doc`; False: it has to be written again."""
        (done,) = await self._redis.script("mark_dataset", {"id": dataset, "doc": doc})
        return bool(done)

    async def unmarked(self) -> list[DatasetId]:
        """Datasets of which the store does not say yet what the catalogue does."""
        return [
            DatasetId(one) for one in await self._redis.command("ZRANGE", "hr:unmarked", 0, -1)
        ]

    async def delete(self, entry: Entry, deleted: Dataset) -> bool:
        """Hide what `entry` says; False: it was deleted before.

        Raises `Linked`, `Stale`, `NotFound`.
        """
        args = {
            "id": deleted.id,
            "old": entry.doc,
            "doc": encode_dataset(deleted),
            "name": deleted.name,
            "version": deleted.version,
            "index": index_key(deleted.category, deleted.format),
            "purge_ms": deleted.purge_ms,
        }
        (done,) = await self._redis.script("delete_dataset", args)
        return bool(done)

    async def undelete(self, entry: Entry, back: Dataset, newest: str) -> bool:
        """Bring a DELETED dataset back, maybe under another name; False: it is back already.

        `newest` is as in `create`. Raises `Stale`, `NotFound`, `Conflict`: the name is taken.
        """
        args = {
            "id": back.id,
            "old": entry.doc,
            "doc": encode_dataset(back),
            "name": back.name,
            "version": back.version,
            "state": back.state,
            "index": index_key(back.category, back.format),
            "newest": newest,
        }
        (done,) = await self._redis.script("undelete_dataset", args)
        return bool(done)

    async def deleted(self, until_ms: int | None = None) -> list[DatasetId]:
        """Datasets that are DELETED; with `until_ms` those whose undo time is over by then."""
        until = "+inf" if until_ms is None else until_ms
        ids = await self._redis.command("ZRANGE", "hr:deleted", "-inf", until, "BYSCORE")
        return [DatasetId(one) for one in ids]

    async def tombstone(self, entry: Entry) -> bool:
        """Mark as deleted for good; False: it was before. Raises `Linked`, `Stale`, `NotFound`."""
        dataset = entry.dataset
        args = {
            "id": dataset.id,
            "doc": entry.doc,
            "name": dataset.name,
            "version": dataset.version,
            "index": index_key(dataset.category, dataset.format),
        }
        (done,) = await self._redis.script("tombstone_dataset", args)
        return bool(done)

    async def tombstones(self) -> list[DatasetId]:
        """Deleted datasets whose files may still be in the store, the oldest first."""
        ids = await self._redis.command("ZRANGE", "hr:tombstones", 0, -1)
        return [DatasetId(one) for one in ids]

    async def forget(self, dataset: DatasetId) -> None:
        """Drop a TOMBSTONED dataset whose files are gone."""
        await self._redis.script("forget_dataset", {"id": dataset})

    async def restore(self, dataset: Dataset) -> bool:
        """Take in a SEALED or DELETED dataset that the catalogue lost; False: it knows better."""
        args: dict[str, Any] = {
            "id": dataset.id,
            "name": dataset.name,
            "version": dataset.version,
            "doc": encode_dataset(dataset),
            "index": index_key(dataset.category, dataset.format),
        }
        if dataset.state is DatasetState.DELETED:
            args["purge_ms"] = dataset.purge_ms
        (done,) = await self._redis.script("restore_dataset", args)
        return bool(done)

    async def look(self, of: Mapping[DatasetId, JobId | None], term: int | None) -> Look:
        """Look at datasets, each with the job whose output it is; with a `term` for its leader.

        Raises `Fenced` for an earlier leader, and where Redis is another one; `InvalidInput` for a
        damaged record.
        """
        args: dict[str, Any] = {
            "role": Role.DATA,
            "datasets": list(of),
            "jobs": [job or "" for job in of.values()],
        }
        if term is not None:
            args["term"] = term
        commits, states, statuses = await self._redis.script("look_at_datasets", args)
        try:
            known = [DatasetState(word) if word else None for word in states]
            ends = [Status(word) if word else None for word in statuses]
        except ValueError as error:
            raise InvalidInput(f"a dataset or a job is damaged in Redis: {error}") from None
        return Look(
            self._redis.epoch,
            int(commits),
            dict(zip(of, known, strict=True)),
            dict(zip(of, ends, strict=True)),
        )

    async def get(self, dataset: DatasetId) -> Entry:
        """Read one dataset, in any state; raises `NotFound`."""
        fields = await self._redis.command("HGETALL", f"hr:dataset:{dataset}")
        if not fields:
            raise NotFound(f"there is no dataset {dataset}")
        return _entry(dataset, fields)

    async def get_many(self, datasets: Iterable[DatasetId]) -> list[Entry]:
        """Read several; those that are gone are left out."""
        ids = list(datasets)
        replies = await self._redis.commands([("HGETALL", f"hr:dataset:{one}") for one in ids])
        return [_entry(one, fields) for one, fields in zip(ids, replies, strict=True) if fields]

    async def named(self, name: str) -> DatasetId:
        """The dataset of `name` (its newest version), `name@N`, or of an id; raises `NotFound`."""
        found = await self._redis.command("HGET", "hr:names", name)
        if found:
            return DatasetId(found)
        state = await self._redis.command("HGET", f"hr:dataset:{name}", "state")
        if state in (DatasetState.OPEN, DatasetState.SEALED):
            return DatasetId(name)
        raise NotFound(
            f"there is no dataset {name[:140]!r}", hint="`headrace dataset list` shows all"
        )

    async def versions(self, name: str) -> list[DatasetId]:
        """Every version of a name that is not deleted, the newest first."""
        highest = int(await self._redis.command("HGET", "hr:versions", name) or 1)
        names = [f"{name}@{number}" for number in range(highest, 0, -1)]
        found = await self._redis.command("HMGET", "hr:names", *names)
        return [DatasetId(one) for one in found if one]

    async def ids(self) -> set[DatasetId]:
        """Every dataset that has a name: OPEN and SEALED ones."""
        return {DatasetId(one) for one in await self._redis.command("HVALS", "hr:names")}

    async def sealed_ids(self, category: Category, format_: str) -> set[DatasetId]:
        """Every SEALED dataset of a category and format."""
        found = await self._redis.command("SMEMBERS", index_key(category, format_))
        return {DatasetId(one) for one in found}

    async def items(self, dataset: DatasetId) -> tuple[Item, ...]:
        """The items of an OPEN dataset, sorted by path; none of a SEALED one."""
        found: Mapping[str, str] = await self._redis.command("HGETALL", f"hr:items:{dataset}")
        return tuple(_item(path, found[path]) for path in sorted(found))

    async def items_at(self, dataset: DatasetId, paths: Sequence[str]) -> dict[str, Item]:
        """Items of an OPEN dataset by their paths, as far as they are there."""
        found = await self._redis.command("HMGET", f"hr:items:{dataset}", *paths)
        pairs = zip(paths, found, strict=True)
        return {path: _item(path, text) for path, text in pairs if text}

    async def item_count(self, dataset: DatasetId) -> int:
        """The number of items of an OPEN dataset."""
        return int(await self._redis.command("HLEN", f"hr:items:{dataset}"))

    async def links(self, dataset: DatasetId) -> list[JobId]:
        """The jobs that use a dataset and are not final."""
        users = await self._redis.command("SMEMBERS", f"hr:links:{dataset}")
        return [JobId(job) for job in sorted(users)]


def index_key(category: Category, format_: str) -> str:
    """The set of all SEALED datasets of a category and format."""
    return f"hr:datasets:{category}:{format_}"


def _entry(dataset: DatasetId, fields: Mapping[str, str]) -> Entry:
    """The hash has the last word on state, version and time: the doc was made before these."""
    try:
        read = read_entry(fields["doc"])
        known = replace(
            read,
            state=DatasetState(fields["state"]),
            version=int(fields.get("version", read.version)),
            created_ms=int(fields.get("created_ms", read.created_ms)),
        )
        return Entry(known, fields["doc"], int(fields.get("changes", "0")))
    except (KeyError, ValueError, InvalidInput) as error:
        raise InvalidInput(f"hr:dataset:{dataset} is damaged: {error!r}") from None


def _item_text(item: Item) -> str:
    return compact({"size_bytes": item.size_bytes, "sha256": item.sha256, "key": item.key})


def _item(path: str, text: str) -> Item:
    plain = json.loads(text)
    return Item(path, plain["size_bytes"], plain["sha256"], plain["key"])
