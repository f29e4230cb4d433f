"""One bucket on an S3 server, by the minio SDK: single calls, all blocking.

Only what MinIO, JuiceFS's gateway, SeaweedFS and Amazon have in common: no conditional put, no
versions, no tags. Multipart calls are the SDK's own, which it keeps for its `put_object`: that one
reads a whole part in the caller's thread, starts threads of its own and can't be cancelled.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from typing import Final

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Part
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from urllib3.response import BaseHTTPResponse

from headrace_adapters.s3.calls import code_of
from headrace_adapters.s3.location import Credentials, Location
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES

_CONNECT_S: Final = 5.0
_SILENCE_S: Final = 60.0
_CHUNK: Final = 1 << 20
_NO_UPLOAD: Final = "NoSuchUpload"
_NOTHING_THERE: Final = "InvalidRange"


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a list, and when it was written."""

    key: str
    at: datetime
    size: int
    etag: str


class Reader:
    """Reads an object from `offset` on; after a broken connection it goes on where it was.

    Never a mixture of two objects: what is read later must have the ETag of what came first.
    """

    def __init__(
        self, server: "Server", key: str, offset: int, length: int | None, etag: str = ""
    ) -> None:
        self.offset = offset
        self.etag = etag
        self.size = 0  # of the whole object, once something was read
        self._server = server
        self._key = key
        self.left = length
        self._response: BaseHTTPResponse | None = None

    def read(self) -> bytes:
        """The next bytes, at most 1 MiB; none at the end. May be repeated after an error."""
        if self.left == 0:
            return b""
        try:
            if self._response is None and not self._open():
                return b""
            assert self._response is not None  # noqa: S101 - opened in the line above
            data: bytes = self._response.read(_CHUNK)
        except BaseException:
            self.close()
            raise
        self.offset += len(data)
        if self.left is not None:
            self.left -= len(data)
        return data

    def close(self) -> None:
        """End the connection where the object was not read to its end."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _open(self) -> bool:
        try:
            self._response = self._server.get(self._key, self.offset, self.left or 0, self.etag)
        except S3Error as error:
            if code_of(error) == _NOTHING_THERE:
                return False
            raise
        headers = self._response.headers
        self.etag = self.etag or headers.get("etag", "")
        # `bytes 0-9/100`; an answer with the whole object has none.
        whole = headers.get("content-range", "").rpartition("/")[2]
        self.size = int(whole or headers.get("content-length", "0"))
        return True


class Server:
    """Calls raise what the SDK raises; `Calls.again` says it in our words."""

    def __init__(self, location: Location, credentials: Credentials, connections: int) -> None:
        self._bucket = location.bucket
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_SILENCE_S)
        # Repeating is ours: the SDK would do it without jitter and without an end to cancel by.
        self._pool = urllib3.PoolManager(timeout=timeout, maxsize=connections, retries=False)
        self._client = Minio(
            location.endpoint,
            credentials.access_key,
            credentials.secret_key,
            credentials.session_token,
            secure=location.tls,
            region=location.region,
            http_client=self._pool,
        )

    def look(self, prefix: str) -> None:
        """Fail unless what begins with `prefix` can be listed. A HEAD would not tell why."""
        found = self._client.list_objects(self._bucket, prefix=prefix + "-", recursive=True)
        next(iter(found), None)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def put(self, key: str, data: bytes) -> None:
        """Put an object in one request."""
        size = len(data)
        part = max(size, SMALLEST_PART_BYTES)
        self._client.put_object(self._bucket, key, BytesIO(data), size, part_size=part)

    def copy(self, source: str, key: str) -> None:
        """Copy an object of at most 5 GiB within the bucket."""
        try:
            self._client.copy_object(self._bucket, key, CopySource(self._bucket, source))
        except ValueError:  # Amazon may answer 200 and tell of an error in the body
            raise urllib3.exceptions.HTTPError("the object was not copied") from None

    def get(self, key: str, offset: int, length: int, etag: str) -> BaseHTTPResponse:
        """Begin to read; `length` 0: to the end; `etag`: fail where it is another object now."""
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": etag} if etag else {}
        return self._client.get_object(
            self._bucket, key, offset=offset, length=length, request_headers=headers
        )

    def stat(self, key: str) -> tuple[int, str]:
        """The size of an object, and its ETag as headers carry it."""
        known = self._client.stat_object(self._bucket, key)
        return known.size or 0, f'"{known.etag}"' if known.etag else ""

    def keys(self, folder: str) -> list[str]:
        """All keys that begin with `folder`; JuiceFS shows empty folders as keys with a '/'."""
        found = self._client.list_objects(self._bucket, prefix=folder, recursive=True)
        return [each.object_name for each in found if each.object_name]

    def page(self, folder: str, after: str, most: int) -> list[Found]:
        """The next objects whose keys begin with `folder`."""
        found = self._client.list_objects(
            self._bucket, prefix=folder, recursive=True, start_after=after or None
        )
        named = (each for each in found if each.object_name and not each.object_name.endswith("/"))
        return [
            Found(
                each.object_name or "",
                each.last_modified or datetime.now(UTC),
                each.size or 0,
                each.etag or "",
            )
            for each in islice(named, most)
        ]

    def delete(self, key: str, below: str) -> None:
        """Delete an object, and all keys that begin with `below`; success if none is there."""
        self._client.remove_object(self._bucket, key)
        names = sorted(self.keys(below), reverse=True)  # folders after what is in them
        errors = self._client.remove_objects(self._bucket, [DeleteObject(name) for name in names])
        for error in errors:
            if error.code not in ("NoSuchKey", "NoSuchVersion") and not (
                error.name or ""
            ).endswith("/"):
                raise urllib3.exceptions.HTTPError(f"delete was answered with {error.code}")

    # ---- uploads in parts

    def begin(self, key: str) -> str:
        """Begin an upload; its id."""
        return self._client._create_multipart_upload(self._bucket, key, {})

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Put a part; its ETag."""
        return self._client._upload_part(self._bucket, key, data, None, upload, number)

    def complete(self, key: str, upload: str, etags: list[str], size: int) -> None:
        """Make the object of its parts. A repeat, after an answer that was lost, succeeds."""
        parts = [Part(number, etag) for number, etag in enumerate(etags, 1)]
        try:
            made = self._client._complete_multipart_upload(self._bucket, key, upload, parts)
        except S3Error as error:
            if code_of(error) == _NO_UPLOAD and self._has(key, size):
                return
            raise
        # Amazon may answer 200 and tell of an error in the body, which the SDK passes over.
        if not made.etag:
            raise urllib3.exceptions.HTTPError("the parts did not become the object")

    def _has(self, key: str, size: int) -> bool:
        try:
            return self.stat(key)[0] == size
        except S3Error:
            return False

    def abort(self, key: str, upload: str) -> None:
        """Forget an upload; success if there is none."""
        try:
            self._client._abort_multipart_upload(self._bucket, key, upload)
        except S3Error as error:
            if code_of(error) != _NO_UPLOAD:
                raise

    def sweep(self, prefix: str, before: datetime) -> int:
        """Abort the uploads below a prefix that were begun before; how many."""
        stale = [(key, upload) for key, upload, begun in self.uploads(prefix) if begun < before]
        for key, upload in stale:
            self.abort(key, upload)
        return len(stale)

    def parts(self, key: str, upload: str) -> dict[tuple[int, int], str]:
        """The parts that an upload has: (number, size in bytes) → ETag.

        SeaweedFS lists all that were put under a number; others the last one.
        """
        found: dict[tuple[int, int], str] = {}
        marker = None
        while True:
            page = self._client._list_parts(self._bucket, key, upload, part_number_marker=marker)
            for each in page.parts:
                found[each.part_number, each.size or 0] = each.etag
            if not page.is_truncated or not page.parts:
                return found
            marker = str(page.parts[-1].part_number)

    def uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        """The uploads that were begun below a prefix: key, id, when."""
        key_marker = upload_marker = None
        while True:
            page = self._client._list_multipart_uploads(
                self._bucket,
                prefix=prefix,
                key_marker=key_marker,
                upload_id_marker=upload_marker,
            )
            for each in page.uploads:
                if each.object_name and each.upload_id:
                    begun = each.initiated_time or datetime.now(UTC)
                    yield each.object_name, each.upload_id, begun
            if not page.is_truncated:
                return
            key_marker, upload_marker = page.next_key_marker, page.next_upload_id_marker

    def presigner(self, key: str, valid_s: float) -> Callable[..., str]:
        """Makes URLs for one object, without a call over the network: `(method, **query)`."""
        expires = timedelta(seconds=valid_s)

        def presign(method: str, **query: str) -> str:
            url: str = self._client.get_presigned_url(
                method, self._bucket, key, expires, extra_query_params=dict(query)
            )
            return url

        return presign


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Read exactly so many bytes, fewer only at the end of the file."""
    pieces = []
    while size > 0 and (data := os.pread(fd, size, offset)):
        pieces.append(data)
        offset += len(data)
        size -= len(data)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def write_at(fd: int, offset: int, data: bytes) -> None:
    """Write all of it."""
    rest = memoryview(data)
    while rest:
        done = os.pwrite(fd, rest, offset)
        rest, offset = rest[done:], offset + done
