"""The public addresses of datasets below /api/v1; the request service passes them on."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from enum import StrEnum
from typing import Any, Final, TypeVar

from aiohttp import web

from headrace_data.batches import Batches
from headrace_data.core.naming import Filter, page
from headrace_data.curation import Curation
from headrace_data.direct import Direct
from headrace_data.errors import WrongOffset
from headrace_data.importing import Importing
from headrace_data.library import Library
from headrace_data.spool import Piece
from headrace_model.dataset import Category, Dataset, DatasetState, Item
from headrace_model.domain import Domain
from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean
from headrace_model.people import Act, User
from headrace_model.times import parse_instant
from headrace_service.http import REQUEST_ID_KEY, USER, problem, read_bounded
from headrace_service.query import flag
from headrace_wire.batch import BODY_BYTES, BatchRequest, TakeRequest, decode_batch, encode_batch
from headrace_wire.datasets import (
    ImportRequest,
    MatchRequest,
    NewDataset,
    UndeleteRequest,
    dataset_view,
    item_view,
    match_view,
    read_body,
    read_change,
    read_seal,
)
from headrace_wire.direct import DirectDownload, DirectUpload
from headrace_wire.jsontext import MAX_BYTES, parse_json
from headrace_wire.people import ShareRequest, decode_user
from headrace_wire.schema import from_plain

E = TypeVar("E", bound=StrEnum)
_ROOT: Final = "/api/v1/datasets"
_ONE: Final = _ROOT + "/{name:[^/:]+}"
_ITEM: Final = _ONE + "/items/{path:.+}"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_NO_MORE: Final = re.compile(r"bytes \*/(\d{1,18})")
_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")

_BODY_S: Final = 120.0
_BATCH_S: Final = 600.0  # for a line that brings 5 kB a second
# Nobody's upload may act as a page of ours in a browser.
_FOREIGN: Final = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
_SECRET: Final = {"Cache-Control": "no-store"}
CHECKSUM: Final = "X-Content-SHA256"
OFFSET: Final = "Upload-Offset"
COMPLETE: Final = "Upload-Complete"


class DatasetsApi:
    """Decodes requests, calls the library, encodes its answers."""

    def __init__(self, library: Library, direct: Direct, importing: Importing) -> None:
        self._library = library
        self._direct = direct
        self._importing = importing
        self._batches = Batches(library)
        self._curation = Curation(library)

    def add_routes(self, app: web.Application) -> None:
        """Add the addresses of datasets."""
        routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("POST", f"{_ROOT}:match", self._match),
            ("POST", _ROOT, self._create),
            ("GET", _ROOT, self._list),
            ("POST", f"{_ONE}:seal", self._seal),
            ("POST", f"{_ONE}:upload", self._upload),
            ("POST", f"{_ONE}:download", self._download),
            ("POST", f"{_ONE}:take", self._take),
            ("POST", f"{_ONE}:direct-upload", self._direct_upload),
            ("POST", f"{_ONE}:direct-download", self._direct_download),
            ("POST", f"{_ONE}:import", self._import),
            ("POST", f"{_ONE}:undelete", self._undelete),
            ("POST", f"{_ONE}:share", self._share),
            ("POST", f"{_ONE}:unshare", self._unshare),
            ("GET", _ONE, self._show),
            ("PATCH", _ONE, self._change),
            ("DELETE", _ONE, self._delete),
            ("GET", f"{_ONE}/versions", self._versions),
            ("GET", f"{_ONE}/items", self._items),
            ("PUT", _ITEM, self._put),
            ("GET", _ITEM, self._get),
            ("HEAD", _ITEM, self._head),
            ("DELETE", _ITEM, self._remove),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)

    async def _create(self, request: web.Request) -> web.Response:
        asked = from_plain(NewDataset, await _body(request))
        key = request.headers.get("Idempotency-Key", "")
        user = asking(request)
        dataset, made = await self._library.create(asked, user, key)
        return web.json_response(await self._whole(dataset, user), status=201 if made else 200)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = Filter(
            category=_word(Category, query.get("category", "")),
            format=query.get("format", ""),
            state=_word(DatasetState, query.get("state", "")),
            owner=query.get("owner", ""),
            name=query.get("name", ""),
            job=query.get("job", ""),
            since_ms=parse_instant(since) if (since := query.get("since", "")) else 0,
            text=query.get("q", ""),
            domain=_domain(query.get("domain", "")),
        )
        user = asking(request)
        datasets = self._library.access.listed(user, wanted.state)
        found, cursor = page(
            datasets, wanted, _limit(request, 100, 1_000), query.get("cursor", "")
        )
        return web.json_response({"datasets": self._views(found, user), "cursor": cursor})

    async def _show(self, request: web.Request) -> web.Response:
        user = asking(request)
        dataset = await self._library.find(_name(request), user)
        return web.json_response(await self._whole(dataset, user))

    async def _versions(self, request: web.Request) -> web.Response:
        user = asking(request)
        found = await self._library.access.versions(_name(request), user)
        return web.json_response({"datasets": self._views(found, user)})

    async def _change(self, request: web.Request) -> web.Response:
        asked = read_change(await _body(request))
        user = asking(request)
        dataset = await self._curation.change(_name(request), user, asked)
        return web.json_response(await self._whole(dataset, user))

    async def _delete(self, request: web.Request) -> web.Response:
        user, now = asking(request), flag(request, "now")
        deleted = await self._curation.delete(_name(request), user, now=now)
        if deleted is None:
            return web.Response(status=204)
        return web.json_response(await self._whole(deleted, user))

    async def _undelete(self, request: web.Request) -> web.Response:
        asked = from_plain(UndeleteRequest, await _body(request))
        user = asking(request)
        dataset = await self._curation.undelete(_name(request), user, asked.name)
        return web.json_response(await self._whole(dataset, user))

    async def _seal(self, request: web.Request) -> web.Response:
        asked = read_seal(await _body(request))
        user = asking(request)
        dataset, notes = await self._library.seal(_name(request), user, asked)
        return web.json_response({**await self._whole(dataset, user), "notes": list(notes)})

    async def _share(self, request: web.Request) -> web.Response:
        asked = from_plain(ShareRequest, await _body(request))
        user = asking(request)
        dataset = await self._library.access.share(_name(request), user, asked.share)
        return web.json_response(await self._whole(dataset, user))

    async def _unshare(self, request: web.Request) -> web.Response:
        asked = from_plain(ShareRequest, await _body(request))
        user = asking(request)
        dataset = await self._library.access.unshare(_name(request), user, asked.share.who)
        return web.json_response(await self._whole(dataset, user))

    async def _match(self, request: web.Request) -> web.Response:
        wanted = from_plain(MatchRequest, await _body(request)).requirement
        user = asking(request)
        found = await self._library.access.match(wanted, user)
        return web.json_response(match_view(found, self._library.access.known(user)))

    async def _items(self, request: web.Request) -> web.Response:
        limit, cursor_then = _limit(request, 1_000, 10_000), request.query.get("cursor", "")
        items, cursor = await self._library.items(
            _name(request), asking(request), limit, cursor_then
        )
        return web.json_response({"items": [item_view(each) for each in items], "cursor": cursor})

    async def _upload(self, request: web.Request) -> web.Response:
        name, user = _name(request), asking(request)
        # Asked here too: nobody has us hold a body for a dataset that they may not change.
        await self._library.access.allowed(name, user, Act.CHANGE_DATASET)
        files = decode_batch(await read_bounded(request, BODY_BYTES, _BATCH_S))
        done = await self._batches.put(name, user, files)
        return web.json_response(
            {"items": [{**item_view(item), "was_there": there} for item, there in done]}
        )

    async def _take(self, request: web.Request) -> web.Response:
        asked = from_plain(TakeRequest, await _body(request))
        done = await self._batches.take(_name(request), asking(request), asked)
        return web.json_response(
            {"items": [{**item_view(item), "was_there": there} for item, there in done]}
        )

    async def _direct_upload(self, request: web.Request) -> web.Response:
        asked = from_plain(DirectUpload, await _body(request))
        answer = await self._direct.upload(_name(request), asking(request), asked)
        return web.json_response(answer, headers=_SECRET)

    async def _direct_download(self, request: web.Request) -> web.Response:
        asked = from_plain(DirectDownload, await _body(request))
        answer = await self._direct.download(_name(request), asking(request), asked.path)
        return web.json_response(answer, headers=_SECRET)

    async def _import(self, request: web.Request) -> web.Response:
        asked = from_plain(ImportRequest, await _body(request))
        done = await self._importing.step(_name(request), asking(request), asked)
        return web.json_response(asdict(done))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        asked = from_plain(BatchRequest, await _body(request))
        files = await self._batches.get(_name(request), asking(request), asked.paths)
        response = web.StreamResponse(headers=_FOREIGN)
        response.content_type = "application/octet-stream"
        body = encode_batch(files)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    async def _put(self, request: web.Request) -> web.Response:
        digest = _checksum(request)
        if digest is None:
            raise InvalidInput(
                f"the header {CHECKSUM} is missing",
                hint="send the SHA-256 of the whole file in hexadecimal; `headrace dataset "
                "upload` does so, `sha256sum FILE` prints it",
            )
        piece = _piece(request)
        file = (_path(request), digest)
        try:
            item, there = await self._library.put(
                _name(request), asking(request), file, piece, request.content.iter_any()
            )
        except WrongOffset as error:
            answer = problem(error, request[REQUEST_ID_KEY])
            answer.headers[OFFSET] = str(error.offset)
            return answer
        if item is None:
            return web.json_response(
                {"path": file[0], "upload_offset": piece.end},
                status=202,
                headers={OFFSET: str(piece.end), COMPLETE: "?0"},
            )
        return web.json_response(
            item_view(item),
            status=200 if there else 201,
            headers={OFFSET: str(item.size_bytes), COMPLETE: "?1"},
        )

    async def _head(self, request: web.Request) -> web.Response:
        digest = _checksum(request)
        if digest is None:
            item = await self._library.item(_name(request), asking(request), _path(request))
            return web.Response(headers=_headers(item) | {"Content-Length": str(item.size_bytes)})
        offset, complete = await self._library.offset(
            _name(request), asking(request), _path(request), digest
        )
        return web.Response(
            headers={
                OFFSET: str(offset),
                COMPLETE: "?1" if complete else "?0",
                "Cache-Control": "no-store",
            }
        )

    async def _get(self, request: web.Request) -> web.StreamResponse:
        item = await self._library.item(_name(request), asking(request), _path(request))
        headers = _headers(item)
        if request.headers.get("If-None-Match") in (headers["ETag"], "*"):
            return web.Response(status=304, headers=headers)
        begin, end = 0, item.size_bytes
        # A range of another version of the file would be glued to this one.
        if request.headers.get("If-Range") in (None, headers["ETag"]):
            asked = _range(request.headers.get("Range", ""), item.size_bytes)
            if asked is None:
                headers["Content-Range"] = f"bytes */{item.size_bytes}"
                return web.Response(status=416, headers=headers)
            begin, end = asked
        partial = (begin, end) != (0, item.size_bytes)
        if partial:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{item.size_bytes}"
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        response.content_length = end - begin
        response.content_type = "application/octet-stream"
        stream = _ahead(self._library.store.stream(item.key, begin, end - begin))
        # The first bytes are read before the answer begins: a lost object is an error, not 200.
        first = await anext(stream, b"")
        await response.prepare(request)
        await response.write(first)
        async for data in stream:
            await response.write(data)
        await response.write_eof()
        return response

    async def _remove(self, request: web.Request) -> web.Response:
        await self._library.remove_item(_name(request), asking(request), _path(request))
        return web.Response(status=204)

    async def _whole(self, dataset: Dataset, user: User) -> dict[str, object]:
        size, items = await self._library.size(dataset)
        return dataset_view(
            dataset, self._library.access.known(user), size_bytes=size, items=items
        )

    def _views(self, datasets: list[Dataset], user: User) -> list[dict[str, object]]:
        known = self._library.access.known(user)
        return [dataset_view(each, known) for each in datasets]


def asking(request: web.Request) -> User:
    """Who asks, as the request service tells; raises `InvalidInput`."""
    text = request.headers.get(USER, "")
    if not text:
        raise InvalidInput(f"the header {USER} is missing: the request service sets it")
    return decode_user(text)


async def _body(request: web.Request) -> dict[str, Any]:
    return read_body(await read_bounded(request, MAX_BYTES, _BODY_S))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _path(request: web.Request) -> str:
    return request.match_info["path"]


def _checksum(request: web.Request) -> str | None:
    text = request.headers.get(CHECKSUM)
    if text is not None and not _SHA256.fullmatch(text):
        raise InvalidInput(f"{CHECKSUM} is {text[:80]!r}, not 64 hexadecimal digits in lower case")
    return text


def _piece(request: web.Request) -> Piece:
    """Which bytes of the file the body holds; raises `InvalidInput`."""
    length = request.content_length
    text = request.headers.get("Content-Range")
    if text is None:
        return Piece(0, length, length)
    if nothing := _NO_MORE.fullmatch(text):
        total = int(nothing[1])
        return Piece(total, total, total)
    found = _CONTENT_RANGE.fullmatch(text)
    if not found:
        raise InvalidInput(
            f"Content-Range is {text[:80]!r}, not `bytes FIRST-LAST/TOTAL`, or `bytes */TOTAL` "
            "where all has come"
        )
    first, last, total = (int(number) for number in found.groups())
    if not first <= last < total or (length is not None and length != last + 1 - first):
        raise InvalidInput(f"Content-Range {text!r} contradicts itself or the Content-Length")
    return Piece(first, last + 1, total)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Begin and end of a `Range`; all for none, several, or another unit; None: outside."""
    found = _RANGE.fullmatch(text)
    if not found:
        return 0, size
    first, last, suffix = found.groups()
    if suffix is not None:
        return (max(0, size - int(suffix)), size) if int(suffix) and size else None
    begin, end = int(first), min(size, int(last) + 1 if last else size)
    return (begin, end) if begin < end else None


async def _ahead(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces; the next one is read while one is sent."""
    reading = asyncio.ensure_future(_next(stream))
    try:
        while data := await reading:
            reading = asyncio.ensure_future(_next(stream))
            yield data
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, b"")


def _headers(item: Item) -> dict[str, str]:
    return {
        "ETag": f'"{item.sha256}"',
        CHECKSUM: item.sha256,
        "Accept-Ranges": "bytes",
        **_FOREIGN,
    }


def _limit(request: web.Request, usual: int, most: int) -> int:
    text = request.query.get("limit", str(usual))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise InvalidInput(f"limit is {text[:20]!r}, not a number from 1 to {most:,}")
    return int(text)


def _domain(text: str) -> Domain:
    return Domain.from_plain(parse_json(text, what="domain")) if text else Domain()


def _word(words: type[E], text: str) -> E | None:
    if not text:
        return None
    if text not in list(words):
        raise InvalidInput(f"{text[:80]!r} is not known here; {did_you_mean(text, list(words))}")
    return words(text)
