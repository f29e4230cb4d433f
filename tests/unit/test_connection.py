"""Where a client finds its server: the state folder, one address or several."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace_client.api import AsyncClient
from headrace_client.connection import find_server, state_folder
from headrace_client.errors import Unreachable
from headrace_client.logins import login_at
from headrace_local.layout import root_from
from headrace_model.errors import InvalidInput
from tests.support.said_server import said_server


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HEADRACE_HOME": "/srv/headrace"},
        {"XDG_DATA_HOME": "/data/user"},
        {"XDG_DATA_HOME": "not/absolute"},
        {"XDG_DATA_HOME": ""},
        {"XDG_DATA_HOME": "/data/user", "HEADRACE_HOME": "/srv/headrace"},
    ],
)
def test_both_find_the_same_folder(environ: dict[str, str]) -> None:
    assert state_folder(environ) == root_from(environ, Path.home(), Path.cwd())


def test_several_addresses_are_each_checked() -> None:
    assert find_server("http://a:1/", {}) == "http://a:1"
    assert find_server("https://a:1, https://b:2/", {}) == "https://a:1,https://b:2"
    for wrong, why in (
        ("http://a:1,", "'' is not an address"),
        ("http://a:1,b:2", "'b:2' is not an address"),
        ("http://a:1,https://b:2", "mixes http and https"),
    ):
        with pytest.raises(InvalidInput, match=why):
            find_server(wrong, {})


def test_a_login_is_that_of_the_first_address() -> None:
    environ = {"XDG_CONFIG_HOME": "/config"}
    several = login_at("https://a:1,https://b:2", environ)
    assert several == login_at("https://a:1", environ)


async def test_where_one_address_refuses_the_next_is_asked() -> None:
    with said_server() as server, _nobody() as refuses:
        server.says("GET /me", {"name": "ann", "role": "admin", "groups": [], "scopes": []})
        async with AsyncClient(f"{refuses},{server.url}", "t", patience_s=5.0) as client:
            for _ in range(2):
                assert (await client.people.me()).name == "ann"
        assert server.whats == ["GET /me", "GET /me"]


async def test_where_none_answers_all_are_named() -> None:
    with _nobody() as one, _nobody() as two:
        async with AsyncClient(f"{one},{two}", "t", patience_s=0.5) as client:
            with pytest.raises(Unreachable, match=f"{one} or {two}"):
                await client.people.me()


@contextmanager
def _nobody() -> Iterator[str]:
    """An address that refuses: a socket has its port, and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
