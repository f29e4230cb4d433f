"""The page and its files, as the build made them: read once, served compressed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ETag, hdrs, web

from headrace_model.errors import NotFound, Unavailable

ASSET: Final = "/assets/{file}"
FALLBACK: Final = "/{rest:.*}"

# The page runs nothing but its own files, and talks to nobody but this server.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MEDIA: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_PACKED: Final = {"br": ".br", "gzip": ".gz"}  # the better one first
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    """A file in each of its encodings: "" is the plain one."""

    bodies: dict[str, bytes]
    media: str
    etag: str

    @classmethod
    def of(cls, path: Path) -> "_File":
        plain = path.read_bytes()
        bodies = {"": plain}
        for encoding, suffix in _PACKED.items():
            packed = path.with_name(path.name + suffix)
            if packed.exists():
                bodies[encoding] = packed.read_bytes()
        return cls(bodies, _MEDIA[path.suffix], hashlib.sha256(plain).hexdigest()[:32])

    def answer(self, request: web.Request, cache: str) -> web.Response:
        """Answer it in the best encoding that the browser takes, or 304 to one that has it."""
        taken = {
            part.partition(";")[0].strip()
            for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").split(",")
        }
        encoding = next((each for each in _PACKED if each in taken and each in self.bodies), "")
        if self.etag in {each.value for each in request.if_none_match or ()}:
            response = web.Response(status=304)
        else:
            charset = "utf-8" if self.media.startswith("text/") else None
            response = web.Response(
                body=self.bodies[encoding], content_type=self.media, charset=charset
            )
            if encoding:
                response.headers[hdrs.CONTENT_ENCODING] = encoding
        response.etag = ETag(self.etag)
        response.headers.update({"Cache-Control": cache, "Vary": "Accept-Encoding", **_HEADERS})
        return response


def add_pages(app: web.Application, folder: Path) -> None:
    """Add the routes; every address that is nothing else is one of the page's own."""
    index_file = folder / "index.html"
    index = _File.of(index_file) if index_file.exists() else None
    files = {
        path.name: _File.of(path)
        for path in (folder / "assets").glob("*")
        if path.suffix in _MEDIA
    }

    async def serve_page(request: web.Request) -> web.Response:
        if index is None:
            raise Unavailable(
                "the pages of the GUI are not built",
                hint="in a clone: `npm ci && npm run build` in python/gui/headrace_gui/web",
            )
        return index.answer(request, "no-cache")

    async def serve_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in files:
            raise NotFound(f"the GUI has no file {name[:80]!r}", hint="load the page again")
        return files[name].answer(request, _FOR_EVER)

    app.router.add_get(ASSET, serve_file)
    app.router.add_get(FALLBACK, serve_page)
