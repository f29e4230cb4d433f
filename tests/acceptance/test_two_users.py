"""Two users, a viewer and an outsider, by CLI, REST and WebSocket: who sees and may do what.

bob owns a running job and a dataset. carol (a user) and vera (a viewer) are in the group `models`,
olaf is a user whom nobody shares anything with. Read from top to bottom it is one story.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from headrace_adapters.redis.acl import user_of
from headrace_adapters.redis.connection import Denied, Redis
from headrace_client.cli import exits
from headrace_local.environ import NODE, redis_url
from headrace_local.layout import SERVICES
from headrace_local.redis_users import connect
from tests.acceptance.conftest import Headrace, pids_with, until, waits_for
from tests.support.person import People, Person

PEOPLE = ("bob", "carol", "vera", "olaf")


@dataclass
class Story:
    """What the story is about: a job of bob's that runs until `gate` is there, and a dataset."""

    headrace: Headrace
    people: People
    job: str
    gate: Path
    dataset: str

    def person(self, name: str) -> Person:
        found: Person = getattr(self.people, name)
        return found

    def token(self, name: str) -> str:
        """The token of somebody's login, as their shell keeps it."""
        (file,) = (self.person(name).folder / "config" / "headrace" / "tokens").iterdir()
        return file.read_text().strip()

    def rest(self, name: str, method: str, path: str, body: Any = None) -> int:
        return self.headrace.ask(method, path, body, token=self.token(name)).status

    @contextlib.asynccontextmanager
    async def live(self, name: str) -> AsyncIterator[ClientWebSocketResponse]:
        """A WebSocket of somebody's, past its hello."""
        headers = {"Authorization": f"Bearer {self.token(name)}"}
        url = f"{self.headrace.url}/api/v1/ws"
        async with (
            ClientSession() as session,
            session.ws_connect(url, headers=headers) as wire,
            asyncio.timeout(120.0),
        ):
            assert (await wire.receive_json())["user"] == name
            yield wire

    def seen_live(self, name: str) -> list[str]:
        """The jobs that a WebSocket tells somebody of."""

        async def ask() -> list[str]:
            async with self.live(name) as wire:
                await wire.send_json({"op": "follow", "id": "j", "topic": "jobs"})
                told = await wire.receive_json()
                return [job["id"] for job in told["jobs"]]

        return asyncio.run(ask())

    def see_the_job(self) -> set[str]:
        """Who sees bob's job: the same people by CLI, REST and WebSocket."""
        by_cli = {n for n in PEOPLE if self.job in self.person(n).jobs()}
        by_rest = {n for n in PEOPLE if self.rest(n, "GET", f"/jobs/{self.job}") == 200}
        by_websocket = {n for n in PEOPLE if self.job in self.seen_live(n)}
        assert by_cli == by_rest == by_websocket
        return by_rest

    def see_the_dataset(self) -> set[str]:
        """Who sees bob's dataset: the same people by CLI and REST."""
        path = f"/datasets/{self.dataset}"
        by_cli = {n for n in PEOPLE if self.dataset in self.person(n).datasets()}
        by_rest = {n for n in PEOPLE if self.rest(n, "GET", path) == 200}
        assert by_cli == by_rest
        return by_rest


@pytest.fixture(scope="module")
def story(headrace: Headrace, people: People) -> Iterator[Story]:
    gate, name = headrace.gate(), f"flow-{token_hex(4)}"
    job = people.bob.submit(*waits_for(gate))
    headrace.until(job, "RUNNING")
    file = people.bob.folder / "flow.csv"
    file.write_text("time,flow\n1980-01-01,1\n")
    made = people.bob.cli("dataset", "create", name, "--category", "OBSERVATION",
                          "--format", "GENERIC", "--upload", str(file))  # fmt: skip
    assert made.returncode == 0, made.stderr
    yield Story(headrace, people, job, gate, name)
    gate.touch()


def test_what_is_bob_s_only_bob_sees(story: Story) -> None:
    assert story.see_the_job() == {"bob"}
    assert story.see_the_dataset() == {"bob"}
    for name in ("carol", "vera", "olaf"):
        assert story.person(name).code("jobs", "cancel", story.job) == exits.NOT_FOUND
        assert story.rest(name, "POST", f"/jobs/{story.job}:cancel") == 404
        assert story.rest(name, "DELETE", f"/datasets/{story.dataset}") == 404


def test_what_bob_shares_with_a_group_its_members_see_and_the_outsider_does_not(
    story: Story,
) -> None:
    for what, thing in (("jobs", story.job), ("dataset", story.dataset)):
        assert story.people.bob.code(what, "share", thing, "--with", "group:models") == exits.OK
    members = {"bob", "carol", "vera"}
    assert story.see_the_job() == members
    assert story.see_the_dataset() == members
    assert story.people.carol.cli("jobs", "logs", story.job).stdout == "ready\n"
    assert story.people.vera.code("dataset", "download", story.dataset, "got") == exits.OK


def test_who_may_only_read_steers_and_changes_nothing(story: Story) -> None:
    for name in ("carol", "vera"):
        assert story.person(name).code("jobs", "stop", story.job) == exits.REFUSED
        assert story.rest(name, "POST", f"/jobs/{story.job}:stop") == 403
        assert story.rest(name, "PATCH", f"/datasets/{story.dataset}", {"description": "x"}) == 403
        shares = ("jobs", "share", story.job, "--with", "user:olaf")
        assert story.person(name).code(*shares) == exits.REFUSED
    assert story.headrace.job(story.job)["status"].endswith("RUNNING")


def test_a_viewer_starts_nothing_and_a_user_does(story: Story) -> None:
    run = ("exec", "run", "--cpus", "100m", "--memory", "64MiB", "--", "true")
    assert story.people.vera.code(*run) == exits.REFUSED
    assert story.people.olaf.code(*run) == exits.OK
    assert story.rest("vera", "POST", "/datasets", {"name": "x", "category": "OUTPUT"}) == 403


async def test_what_is_taken_back_ends_while_it_is_followed(story: Story) -> None:
    carol, path = story.people.carol, f"/jobs/{story.job}"
    url = f"{story.headrace.url}/api/v1{path}/logs?stream=out&follow=true"
    headers = {"Authorization": f"Bearer {story.token('carol')}"}
    async with story.live("carol") as wire, ClientSession() as session:
        await wire.send_json({"op": "follow", "id": "l", "topic": "logs", "job": story.job,
                              "stream": "out"})  # fmt: skip
        assert (await wire.receive_json())["text"] == "ready\n"
        async with session.get(url, headers=headers) as stream:
            assert await stream.content.readline() == b"ready\n"
            taken = ("jobs", "unshare", story.job, "--with", "group:models")
            assert await asyncio.to_thread(story.people.bob.code, *taken) == exits.OK
            told = await wire.receive_json()
            assert (told["type"], told["code"]) == ("error", "NOT_FOUND")
            with contextlib.suppress(Exception):  # a cut answer is an error of its own
                assert await stream.content.read() == b""
    assert await asyncio.to_thread(carol.code, "jobs", "info", story.job) == exits.NOT_FOUND
    seen = await asyncio.to_thread(story.see_the_job)
    assert seen == {"bob"}


def test_shared_for_writing_a_user_steers_it_and_a_viewer_does_not(story: Story) -> None:
    shared = ("jobs", "share", story.job, "--with", "group:models", "--write")
    assert story.people.bob.code(*shared) == exits.OK
    assert story.people.vera.code("jobs", "stop", story.job) == exits.REFUSED
    assert story.rest("olaf", "POST", f"/jobs/{story.job}:stop") == 404
    assert story.people.carol.code("jobs", "stop", story.job) == exits.OK
    story.headrace.until(story.job, "STOPPED")


def test_the_admin_sees_and_steers_all_of_it(story: Story) -> None:
    assert story.headrace.ask("POST", f"/jobs/{story.job}:cancel").status == 200
    story.headrace.until(story.job, "CANCELED")
    assert story.headrace.get(f"/datasets/{story.dataset}")["owner"] == "bob"


async def test_each_service_is_its_own_user_in_redis_and_can_do_no_more(story: Story) -> None:
    home = story.headrace.home
    users = {service: user_of(service, NODE) for service in SERVICES}
    admin = await asyncio.to_thread(connect, home)
    try:
        known = await admin.command("ACL", "USERS")
        clients = await admin.command("CLIENT", "LIST")
        seen = {dict(w.split("=", 1) for w in line.split())["user"]
                for line in _lines(clients)}  # fmt: skip
    finally:
        await admin.close()
    assert {*users.values()} <= seen
    assert seen <= {*users.values(), "admin"}
    assert {*known} == {*users.values(), "admin", "default"}, "no service, no user"
    for user in users.values():
        redis = await asyncio.to_thread(Redis, redis_url(home, user),
                                        password_file=home.password(user))  # fmt: skip
        try:
            for command in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*")):
                with pytest.raises(Denied):
                    await redis.command(*command)
        finally:
            await redis.close()


def _lines(clients: Any) -> list[str]:
    """CLIENT LIST, as lines, whatever the library makes of it."""
    if isinstance(clients, str):
        return clients.splitlines()
    return [f"user={each['user']}" for each in clients]


def test_a_secret_is_in_no_command_line_or_environment_of_the_machine(story: Story) -> None:
    value = token_hex(16)
    bob, gate = story.people.bob, story.headrace.gate()
    assert bob.code("secrets", "set", "hidden", typed=value) == exits.OK
    script = f'cat "$HEADRACE_SECRETS/hidden" > /dev/null; touch {gate}.in; ' + waits_for(gate)[2]
    spec = {"headrace": 1, "kind": "command", "secrets": ["hidden"],
            "command": ["sh", "-c", script],
            "resources": {"cpus": "100m", "memory": "64MiB"}}  # fmt: skip
    job = bob.submit_file(json.dumps(spec))
    until(Path(f"{gate}.in").exists, "the worker to have read its secret")
    assert pids_with(value) == []
    found = [p for p in Path("/proc").glob("[0-9]*/environ") if _holds(p, value)]
    assert found == []
    gate.touch()
    story.headrace.until(job, "COMPLETED")


def _holds(path: Path, text: str) -> bool:
    with contextlib.suppress(OSError):
        return text.encode() in path.read_bytes()
    return False
