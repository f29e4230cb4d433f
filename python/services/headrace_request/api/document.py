"""What the service tells about itself: the OpenAPI document, a page of it, the job file's schema.

All of it is public, made once, and the same for everybody.
"""

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from headrace_model.errors import NotFound
from headrace_service.fixed import Fixed
from headrace_wire.jsonschema import job_json_schema
from headrace_wire.openapi import JSON, document
from headrace_wire.operations.table import (
    DOCUMENT,
    JOB_SCHEMA,
    OPERATIONS,
    PAGE,
    PAGE_FILE,
    TAGS,
)

_ROOT: Final = "/"  # what somebody opens who knows only the server
OPEN: Final = frozenset({_ROOT, DOCUMENT, JOB_SCHEMA, PAGE, PAGE_FILE})
_FOLDER: Final = Path(__file__).parent.parent / "page"
_FILES: Final = {"page.css": "text/css", "page.js": "text/javascript"}
# Somebody shows the page a token: it runs nothing but its own script, which puts in no HTML, and
# talks to nobody but this server.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
# Asked for anew each time, so that a newer Headrace is seen at once.
_HEADERS: Final = {"Cache-Control": "no-cache"}
_OF_PAGE: Final = {
    **_HEADERS,
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
}


def add_document(app: web.Application) -> None:
    """Add the routes."""
    files = {name: Fixed.of((_FOLDER / name).read_bytes(), _FILES[name]) for name in _FILES}
    page = Fixed.of((_FOLDER / "page.html").read_bytes(), "text/html")

    def always(text: Fixed) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            return text.answer(request, _HEADERS)

        return serve

    async def serve_page(request: web.Request) -> web.Response:
        return page.answer(request, _OF_PAGE)

    async def serve_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in files:
            raise NotFound(f"the page has no file {name[:80]!r}")
        return files[name].answer(request, _HEADERS)

    async def lead_to_page(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": PAGE})

    app.router.add_get(_ROOT, lead_to_page)
    app.router.add_get(DOCUMENT, always(_json(document(OPERATIONS, TAGS, version("headrace")))))
    app.router.add_get(JOB_SCHEMA, always(_json(job_json_schema())))
    app.router.add_get(PAGE, serve_page)
    app.router.add_get(PAGE_FILE, serve_file)


def _json(plain: dict[str, Any]) -> Fixed:
    return Fixed.of(json.dumps(plain, ensure_ascii=False).encode(), JSON)
