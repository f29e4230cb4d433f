"""Connections of a client: who needs one waits for the try of another, if it is not over."""

import asyncio
from typing import Any

import pytest

from headrace_client.sockets import Sockets
from headrace_model.errors import HeadraceError


async def test_who_comes_just_when_a_connection_was_made_and_lost_lets_the_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets = Sockets(http=None)  # type: ignore[arg-type] # nothing is asked of it
    tries = waits = 0
    shield = asyncio.shield

    async def connect() -> None:
        """A connection that the server ends at once leaves none with room."""
        nonlocal tries
        tries += 1
        sockets._closed = tries > 3

    def counted(what: Any) -> Any:
        nonlocal waits
        waits += 1
        if waits > 1000:
            raise AssertionError("it spins and lets nobody run")
        return shield(what)

    monkeypatch.setattr(sockets, "_connect", connect)
    monkeypatch.setattr(asyncio, "shield", counted)
    first = asyncio.ensure_future(sockets._with_room())
    await asyncio.sleep(0)
    second = asyncio.ensure_future(sockets._with_room())  # its turn comes right after the try
    for each in (first, second):
        with pytest.raises(HeadraceError, match="is closed"):
            await each
