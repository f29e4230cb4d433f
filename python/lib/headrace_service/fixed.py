"""Answers that are made once and are the same for everybody: a page, its files, a schema."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import ETag, hdrs, web


@dataclass(frozen=True, slots=True)
class Fixed:
    """A body in each of its encodings, the best first; "" is the plain one."""

    bodies: Mapping[str, bytes]
    media: str
    etag: str

    @classmethod
    def of(cls, body: bytes, media: str, packed: Mapping[str, bytes] | None = None) -> "Fixed":
        """Make one; `packed` is the body in encodings such as br and gzip, the best first."""
        etag = hashlib.sha256(body).hexdigest()[:32]
        return cls({**(packed or {}), "": body}, media, etag)

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """Answer it in the best encoding that is taken, or 304 to somebody who has it."""
        taken = {
            part.partition(";")[0].strip()
            for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").split(",")
        }
        if {self.etag, "*"} & {each.value for each in request.if_none_match or ()}:
            response = web.Response(status=304)
        else:
            encoding = next((each for each in self.bodies if each in taken), "")
            charset = None if self.media.startswith("image/") else "utf-8"
            response = web.Response(
                body=self.bodies[encoding], content_type=self.media, charset=charset
            )
            if encoding:
                response.headers[hdrs.CONTENT_ENCODING] = encoding
        response.etag = ETag(self.etag)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.update(headers)
        return response
