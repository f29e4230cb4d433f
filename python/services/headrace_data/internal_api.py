"""The addresses for agents (what to stage, where to put outputs and logs) and for other services
(shipped logs, packs of archived jobs, catalogue entries).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from headrace_data.archivist import PACK_BYTES
from headrace_data.collection import Collection, check_current
from headrace_data.core.keys import (
    checkpoint_key,
    checkpoints_before,
    checkpoints_folder,
    log_key,
    pack_key,
)
from headrace_data.partials import Partials
from headrace_data.staging import Staging
from headrace_model.errors import InvalidInput, NotFound
from headrace_model.ids import DatasetId, JobId, NodeId, parse_job_id
from headrace_model.job import Need
from headrace_model.status import Status
from headrace_ports.object_store import ObjectStore
from headrace_wire.datasets import (
    CheckpointRequest,
    EntriesRequest,
    LogsRequest,
    NodeRequest,
    OutputsRequest,
    PartialsRequest,
    read_body,
)
from headrace_wire.logsearch import MOST_FOUND, PIECE_BYTES, Searcher, check_text, write_lines
from headrace_wire.records import encode_dataset
from headrace_wire.schema import from_plain

# An attempt whose worker runs, or is being stopped, ships its checkpoint.
_LEAVES_CHECKPOINTS = frozenset({Status.SCHEDULED, Status.RUNNING, Status.STOPPING})
_MOST_RANKS = 10_000

if TYPE_CHECKING:
    from headrace_adapters.redis.datasets import DatasetStore
    from headrace_adapters.redis.jobs import JobStore


async def _and_the_end(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    async for part in parts:
        yield part
    yield None


class InternalApi:
    """Who asks is already authenticated by the internal token."""

    def __init__(
        self,
        jobs: "JobStore",
        datasets: "DatasetStore",
        store: ObjectStore,
        staging: Staging,
        collection: Collection,
        partials: Partials,
    ) -> None:
        self._jobs = jobs
        self._datasets = datasets
        self._store = store
        self._staging = staging
        self._collection = collection
        self._partials = partials

    def add_routes(self, app: web.Application) -> None:
        """Add the internal addresses."""
        app.router.add_post("/internal/staging", self._stage)
        app.router.add_post("/internal/outputs", self._outputs)
        app.router.add_post("/internal/partials", self._partial)
        app.router.add_post("/internal/logs", self._logs)
        app.router.add_post("/internal/datasets", self._entries)
        app.router.add_get(
            "/internal/logs/{job}/{attempt:[0-9]{1,9}}/{name}", self._log, allow_head=False
        )
        app.router.add_post("/internal/checkpoints", self._keep_checkpoint)
        app.router.add_get(
            "/internal/checkpoints/{job}/{attempt:[0-9]{1,9}}/{rank:[0-9]{1,5}}",
            self._checkpoint,
            allow_head=False,
        )
        app.router.add_get("/internal/packs/{name}", self._pack, allow_head=False)

    async def _stage(self, request: web.Request) -> web.Response:
        asked = from_plain(NodeRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        answer = await self._staging.answer(job, asked.attempt, NodeId(asked.node))
        return web.json_response({"requirements": answer})

    async def _outputs(self, request: web.Request) -> web.Response:
        asked = from_plain(OutputsRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        granted = await self._collection.grants(
            job, asked.attempt, NodeId(asked.node), asked.items
        )
        return web.json_response({"items": granted})

    async def _partial(self, request: web.Request) -> web.Response:
        asked = from_plain(PartialsRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        if asked.put:
            await self._partials.keep(job, asked.attempt, asked.items)
            return web.json_response({})
        granted = await self._partials.grants(job, asked.attempt, asked.items)
        return web.json_response({"items": granted})

    async def _logs(self, request: web.Request) -> web.Response:
        asked = from_plain(LogsRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        granted = await self._staging.log_grants(job, asked.attempt, asked.files)
        return web.json_response({"files": granted})

    async def _entries(self, request: web.Request) -> web.Response:
        asked = from_plain(EntriesRequest, read_body(await request.read()))
        ids = [DatasetId(each) for each in asked.ids]
        if asked.name:
            ids.append(await self._datasets.named(asked.name))
        found = await self._datasets.get_many(ids)
        return web.json_response({"datasets": [encode_dataset(each.dataset) for each in found]})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        job: JobId = parse_job_id(request.match_info["job"])
        key = log_key(job, int(request.match_info["attempt"]), request.match_info["name"])
        offset = request.query.get("offset", "0")
        if not (offset.isascii() and offset.isdigit()) or len(offset) > 18:
            raise InvalidInput(f"offset is {offset[:20]!r}, not a number of bytes")
        known = await self._store.stat(key)
        if known is None:
            raise NotFound("this log is not in the store (yet)")
        if "search" in request.query:
            return await self._searched(request, key, check_text(request.query["search"]))
        response = web.StreamResponse(headers={"X-Total-Size": str(known.size_bytes)})
        response.content_type = "text/plain"
        await response.prepare(request)
        async for data in self._store.stream(key, int(offset)):
            await response.write(data)
        await response.write_eof()
        return response

    async def _searched(self, request: web.Request, key: str, text: bytes) -> web.StreamResponse:
        """Answer the lines of a shipped log that hold a text, as they are found."""
        response = web.StreamResponse()
        response.content_type = "text/plain"
        await response.prepare(request)
        searcher, left = Searcher(text), MOST_FOUND + 1  # one more says so
        async with aclosing(self._store.stream(key, 0)) as parts:  # type: ignore[type-var]
            async for part in _and_the_end(parts):
                searcher.take(part or b"")
                if part is not None and searcher.waiting_bytes < PIECE_BYTES:
                    continue
                found = await asyncio.to_thread(searcher.look, last=part is None, limit=left)
                left -= len(found)
                if found:
                    await response.write(write_lines(found).encode(errors="replace"))
                if left <= 0:
                    break
        await response.write_eof()
        return response

    async def _keep_checkpoint(self, request: web.Request) -> web.Response:
        """Where the checkpoint of a job's current attempt goes."""
        asked = from_plain(CheckpointRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        check_current(job, asked.attempt, NodeId(asked.node), _LEAVES_CHECKPOINTS)
        if Need.CHECKPOINT not in job.needs or not 0 <= asked.rank < _MOST_RANKS:
            raise InvalidInput(f"job {job.id} keeps no checkpoint of rank {asked.rank}")
        await self._jobs.count_checkpoint(job.id, asked.attempt, asked.rank, asked.size_bytes)
        key = checkpoint_key(job.id, asked.attempt, asked.rank)
        grant = await self._store.grant_put(key, asked.size_bytes, asked.upload)
        return web.json_response({"grant": grant})

    async def _checkpoint(self, request: web.Request) -> web.StreamResponse:
        """The newest checkpoint of the attempts before one; those before that are removed.

        So a rank has two at the most: that one, and what its attempt leaves.
        """
        job = parse_job_id(request.match_info["job"])
        attempt, rank = int(request.match_info["attempt"]), int(request.match_info["rank"])
        keys = await self._store.keys(checkpoints_folder(job))
        left = checkpoints_before(attempt, rank, keys)
        if not left:
            raise NotFound(f"no attempt of job {job} has left a checkpoint")
        for older in left[1:]:
            await self._store.delete(older)
        response = web.StreamResponse()
        response.content_type = "application/x-tar"
        await response.prepare(request)
        async for data in self._store.stream(left[0], 0):
            await response.write(data)
        await response.write_eof()
        return response

    async def _pack(self, request: web.Request) -> web.Response:
        key = pack_key(request.match_info["name"])
        return web.Response(body=await self._store.get_bytes(key, PACK_BYTES))
