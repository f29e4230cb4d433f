"""Wires the web GUI; `python -m headrace_gui.main` runs it alone."""

from pathlib import Path
from typing import Final

from headrace_gui.api.live import PATH as LIVE
from headrace_gui.api.live import add_live
from headrace_gui.api.pages import ASSET, add_pages
from headrace_gui.api.proxy import add_proxy
from headrace_gui.api.session import PATH as SESSION
from headrace_gui.api.session import SessionRoutes
from headrace_gui.service.sessions import Sessions
from headrace_gui.service.upstream import Upstream
from headrace_gui.settings import Settings
from headrace_service.http import make_app
from headrace_service.lifecycle import Service, main_of
from headrace_service.sockets import Sockets, tls_of

ASSETS: Final = Path(__file__).parent / "assets"
# Bodies are passed on as they come; what is read whole is bounded where it is read.
_BODY_BYTES: Final = 64 * 1024


def build(settings: Settings) -> Service:
    """Make the GUI's service from its settings."""
    upstream = Upstream(settings.request_url, settings.request_ca_file, settings.request_tls_name)
    routes = SessionRoutes(
        Sessions(settings.session_key_file),
        upstream,
        Path(settings.codes_dir) if settings.codes_dir else None,
        settings.headers_s,
    )
    app = make_app(
        "gui",
        ready=upstream.ready,
        authenticate=routes.authenticate,
        body_limit_bytes=_BODY_BYTES,
        open_routes=frozenset({SESSION, ASSET, "/{rest}", LIVE}),
    )
    routes.add_to(app)
    add_live(app, routes, upstream)
    add_proxy(app, upstream)
    add_pages(app, ASSETS)
    return Service(
        name="gui",
        open=[upstream.open],
        app=app,
        listen=settings.listen,
        sockets=Sockets(
            settings.connections_limit,
            settings.idle_s,
            settings.headers_s,
            tls_of(settings.tls_cert_file, settings.tls_key_file),
        ),
        close=[upstream.close],
    )


if __name__ == "__main__":
    main_of(Settings, build)
