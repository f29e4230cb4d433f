"""Which datasets a user may see and what they may do with them; and with whom they are shared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace_data.catalogue import Catalogue
from headrace_data.core.checking import Matched, is_lock_list
from headrace_model.dataset import Dataset, DatasetState
from headrace_model.errors import Conflict, NotFound, Stale
from headrace_model.ids import DatasetId
from headrace_model.people import (
    Act,
    Share,
    Shares,
    User,
    UserRole,
    check_thing,
    may,
    not_shared_with,
    shared_with,
)
from headrace_model.requirement import Requirement
from headrace_model.visible import Readers, maker_key, reader_keys

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore, Entry
    from headrace_adapters.redis.users import UserStore

_THERE = (DatasetState.OPEN, DatasetState.SEALED)


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the one matrix of rules (`headrace_model.people`) before anything is done.

    What a user may not see raises the very `NotFound` of a name that is not there; what they may
    see but not do raises `Forbidden`.
    """

    catalogue: Catalogue
    datasets: "DatasetStore"

    async def allowed(self, name: str, user: User, act: Act) -> "Entry":
        """The entry of a name, where the user may do this."""
        # Made before it is known whether the name is there: both answers are the same.
        missing = NotFound(
            f"there is no dataset {name[:140]!r}",
            hint="`headrace dataset list` shows those you may see",
        )
        try:
            entry = await self._entry(name)
        except NotFound:
            if gone := self._deleted(name, user):
                missing.hint = (
                    f"`headrace dataset undelete {gone[0].name}@{gone[0].version}` brings the "
                    "deleted one back"
                )
            raise missing from None
        dataset = entry.dataset
        check_thing(user, act, Act.SEE_DATASET, dataset.owner, dataset.shared, missing)
        return entry

    async def newest(self, name: str) -> Dataset | None:
        """What a name stands for, whoever may see it; None for a free name."""
        try:
            return (await self._entry(name)).dataset
        except NotFound:
            return None

    async def deleted(self, name: str, user: User) -> "Entry":
        """The DELETED dataset of a name, `name@N` or id that a user may bring back, or purge.

        Raises `NotFound`, and `Conflict` where several versions are meant.
        """
        # Another replica may have deleted it a moment ago.
        known = {each.id for each in self.catalogue.deleted()}
        await self.catalogue.refresh(set(await self.datasets.deleted()) ^ known)
        found = self._deleted(name, user)
        if len(found) > 1:
            versions = ", ".join(f"{each.name}@{each.version}" for each in found)
            raise Conflict(
                f"several versions of {name} are deleted: {versions}", hint="name one of them"
            )
        if found:
            entry = await self.datasets.get(found[0].id)
            if entry.dataset.state is DatasetState.DELETED:
                return entry
        raise NotFound(
            f"no dataset {name[:140]!r} of yours is deleted, or its undo time is over",
            hint="`headrace dataset list --state deleted` shows those that can be brought back",
        )

    def _deleted(self, name: str, user: User) -> list[Dataset]:
        return [
            each
            for each in self.catalogue.deleted()
            if name in (each.id, each.name, f"{each.name}@{each.version}")
            and may(user, Act.DELETE_DATASET, user.standing(each.owner, each.shared))
        ]

    def listed(self, user: User, state: DatasetState | None = None) -> Sequence[Dataset]:
        """All that a user may see, the newest first; of DELETED ones, if these are asked for, what
        they may bring back. Raises `Forbidden`.
        """
        _check_reads(user)
        if state is DatasetState.DELETED:
            mine = [
                each
                for each in self.catalogue.deleted()
                if may(user, Act.DELETE_DATASET, user.standing(each.owner, each.shared))
            ]
            return sorted(mine, key=lambda each: (each.created_ms, each.id), reverse=True)
        if may(user, Act.SEE_DATASET):
            return self.catalogue.all()
        return self.catalogue.seen_by(reader_keys(user))

    def known(self, user: User) -> Callable[[DatasetId], Dataset | None]:
        """What finds a dataset by its id for a user: None for what they may not see."""

        def find(dataset: DatasetId) -> Dataset | None:
            found = self.catalogue.get(dataset)
            if found is None or found.state is DatasetState.DELETED:
                return None
            standing = user.standing(found.owner, found.shared)
            return found if may(user, Act.SEE_DATASET, standing) else None

        return find

    async def match(self, wanted: Requirement, user: User) -> Matched:
        """Answer as the data check of a job of this user would: for an admin too by what they
        own or is shared with them. Raises `Forbidden`.
        """
        _check_reads(user)
        return await self.catalogue.match(wanted, keys_for(wanted, user.name, reader_keys(user)))

    async def versions(self, name: str, user: User) -> list[Dataset]:
        """All versions of a name that one may see, the newest first; raises `NotFound`."""
        wanted = (await self.allowed(name, user, Act.SEE_DATASET)).dataset.name
        found = [
            each
            for each in self.listed(user)
            if each.name == wanted and each.state is not DatasetState.DELETED
        ]
        return sorted(found, key=lambda each: -each.version)

    async def share(self, name: str, user: User, share: Share) -> Dataset:
        """Share the version named `name@N` (or by its id), or all versions of `name`."""
        return await self._reshare(name, user, lambda shares: shared_with(shares, share))

    async def unshare(self, name: str, user: User, who: str) -> Dataset:
        """Take a share back, as `share` gives it; success if there is none."""
        return await self._reshare(name, user, lambda shares: not_shared_with(shares, who))

    async def _reshare(self, name: str, user: User, change: Callable[[Shares], Shares]) -> Dataset:
        named = (await self.allowed(name, user, Act.SHARE_DATASET)).dataset
        chosen = [named.id]
        if name == named.name:
            # Redis, not the catalogue, which may be late by the version that was just made.
            chosen += [one for one in await self.datasets.versions(name) if one != named.id]
        for one in chosen:
            while True:
                entry = await self._again(one)
                if entry is None or not may(
                    user, Act.SHARE_DATASET, user.standing(entry.dataset.owner, ())
                ):
                    break  # deleted meanwhile, or somebody else's from before a restore
                shared = change(entry.dataset.shared)
                try:
                    await self.datasets.describe(entry, replace(entry.dataset, shared=shared))
                except Stale:
                    continue
                break
        await self.catalogue.refresh(chosen)
        return (await self.datasets.get(named.id)).dataset

    async def _again(self, dataset: DatasetId) -> "Entry | None":
        try:
            entry = await self.datasets.get(dataset)
        except NotFound:
            return None
        return entry if entry.dataset.state in _THERE else None

    async def _entry(self, name: str) -> "Entry":
        found = await self._again(await self.datasets.named(name))
        if found is None:  # deleted since it was named
            raise NotFound(f"there is no dataset {name[:140]!r}")
        return found


async def readers_for(users: "UserStore", owner: str) -> Readers:
    """The keys under which the jobs of an owner find data.

    Who was disabled, or never registered, is in no group.
    """
    return reader_keys(await users.principal(owner) or User(owner, UserRole.USER))


def keys_for(wanted: Requirement, owner: str, readers: Readers) -> Readers:
    """The keys under which one requirement of somebody's job is met.

    What a lock list names is run: none is taken that the owner's own jobs did not make, whoever
    shares one or may write to the owner's data.
    """
    return maker_key(owner) if is_lock_list(wanted) else readers


def _check_reads(user: User) -> None:
    """Raise `Forbidden` for a token that may not even see what its user owns."""
    nothing = NotFound("there is nothing to see")
    check_thing(user, Act.SEE_DATASET, Act.SEE_DATASET, user.name, (), nothing)
