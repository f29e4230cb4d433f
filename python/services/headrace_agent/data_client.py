"""What the agent asks the data service: what to stage, where to put outputs and logs."""

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from headrace_agent.cache import StagedItem
from headrace_agent.collect import FoundFile
from headrace_agent.grants import Grant, read_grant
from headrace_model.errors import Conflict, HeadraceError, InvalidInput, NotFound, Unavailable
from headrace_model.ids import NodeId
from headrace_model.work import Work
from headrace_service.http import InternalToken, internal_session
from headrace_service.threads import finish

_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class OutputGrant:
    """Where one output file goes: its object key, and what lets this agent write it."""

    key: str
    grant: Grant


class SecretUnusable(HeadraceError):
    """The job's owner keeps no secret of a name that the job gives, or it can't be opened."""

    code = "SECRET_UNUSABLE"


class DataClient:
    """The data service as agents see it. Raises `Unavailable` while it is away."""

    def __init__(self, url: str, token: InternalToken, node: NodeId) -> None:
        self._url = url
        self._token = token
        self._node = node
        self._session: ClientSession | None = None
        self._base = ""

    async def open(self) -> None:
        """Make the session (it needs the running loop)."""
        self._session, self._base = internal_session(self._url, self._token)

    async def close(self) -> None:
        """Close the session."""
        if self._session:
            await self._session.close()

    async def staging(self, work: Work) -> dict[str, list[StagedItem]]:
        """The items of each requirement of the attempt."""
        answer = await self._post("staging", work, {})
        return {
            each["name"]: [
                StagedItem(
                    item["path"],
                    item["size_bytes"],
                    item["sha256"],
                    read_grant(item["grant"]),
                    dataset,
                )
                for item, dataset in zip(each["items"], _datasets(each), strict=False)
            ]
            for each in answer["requirements"]
        }

    async def outputs(
        self, work: Work, files: Sequence[tuple[str, FoundFile]], upload: str = ""
    ) -> list[OutputGrant]:
        """A grant for each (output, file), in order; `upload` as in `Grant`."""
        return await self._granted("outputs", work, _named(files, upload))

    async def partials(
        self, work: Work, files: Sequence[tuple[str, FoundFile]], upload: str = ""
    ) -> list[OutputGrant]:
        """As `outputs`, for what a failed attempt had written."""
        return await self._granted("partials", work, _named(files, upload))

    async def keep_partials(self, work: Work, files: Sequence[tuple[str, FoundFile]]) -> None:
        """Tell that files are where their grants of `partials` said."""
        await self._post("partials", work, {"items": _named(files), "put": True})

    async def _granted(
        self, what: str, work: Work, items: Sequence[Mapping[str, Any]]
    ) -> list[OutputGrant]:
        if not items:
            return []
        answer = await self._post(what, work, {"items": items})
        return [OutputGrant(item["key"], read_grant(item["grant"])) for item in answer["items"]]

    async def logs(
        self, work: Work, files: Sequence[tuple[str, int]], upload: str = ""
    ) -> list[Grant]:
        """Where each (name, size) log file goes, in order; `upload` as in `Grant`."""
        named = [{"name": name, "size_bytes": size, "upload": upload} for name, size in files]
        answer = await self._post("logs", work, {"files": named})
        return [read_grant(file["grant"]) for file in answer["files"]]

    async def secrets(self, work: Work) -> dict[str, bytes]:
        """The values of the secrets that the job names.

        Raises `SecretUnusable`, and `Conflict` where nothing is to be launched any more.
        """
        try:
            answer = await self._post("secrets", work, {})
        except (NotFound, InvalidInput) as error:
            raise SecretUnusable(error.message) from None
        return {each["name"]: b64decode(each["value"]) for each in answer["secrets"]}

    async def keep_checkpoint(self, work: Work, size_bytes: int, upload: str = "") -> Grant:
        """Where the archive of the attempt's checkpoint goes; `upload` as in `Grant`."""
        body = {"rank": work.rank, "size_bytes": size_bytes, "upload": upload}
        return read_grant((await self._post("checkpoints", work, body))["grant"])

    async def checkpoint(self, work: Work, target: Path, limit_bytes: int) -> None:
        """Write the newest archive of the attempts before to a file; raises `NotFound`."""
        if self._session is None:
            raise Unavailable("this agent is stopping")
        path = f"{self._base}/internal/checkpoints/{work.job}/{work.attempt}/{work.rank}"
        try:
            async with self._session.get(path) as reply:
                if reply.status != 200:
                    raise _error(reply.status, str(reply.reason))
                with target.open("wb") as file:
                    async for piece in reply.content.iter_chunked(_PIECE_BYTES):
                        await finish(file.write, piece)
                        if file.tell() > 2 * limit_bytes:
                            raise InvalidInput("the checkpoint of the attempt before is too large")
        except (ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the checkpoint does not come: {error}") from None

    async def _post(self, what: str, work: Work, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            raise Unavailable("this agent is stopping")
        asked = {"job": work.job, "attempt": work.attempt, "node": self._node, **body}
        try:
            async with self._session.post(f"{self._base}/internal/{what}", json=asked) as reply:
                plain: dict[str, Any] = {}
                with suppress(ValueError):
                    plain = await reply.json(content_type=None)
                if reply.status < 400:
                    return plain
                raise _error(reply.status, str(plain.get("detail", reply.reason)))
        except (ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the data service does not answer: {error}") from None


def _named(files: Sequence[tuple[str, FoundFile]], upload: str = "") -> list[dict[str, Any]]:
    return [
        {
            "output": name,
            "path": f.path,
            "size_bytes": f.size_bytes,
            "sha256": f.sha256,
            "upload": upload,
        }
        for name, f in files
    ]


def _datasets(requirement: Mapping[str, Any]) -> Iterator[str]:
    """The dataset of each item: they come one after the other. An older service names none."""
    for dataset, count in requirement.get("datasets", ()):
        yield from repeat(dataset, count)
    yield from repeat("")


def _error(status: int, detail: str) -> HeadraceError:
    kinds: dict[int, type[HeadraceError]] = {404: NotFound, 409: Conflict, 422: InvalidInput}
    return kinds.get(status, Unavailable)(detail)
