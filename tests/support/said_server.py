"""An HTTP server that answers what a test laid down, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

_ROOT = "/api/v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `METHOD /path?query` below `/api/v1`; `at_s` on the monotonic clock."""

    what: str
    body: Any
    token: str | None
    at_s: float


@dataclass(slots=True)
class SaidServer:
    """Answers laid down by `METHOD /path?query`; the last of several stays. Others get a 404."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, list[tuple[int, Any, Mapping[str, str]]]] = field(default_factory=dict)

    def says(
        self, what: str, body: Any = None, *, status: int = 200, headers: Mapping[str, str] = {}
    ) -> None:
        """Lay down an answer; status 0 breaks the connection off instead."""
        self.answers.setdefault(what, []).append((status, body, headers))

    def answer(self, asked: Asked) -> tuple[int, Any, Mapping[str, str]]:
        """Note a request, and give its answer."""
        self.asked.append(asked)
        known = self.answers.get(asked.what)
        if known is None:
            return 404, {"code": "NOT_FOUND", "detail": f"nobody laid down {asked.what}"}, {}
        return known.pop(0) if len(known) > 1 else known[0]

    @property
    def whats(self) -> list[str]:
        """What was asked, in order."""
        return [each.what for each in self.asked]


@contextmanager
def said_server() -> Iterator[SaidServer]:
    """A server on a free port of this machine, for as long as the block runs."""
    said = SaidServer()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length)
            shown = self.headers.get("Authorization")
            asked = Asked(
                f"{self.command} {self.path.removeprefix(_ROOT)}",
                json.loads(body) if body else None,
                shown.removeprefix("Bearer ") if shown else None,
                monotonic(),
            )
            status, plain, headers = said.answer(asked)
            if status == 0:
                self.close_connection = True
                return
            data = b"" if plain is None else json.dumps(plain).encode()
            # The other one writes a Date of its own.
            start = self.send_response_only if "Date" in headers else self.send_response
            start(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        # The names that http.server looks for.
        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    said.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield said
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
