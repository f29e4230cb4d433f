"""The way of clients themselves to single objects: URLs for the address at which they reach the
server, and uploads in parts of which the server alone knows how far they are.

A client puts parts; only we make an object of them, and each upload has a key of its own. So no
URL, however late it is used, changes an object.
"""

from dataclasses import dataclass, field, replace
from secrets import token_hex
from threading import Event

from headrace_adapters.s3.calls import Calls
from headrace_adapters.s3.location import Credentials, Location, parse_address
from headrace_adapters.s3.parts import Part, cut, part_bytes
from headrace_adapters.s3.server import Server
from headrace_adapters.threads import Threads
from headrace_model.errors import Unavailable

_PARTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class PartGrant:
    """Where the bytes of one part go. The URL is a secret while it lives."""

    offset: int
    size_bytes: int
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lacking:
    """An upload that is not whole: how many bytes the server has, and parts that it lacks."""

    kept_bytes: int
    parts: tuple[PartGrant, ...]


class DirectObjects:
    """Objects below `prefix` (it ends with a '/', or is empty); URLs live for `grant_s`."""

    def __init__(
        self,
        server: Server,
        calls: Calls,
        threads: Threads,
        prefix: str,
        *,
        location: Location,
        credentials: Credentials,
        address: str,
        size_bytes: int,
        grant_s: float,
    ) -> None:
        self._server = server
        self._calls = calls
        self._threads = threads
        self._prefix = prefix
        self._size_bytes = size_bytes
        self._grant_s = grant_s
        endpoint, tls = parse_address(address)
        # It only signs: nothing here goes to the clients' address.
        self._signer = Server(replace(location, endpoint=endpoint, tls=tls), credentials, 1)

    async def url(self, key: str) -> str:
        """A URL to read an object, whether it is there or not."""
        presign = self._signer.presigner(self._prefix + key, self._grant_s)
        return await self._threads.run(lambda: presign("GET"), Event())

    async def go_on(self, folder: str, size: int) -> str | Lacking:
        """Go on with the upload of an object of `size` bytes, one at least, below a folder that
        is this upload's: begin it, tell what lacks, or make the object; its key once it is there.

        A repeat, by whomever and after whatever crash, goes on. Raises `Unavailable`.
        """
        return await self._calls.in_thread(
            self._threads, lambda: self._go_on(self._prefix + folder + "/", size), folder
        )

    def _go_on(self, below: str, size: int) -> str | Lacking:
        for key in self._server.keys(below):
            if not key.endswith("/") and self._server.stat(key)[0] == size:
                return key.removeprefix(self._prefix)
        begun = [(when, key, upload) for key, upload, when in self._server.uploads(below)]
        if begun:
            _, key, upload = max(begun)
        else:
            key = below + token_hex(8)
            upload = self._server.begin(key)
        parts = list(cut(size, part_bytes(size, self._size_bytes)))
        there = self._server.parts(key, upload)
        lacking = [part for part in parts if (part.number, part.size) not in there]
        if lacking:
            kept = size - sum(part.size for part in lacking)
            return Lacking(kept, self._grants(key, upload, lacking[:_PARTS_AT_ONCE]))
        etags = [there[part.number, part.size] for part in parts]
        self._server.complete(key, upload, etags, size)
        if (found := self._server.stat(key)[0]) != size:
            raise Unavailable(f"the store made an object of {found:,} bytes, not of {size:,}")
        return key.removeprefix(self._prefix)

    def _grants(self, key: str, upload: str, parts: list[Part]) -> tuple[PartGrant, ...]:
        presign = self._signer.presigner(key, self._grant_s)
        return tuple(
            PartGrant(
                part.offset,
                part.size,
                presign("PUT", uploadId=upload, partNumber=str(part.number)),
            )
            for part in parts
        )
