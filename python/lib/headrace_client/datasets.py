"""Datasets through the client: make, find, describe, seal, share, delete."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

from headrace_client.localfiles import LocalFile
from headrace_client.transfers import Moved, Transfers, View, address_of, item_address, say_nothing
from headrace_model.errors import Conflict, NotFound
from headrace_model.people import Level
from headrace_wire.lineage import DEPTH, NODES, LineageView, read_lineage
from headrace_wire.people import ShareRequest
from headrace_wire.schema import to_plain


class Datasets(Transfers):
    """What a client does with datasets; views are plain JSON objects (docs/rest.md)."""

    async def create(self, description: Mapping[str, Any], *, key: str | None = None) -> View:
        """Make an OPEN dataset of {name, category, format?, domain?, …}."""
        headers = {"Idempotency-Key": key or token_hex(16)}
        view: View = await self._http.json(
            "POST", "/datasets", body=dict(description), headers=headers
        )
        return view

    async def list(self, **query: str | int | Mapping[str, Any]) -> View:
        """List datasets: {datasets, cursor}; newest first. `domain` may be a mapping."""
        asked = {
            name: json.dumps(value) if isinstance(value, Mapping) else value
            for name, value in query.items()
            if value not in ("", None, {})
        }
        view: View = await self._http.json("GET", "/datasets", query=asked)
        return view

    async def seal(self, name: str, description: Mapping[str, Any] | None = None) -> View:
        """Seal a dataset; a repeat gives the same view."""
        view: View = await self._http.json(
            "POST", f"{address_of(name)}:seal", body=dict(description or {})
        )
        return view

    async def change(self, name: str, change: Mapping[str, Any]) -> View:
        """Change {name?, description?, tags?, expires_in?}; sealed ones too."""
        if "name" in change:  # by its id: a request that is repeated still finds it
            name = (await self.get(name))["id"]
        view: View = await self._http.json("PATCH", address_of(name), body=dict(change))
        return view

    async def remove(self, name: str, item: str) -> None:
        """Remove an item of an OPEN dataset; success if there is none."""
        await self._http.json("DELETE", item_address(name, item))

    async def delete(self, name: str, *, now: bool = False) -> View | None:
        """Delete a dataset; the view tells until when it can be brought back (`purged`).

        None: it is gone for good, as with `now` also one that was deleted before. Raises
        `Conflict` while jobs use it.
        """
        with suppress(NotFound):  # by its id: a request that is repeated deletes no other version
            name = (await self.get(name))["id"]
        query = {"now": "true"} if now else {}
        view: View | None = await self._http.json("DELETE", address_of(name), query=query)
        return view

    async def undelete(self, name: str, new_name: str | None = None) -> View:
        """Bring a deleted dataset back, maybe under another name; a repeat is success."""
        body = {"name": new_name} if new_name else {}
        view: View = await self._http.json("POST", f"{address_of(name)}:undelete", body=body)
        return view

    async def sweep(self, *, dry_run: bool = False) -> AsyncIterator[View]:
        """Find what nothing names in the store, for admins; without `dry_run` what is due goes.

        Yields page after page: {looked_at, nameless: [{key, size_bytes, age_s, due, why}]}.
        """
        cursor: str | None = ""
        while cursor is not None:
            body = {"dry_run": dry_run, "cursor": cursor}
            page: View = await self._http.json("POST", "/datasets:sweep", body=body)
            yield page
            cursor = page["cursor"]

    async def share(self, name: str, who: str, level: Level = Level.READ) -> View:
        """Share a dataset with `user:NAME`, `group:NAME` or `everyone`; a repeat is success."""
        return await self._sharing(name, "share", ShareRequest(who, level))

    async def unshare(self, name: str, who: str) -> View:
        """Take a share of a dataset back; success if there is none."""
        return await self._sharing(name, "unshare", ShareRequest(who))

    async def _sharing(self, name: str, verb: str, asked: ShareRequest) -> View:
        view: View = await self._http.json(
            "POST", f"{address_of(name)}:{verb}", body=to_plain(asked)
        )
        return view

    async def match(self, requirement: Mapping[str, Any]) -> View:
        """Ask what would fulfil a requirement {category, format?, domain?}."""
        view: View = await self._http.json("POST", "/datasets:match", body=dict(requirement))
        return view

    async def import_from(self, name: str, source: str, moved: Moved = say_nothing) -> int:
        """Make items of all files below a folder or bucket of the server's site, in place.

        For admins. Gives how many items that are; a repeat reads only what is none yet. Raises
        `Conflict` where the dataset is sealed and the files are not those that it holds.
        """
        after: str | None = ""
        items = size = 0
        while after is not None:
            body = {"source": source, "after": after}
            done = await self._http.json("POST", f"{address_of(name)}:import", body=body)
            items, size, after = items + done["items"], size + done["size_bytes"], done["after"]
            moved(f"{items:,} files", size, size)
        return items

    async def lineage(self, name: str, *, depth: int = DEPTH, limit: int = NODES) -> LineageView:
        """What a dataset came from and what came of it, `depth` jobs each way, `limit` nodes."""
        query = {"depth": depth, "limit": limit}
        return read_lineage(
            await self._http.json("GET", f"{address_of(name)}/lineage", query=query)
        )

    async def upload_once(
        self,
        name: str,
        files: Sequence[LocalFile],
        description: Mapping[str, Any],
        moved: Moved = say_nothing,
    ) -> View:
        """Make, fill and seal the dataset `name`, or give it as it is when it is SEALED."""
        try:
            view = await self.get(name)
        except NotFound:
            try:
                view = await self.create({"name": name, **description})
            except Conflict:  # another client made it meanwhile
                view = await self.get(name)
        if view["state"] == "SEALED":
            return view
        await self.upload(name, files, moved)
        return await self.seal(name)
