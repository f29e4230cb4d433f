"""What owners do with a whole dataset: describe, tag, rename, keep, delete."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace_data.core.naming import check_new_name
from headrace_data.library import Library
from headrace_model.dataset import Dataset, DatasetState
from headrace_model.errors import Conflict, NotFound, Stale
from headrace_model.ids import JobId
from headrace_model.people import Act, User, check_thing, sees
from headrace_service.logs import logger
from headrace_wire.datasets import DatasetChange

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import Entry

_LINKED = "LINKED"
_NAMED_JOBS = 10


@dataclass(frozen=True, slots=True)
class Curation:
    """As the library, it asks the one matrix of rules before anything is done."""

    library: Library

    async def change(self, name: str, user: User, asked: DatasetChange) -> Dataset:
        """Change what PATCH can; raises `Stale` where another change came first, `Conflict`."""
        entry = await self.library.access.allowed(name, user, Act.CHANGE_DATASET)
        if asked.keeps or asked.expires_after_ms is not None or asked.name is not None:
            # What expires is deleted, and a name that is lost as well as deleted: who may not do
            # the one may not have the other done.
            entry = await self.library.access.allowed(name, user, Act.DELETE_DATASET)
        dataset = entry.dataset
        if asked.tags is not None:
            dataset = replace(dataset, tags=asked.tags)
        if asked.description is not None:
            dataset = replace(dataset, description=asked.description)
        if asked.keeps:
            dataset = replace(dataset, expires_ms=None)
        if asked.expires_after_ms is not None:
            until = await self.library.jobs.now_ms() + asked.expires_after_ms
            dataset = replace(dataset, expires_ms=until)
        if asked.name is not None and asked.name != dataset.name:
            renamed = replace(dataset, name=check_new_name(asked.name))
            return await self._rename(entry, renamed, user)
        await self.library.datasets.describe(entry, dataset)
        await self._changed([dataset])
        return dataset

    async def _rename(self, entry: "Entry", changed: Dataset, user: User) -> Dataset:
        """Rename all versions at once, and change one of them otherwise too."""
        ids = await self.library.datasets.versions(entry.dataset.name)
        entries = await self.library.datasets.get_many(ids)
        others = [one for one in entries if one.dataset.id != changed.id]
        unseen = NotFound(f"there is no dataset {entry.dataset.name}")
        for one in others:  # of another owner after a restore at the most
            check_thing(
                user,
                Act.DELETE_DATASET,
                Act.SEE_DATASET,
                one.dataset.owner,
                one.dataset.shared,
                unseen,
            )
        renamed = [(one, replace(one.dataset, name=changed.name)) for one in others]
        try:
            await self.library.datasets.rename([(entry, changed), *renamed])
        except Stale as error:
            raise Conflict(error.message, hint="try again") from None
        await self._changed([changed, *(dataset for _, dataset in renamed)])
        return changed

    async def _changed(self, datasets: Sequence[Dataset]) -> None:
        for each in datasets:
            if each.state is DatasetState.SEALED:
                await self.library.upkeep.mark(each.id)
        await self.library.catalogue.refresh([each.id for each in datasets])

    async def delete(self, name: str, user: User, *, now: bool = False) -> Dataset | None:
        """Delete one version; return it if it can be brought back. With `now` it can't, and one
        that was deleted before goes too.

        Raises `Conflict` that names the jobs which use it.
        """
        try:
            entry = await self.library.access.allowed(name, user, Act.DELETE_DATASET)
        except NotFound as missing:
            try:
                entry = await self.library.access.deleted(name, user)
            except NotFound:
                raise missing from None
            if not now:
                if name != entry.dataset.id:  # a name stands for another version by now
                    raise
                return entry.dataset  # a repeat
        if now and name == entry.dataset.name:
            versions = await self.library.datasets.versions(name)
            if len(versions) > 1:  # a repeat would delete the one before
                raise Conflict(
                    f"{name} has {len(versions)} versions, and what is deleted at once can't be "
                    "brought back",
                    hint=f"name the version: {name}@{entry.dataset.version}",
                )
        try:
            return await self.library.upkeep.delete(entry.dataset.id, now=now)
        except Conflict as error:
            if error.code != _LINKED:
                raise
            jobs = [JobId(each) for each in error.message.split()]
            raise Conflict(
                f"dataset {entry.dataset.title} is used by {await self._in_words(jobs, user)}",
                hint="cancel those jobs, or wait until they have ended",
            ) from None

    async def undelete(self, name: str, user: User, new_name: str | None) -> Dataset:
        """Bring a deleted version back; a repeat is success. Raises `NotFound`, `Conflict`."""
        access = self.library.access
        try:
            entry = await access.deleted(name, user)
        except NotFound as missing:
            try:
                there = (await access.allowed(name, user, Act.DELETE_DATASET)).dataset
            except NotFound:
                raise missing from None
            if new_name not in (None, there.name):
                raise Conflict(
                    f"dataset {there.title} is not deleted, so that it keeps its name",
                    hint=f"`headrace dataset change {there.name} --name {new_name}` renames it",
                ) from None
            return there
        dataset = entry.dataset
        if new_name is not None and new_name != dataset.name:
            check_new_name(new_name)
        back = dataset.undeleted(new_name or dataset.name)
        newest = await access.newest(back.name)
        if newest is not None and newest.owner != dataset.owner:
            raise Conflict(
                f"the name {back.name} was taken meanwhile",
                hint=f"`headrace dataset undelete {dataset.name}@{dataset.version} --as NAME` "
                "brings it back under another one",
            )
        try:
            await self.library.datasets.undelete(entry, back, newest.id if newest else "")
        except Stale as error:
            raise Conflict(error.message, hint="try again") from None
        logger("data").info(
            f"dataset {back.title} was brought back", action="undelete", dataset=back.id
        )
        await self._changed([back])
        return back

    async def _in_words(self, jobs: Sequence[JobId], user: User) -> str:
        """Name the jobs that a user may see, and tell how many more there are."""
        found = await self.library.jobs.get_many(jobs)
        names = [
            each.id for each in found
            if sees(user, each.owner, each.shared)
        ][:_NAMED_JOBS]  # fmt: skip
        more = len(jobs) - len(names)
        if not names:
            return f"{more} job{'s' if more > 1 else ''} of others"
        return ", ".join(names) + (f" and {more} more" if more else "")
