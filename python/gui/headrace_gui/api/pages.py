"""The page and its files, as the build made them: read once, served compressed."""

from pathlib import Path
from typing import Final

from aiohttp import web

from headrace_model.errors import NotFound, Unavailable
from headrace_service.fixed import Fixed

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
    "Vary": "Accept-Encoding",
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


def _read(path: Path) -> Fixed:
    """A file, with what the build has packed of it."""
    packed = {name: path.with_name(path.name + suffix) for name, suffix in _PACKED.items()}
    there = {name: each.read_bytes() for name, each in packed.items() if each.exists()}
    return Fixed.of(path.read_bytes(), _MEDIA[path.suffix], there)


def add_pages(app: web.Application, folder: Path) -> None:
    """Add the routes; every address that is nothing else is one of the page's own."""
    index_file = folder / "index.html"
    index = _read(index_file) if index_file.exists() else None
    files = {
        path.name: _read(path) for path in (folder / "assets").glob("*") if path.suffix in _MEDIA
    }

    async def serve_page(request: web.Request) -> web.Response:
        if index is None:
            raise Unavailable(
                "the pages of the GUI are not built",
                hint="in a clone: `npm ci && npm run build` in python/gui/headrace_gui/web",
            )
        return index.answer(request, {**_HEADERS, "Cache-Control": "no-cache"})

    async def serve_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in files:
            raise NotFound(f"the GUI has no file {name[:80]!r}", hint="load the page again")
        return files[name].answer(request, {**_HEADERS, "Cache-Control": _FOR_EVER})

    app.router.add_get(ASSET, serve_file)
    app.router.add_get(FALLBACK, serve_page)
