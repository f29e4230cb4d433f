"""What the GUI's server takes and passes on, asked without a browser."""

import hashlib
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import Gui

MANY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the GUI."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Door:
    """The GUI, for who is signed in there; says of each request that it comes from its pages."""

    def __init__(self, gui: Gui) -> None:
        self._host = urlsplit(gui.url).netloc
        self._cookie = ""
        self.ours = {"Origin": gui.url, "X-Headrace-GUI": "1", "Sec-Fetch-Site": "same-origin"}
        answer = self.ask("POST", "/session", json.dumps({"token": gui.headrace.token}).encode())
        assert answer.status == 201, answer.body
        self._cookie = answer.headers["Set-Cookie"].partition(";")[0]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; with `headers` in place of those of our own pages."""
        sent = dict(self.ours if headers is None else headers)
        if self._cookie:
            sent["Cookie"] = self._cookie
        with closing(http.client.HTTPConnection(self._host, timeout=60)) as connection:
            connection.request(method, path, body, sent)
            with connection.getresponse() as answer:
                return Answer(answer.status, answer.headers, answer.read())


@pytest.fixture(scope="module")
def door(gui: Gui) -> Door:
    return Door(gui)


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/session", "/api/v1/jobs/x:cancel"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "X-Headrace-GUI": "1"},
        {"Sec-Fetch-Site": "cross-site", "X-Headrace-GUI": "1"},
        {"Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_a_form_of_another_site_changes_nothing(
    door: Door, path: str, headers: dict[str, str]
) -> None:
    answer = door.ask("POST", path, b"{}", headers)
    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")


def test_a_socket_is_opened_for_pages_of_ours_alone(door: Door) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    foreign = {**upgrade, "Origin": "http://127.0.0.1:1"}
    assert door.ask("GET", "/api/v1/ws", headers=foreign).status == 403
    assert door.ask("GET", "/api/v1/ws", headers=upgrade).status == 403
    ours = {**upgrade, "Origin": door.ours["Origin"]}
    assert door.ask("GET", "/api/v1/ws", headers=ours).status == 101


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/login"),
        ("POST", "/api/v1/logout"),
        ("GET", "/api/v1/nonsense"),
        ("GET", "/api/v1/datasets/%2e%2e/login"),
        ("GET", "/api/internal/quotas"),
    ],
)
def test_what_the_api_has_not_is_not_passed_on(door: Door, method: str, path: str) -> None:
    assert door.ask(method, path, b"{}").status == 404


def test_a_large_file_goes_up_and_down_as_it_is_and_can_not_run(door: Door) -> None:
    name = "door"
    made = door.ask("POST", "/api/v1/datasets", b'{"name": "door", "category": "OUTPUT"}')
    assert made.status == 201, made.body
    block = b"<script>alert(1)</script>".ljust(2**16, b" ")
    sha256 = hashlib.sha256(block * (MANY // len(block))).hexdigest()
    headers = {**door.ours, "X-Content-SHA256": sha256, "Content-Length": str(MANY)}
    sent = door.ask(
        "PUT",
        f"/api/v1/datasets/{name}/items/evil.html",
        (block for _ in range(MANY // len(block))),
        headers,
    )
    assert sent.status == 201, sent.body
    got = door.ask("GET", f"/api/v1/datasets/{name}/items/evil.html")
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["Content-Disposition"] == "attachment"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert hashlib.sha256(got.body).hexdigest() == sha256
    part = door.ask(
        "GET", f"/api/v1/datasets/{name}/items/evil.html", headers={"Range": "bytes=1-6"}
    )
    assert (part.status, part.body) == (206, b"script")


def test_the_page_is_kept_for_ever_by_name_and_asked_for_anew_by_address(door: Door) -> None:
    page = door.ask("GET", "/jobs/anything")
    text = page.body.decode()
    assert page.headers["Cache-Control"] == "no-cache"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    name = text.partition('src="')[2].partition('"')[0]
    script = door.ask("GET", name, headers={"Accept-Encoding": "gzip, br"})
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Encoding"] == "br"
    assert door.ask("GET", "/", headers={"If-None-Match": page.headers["ETag"]}).status == 304
