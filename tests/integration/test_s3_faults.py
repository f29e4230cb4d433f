"""S3 servers that die in the middle of a call, and come back, or do not."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.parts import SMALLEST_PART_BYTES
from headrace_adapters.s3.store import Limits, S3Store
from headrace_data import main as data_main
from headrace_model.errors import InvalidInput, Unavailable
from tests.conftest import new_s3_server
from tests.support.data_service import world
from tests.support.redis_server import RedisServer
from tests.support.s3_servers import JuiceFs, S3Server, SeaweedFs, write_credentials
from tests.support.wait import wait_until

PART = SMALLEST_PART_BYTES
# Longer than a server takes to start on a busy machine; and so short that nobody waits for it.
PATIENT, IMPATIENT = (
    Limits(part_bytes=PART, grant_part_bytes=PART, parallel=2, patience_s=patience_s)
    for patience_s in (90.0, 0.5)
)

MakeStore = Callable[[Limits], S3Store]


class Strikes:
    """Kills a server just before or after a store's nth call of one kind to it, once.

    A call after which the server dies was done, but its answer is lost.
    """

    def __init__(self, store: S3Store, server: S3Server, *, revive: bool) -> None:
        self._calls = store._server
        self._server = server
        self._revive = revive
        self.done = False

    def before(self, name: str, nth: int = 1) -> None:
        self._aim(name, nth, after=False)

    def after(self, name: str, nth: int = 1) -> None:
        self._aim(name, nth, after=True)

    def _aim(self, name: str, nth: int, *, after: bool) -> None:
        real: Callable[..., Any] = getattr(self._calls, name)
        calls = 0

        def struck(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls != nth or self.done:
                return real(*args)
            if after:
                real(*args)
            self.done = True
            self._server.kill9()
            if self._revive:
                self._server.start()
            if after:
                raise ConnectionResetError("the answer is lost")
            return real(*args)

        setattr(self._calls, name, struck)


@pytest.fixture(scope="module")
def own_server(request: pytest.FixtureRequest, run_root: Path) -> Iterator[S3Server]:
    """A server that these tests may kill: JuiceFS, which is back soonest, unless they say more."""
    name = getattr(request, "param", JuiceFs.name)
    server = new_s3_server(name, run_root / f"struck-{name}-{token_hex(4)}")
    try:
        yield server
    finally:
        server.kill9()


@pytest.fixture
def server(own_server: S3Server) -> S3Server:
    own_server.start()
    return own_server


@pytest.fixture
async def make_store(server: S3Server) -> AsyncIterator[MakeStore]:
    """Stores below one prefix of this test's own."""
    location = parse_location(f"{server.url}/{token_hex(8)}")
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    made: list[S3Store] = []

    def make(limits: Limits) -> S3Store:
        made.append(S3Store(location, credentials, limits))
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest.fixture
def large(state_dir: Path) -> Path:
    """A file of four parts."""
    path = state_dir / "large"
    path.write_bytes(os.urandom(3 * PART + 17))
    return path


@pytest.mark.parametrize(
    ("own_server", "call", "nth", "after"),
    [
        (JuiceFs.name, "begin", 1, False),
        (JuiceFs.name, "put_part", 2, False),
        (JuiceFs.name, "put_part", 2, True),
        (JuiceFs.name, "complete", 1, False),
        (JuiceFs.name, "complete", 1, True),
        (SeaweedFs.name, "put_part", 2, False),  # one: it takes some 20 s to come back
    ],
    indirect=["own_server"],
)
async def test_a_put_outlives_the_death_of_the_server(
    server: S3Server, make_store: MakeStore, large: Path, call: str, nth: int, after: bool
) -> None:
    store = make_store(PATIENT)
    strikes = Strikes(store, server, revive=True)
    (strikes.after if after else strikes.before)(call, nth)
    digest = sha256(_read(large)).hexdigest()
    await store.put_file("a/key", large, sha256=digest)
    assert strikes.done
    assert sha256(await store.get_bytes("a/key", 4 * PART)).hexdigest() == digest
    assert await store.keys("a") == ["a/key"]
    assert await store.sweep_parts(-3_600.0) == 0


@pytest.mark.parametrize(("call", "nth"), [("put_part", 2), ("complete", 1)])
async def test_a_put_that_failed_leaves_the_old_object(
    server: S3Server, make_store: MakeStore, large: Path, call: str, nth: int
) -> None:
    store = make_store(IMPATIENT)
    await store.put_bytes("a/key", b"old")
    Strikes(store, server, revive=False).before(call, nth)
    with pytest.raises(Unavailable, match="does not answer"):
        await store.put_file("a/key", large)
    await asyncio.to_thread(server.start)
    again = make_store(PATIENT)
    assert await again.get_bytes("a/key", 10) == b"old"
    assert await again.sweep_parts(-3_600.0) == 1, "what the dead server could not abort"
    await again.put_file("a/key", large)
    assert await again.get_bytes("a/key", 4 * PART) == _read(large)


@pytest.mark.parametrize("nth", [1, 3])
async def test_a_fetch_outlives_the_death_of_the_server(
    server: S3Server, make_store: MakeStore, large: Path, state_dir: Path, nth: int
) -> None:
    store = make_store(PATIENT)
    await store.put_file("a/key", large)
    strikes = Strikes(store, server, revive=True)
    strikes.before("get", nth)
    await store.fetch("a/key", state_dir / "to" / "file")
    assert strikes.done
    assert _read(state_dir / "to" / "file") == _read(large)


async def test_a_fetch_that_failed_leaves_nothing(
    server: S3Server, make_store: MakeStore, large: Path, state_dir: Path
) -> None:
    store = make_store(IMPATIENT)
    await store.put_file("a/key", large)
    Strikes(store, server, revive=False).before("get", 3)
    with pytest.raises(Unavailable, match="does not answer") as failed:
        await store.fetch("a/key", state_dir / "to" / "file")
    assert failed.value.hint
    assert list((state_dir / "to").iterdir()) == []


async def test_refused_credentials_are_told_at_once(server: S3Server, state_dir: Path) -> None:
    file = write_credentials(state_dir / "keys", "somebody", "topsecret-0123456789")
    credentials = await asyncio.to_thread(read_credentials, file)
    store = S3Store(parse_location(server.url), credentials, Limits(patience_s=3_600.0))
    try:
        with pytest.raises(InvalidInput, match="refuses the credentials"):
            await store.check()
        with pytest.raises(Unavailable, match="refuses the credentials") as refused:
            await store.put_bytes("a/key", b"x")
        assert refused.value.code == "STORE_MISCONFIGURED"
        assert "topsecret" not in str(refused.value)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("prefix", "sealed"), [("datasets/", False), ("sealed/", True)], ids=["manifest", "marker"]
)
async def test_a_seal_that_the_store_cuts_off_is_finished_later(
    server: S3Server,
    make_store: MakeStore,
    redis_server: RedisServer,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    prefix: str,
    sealed: bool,
) -> None:
    store = make_store(IMPATIENT)
    monkeypatch.setattr(data_main, "make_store", lambda _settings: store)
    async with world(state_dir, redis_server) as known, known.data() as data:
        made = await data.api("POST", "/datasets", json={"name": "rain", "category": "FORCING"})
        id_ = made.json["id"]
        assert (await data.upload(id_, "a.txt", b"wet")).status == 201
        real = store.put_bytes

        async def put_bytes(key: str, content: bytes) -> None:
            if key.startswith(prefix):
                await asyncio.to_thread(server.kill9)
            await real(key, content)

        monkeypatch.setattr(store, "put_bytes", put_bytes)
        cut = await data.api("POST", f"/datasets/{id_}:seal")
        assert cut.status == 503, cut.body
        assert cut.json["retryable"]
        assert cut.json["hint"]
        state = (await data.api("GET", f"/datasets/{id_}")).json["state"]
        assert state == ("SEALED" if sealed else "OPEN")
        monkeypatch.setattr(store, "put_bytes", real)
        await asyncio.to_thread(server.start)
        if sealed:

            async def marked() -> bool:
                return await store.keys("sealed") == [f"sealed/{id_}"]

            await wait_until(marked, "the sweep to write the marker")
        again = await data.api("POST", f"/datasets/{id_}:seal")
        assert again.status == 200, again.body
        assert (await data.api("GET", "/datasets/rain/items/a.txt")).body == b"wet"


async def test_a_data_service_starts_without_its_store_and_recovers(
    server: S3Server,
    make_store: MakeStore,
    redis_server: RedisServer,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_main, "make_store", lambda _settings: make_store(IMPATIENT))
    async with world(state_dir, redis_server) as known:
        async with known.data() as data:
            await data.make("rain", {"a.txt": b"wet"})
        # A catalogue that is lost while the store is away comes back with it.
        await known.redis.command("FLUSHALL")
        await known.redis.open()
        await asyncio.to_thread(server.kill9)
        async with known.data() as data:
            assert (await data.api("GET", "/datasets/rain")).status == 404
            refused = await data.api(
                "POST", "/datasets", json={"name": "snow", "category": "FORCING"}
            )
            assert refused.status == 201, "what needs no store works"
            answer = await data.upload("snow", "b.txt", b"cold")
            assert answer.status == 503, answer.body
            await asyncio.to_thread(server.start)

            async def back() -> bool:
                return (await data.api("GET", "/datasets/rain/items/a.txt")).body == b"wet"

            await wait_until(back, "the catalogue to be rebuilt from its markers")
            assert (await data.upload("snow", "b.txt", b"cold")).status == 201


def _read(path: Path) -> bytes:
    return path.read_bytes()
