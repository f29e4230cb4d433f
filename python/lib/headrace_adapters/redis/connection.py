"""The connection to Redis: group commit by pipelining, scripts that are sent until answered.

Every write is one of the Lua scripts beside this file. All scripts are safe to repeat, so a call
whose answer was lost with the connection is sent again until Redis is back.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    WatchError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from headrace_adapters.redis.line import Line
from headrace_model.errors import (
    Conflict,
    Fenced,
    HeadraceError,
    InMaintenance,
    InvalidInput,
    NotFound,
    OverQuota,
    Stale,
    TooLarge,
    Unavailable,
)

_GONE = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError)
# How Redis 6.2 and 7, and Valkey, say that a script did what its caller may not.
_DENIED_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")
_BATCH = 200  # commands a round trip: bounds memory and keeps Redis fair to others
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
# Else the library looks its own version up on disk at each connection. Newer ones warn of the
# older names, and the older ones don't know the newer name.
_SAYS_NO_VERSION: dict[str, Any] = (
    {"driver_info": None}
    if "driver_info" in signature(AbstractConnection).parameters
    else {"lib_name": None, "lib_version": None}
)


class NoRoom(Conflict):
    """The ledger of a node has less room than the plan took; the message names the node."""

    code = "NO_ROOM"


class Tombstoned(Conflict):
    """A dataset was deleted before it could be linked; the message names it."""

    code = "TOMBSTONED"


class Linked(Conflict):
    """Jobs use the dataset; the message lists them."""

    code = "LINKED"


class Denied(HeadraceError):
    """Redis does not let this service's user in, or not do what it asked."""

    code = "DENIED"


class Damaged(HeadraceError):
    """A key in Redis holds another type than Headrace wrote there; nothing was changed."""

    code = "DAMAGED"


_REFUSALS: dict[str, type[HeadraceError]] = {
    "CONFLICT": Conflict,
    "EPOCH": Fenced,
    "INCARNATION": Fenced,
    "LINKED": Linked,
    "MAINTENANCE": InMaintenance,
    "NOT_FOUND": NotFound,
    "NO_ROOM": NoRoom,
    "OVER_QUOTA": OverQuota,
    "STALE": Stale,
    "TERM": Fenced,
    "TOO_LARGE": TooLarge,
    "TOMBSTONED": Tombstoned,
    "WRONG_TYPE": Damaged,
}


@dataclass(slots=True)
class _Call:
    command: tuple[Any, ...]
    answer: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Redis:
    """One service's connection. `patience_s` bounds how long a call waits for a lost Redis.

    The URL may name the user, whose password stands in `password_file` and nowhere else; an empty
    one: none. Raises `InvalidInput` for a password in the URL, or a file that can't be read.
    """

    def __init__(
        self, url: str, *, password_file: Path | str = "", patience_s: float = 60.0
    ) -> None:
        password = _read_password(Path(password_file)) if password_file else None
        self._client = aioredis.Redis.from_url(
            url,
            password=password,
            decode_responses=True,
            socket_connect_timeout=5.0,
            socket_timeout=None,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            **_SAYS_NO_VERSION,
        )
        options = self._client.connection_pool.connection_kwargs
        if options.get("password") != password:  # that of the URL wins in the library
            raise InvalidInput(
                "the URL of Redis holds a password, which others could read",
                hint="write it to a file (mode 0600) and name that in redis_password_file",
            )
        self._user = options.get("username") or "default"
        self._patience_s = patience_s
        self._waiting: list[_Call] = []
        self._woken = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._line = Line(self._client)
        self._scripts = _load_scripts()
        self._loaded = False
        self.epoch = ""
        self.closed = False

    async def open(self) -> None:
        """Wait for Redis, agree on the epoch. Raises `Unavailable` after `patience_s`."""
        epoch = await self.command("GET", "hr:epoch")
        if epoch is None:  # agents may only read it
            await self.command("SET", "hr:epoch", token_hex(8), "NX")
            epoch = await self.command("GET", "hr:epoch")
        self.epoch = str(epoch)

    async def ping(self) -> None:
        """Raise `Unavailable` unless Redis answers within two seconds."""
        try:
            async with asyncio.timeout(2.0):
                await self.command("PING")
        except TimeoutError:
            raise Unavailable("Redis does not answer") from None

    async def close(self) -> None:
        """Refuse what still waits, and what comes late; close the sockets.

        What must not stop half-way (`headrace_service.threads.to_end`) may outlive the service:
        it would open a connection that nobody closes.
        """
        self.closed = True
        if self._pump:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        for call in self._waiting:
            if not call.answer.done():
                call.answer.set_exception(_stopping())
        self._waiting.clear()
        await self._client.aclose()

    @property
    def client(self) -> "aioredis.Redis":
        """The plain client, for blocking reads and subscriptions that can't share a pipeline."""
        return self._client

    async def command(self, *command: Any) -> Any:
        """Send one plain command with the next batch, again until it is answered."""
        return await self._queued(command)

    async def commands(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send several commands with the next batches; answers in order."""
        return list(await asyncio.gather(*map(self._queued, commands)))

    def _queued(self, command: tuple[Any, ...]) -> "asyncio.Future[Any]":
        if self.closed:
            raise _stopping()
        call = _Call(command)
        self._waiting.append(call)
        self._woken.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._pump_forever())
        return call.answer

    async def script(self, name: str, args: dict[str, Any]) -> list[Any]:
        """Run the script `name`; returns its reply after 'OK'.

        Raises what the script refuses (`Stale`, `Fenced`, `NoRoom`, ...), and `Unavailable` where
        Redis is full or stays away.
        """
        text = json.dumps({"epoch": self.epoch, **args}, separators=(",", ":"))
        reply = await self.command("EVALSHA", self._scripts[name][0], 0, text)
        if reply[0] == "OK":
            return list(reply[1:])
        _, code, message = reply
        raise _REFUSALS[code](message)

    async def fenced(self, role: str, term: int, *commands: tuple[Any, ...]) -> None:
        """Run commands that Redis takes from no script, and only while a role's `term` stands.

        All run, or none: Redis drops them where, after the term was read, another takes over.
        One that is refused keeps none of the others back. Raises `Fenced`; `Unavailable`, with
        which it is not known what ran: repeat.
        """
        lease = f"hr:lease:{role}"
        try:
            async with asyncio.timeout(self._patience_s):
                while not self.closed:
                    try:
                        async with self._client.pipeline() as pipe:
                            await pipe.watch(lease, "hr:epoch")
                            if await pipe.get("hr:epoch") != self.epoch:
                                raise Fenced("this Redis was restored or rebuilt")
                            if await pipe.hget(lease, "term") != str(term):
                                raise Fenced(f"another {role} leads now")
                            pipe.multi()  # type: ignore[no-untyped-call] # redis-py has no types here
                            for command in commands:
                                pipe.execute_command(*command)
                            await pipe.execute()
                            return
                    except WatchError:
                        continue  # mostly the renewal of our own lease
                    except AuthenticationError as error:
                        raise self.denied(error, "HELLO") or error from None
                    except _GONE:
                        await self.command("PING")  # waits until Redis is back
        except TimeoutError:
            raise Unavailable("Redis does not answer") from None
        except RedisError as error:
            what = " ".join(map(str, commands[0][:2]))
            if denied := self.denied(error, what):
                raise denied from None
            raise Unavailable(f"Redis refuses {what}, or what goes with it: {error}") from None
        raise _stopping()

    def denied(self, error: BaseException, what: str) -> Denied | None:
        """The error as `Denied`, where it says that our user may not do `what`; else None."""
        if isinstance(error, AuthenticationError):
            return Denied(
                f"Redis does not know its user {self._user} by this password: {error}",
                hint="redis_url names the user, redis_password_file the file with the password",
            )
        if isinstance(error, NoPermissionError) or (
            isinstance(error, ResponseError)
            and any(sign in str(error) for sign in _DENIED_IN_SCRIPT)
        ):
            return Denied(
                f"Redis does not let its user {self._user} run {what}: {error}",
                hint="headrace_adapters/redis/acl.py says what each user may do",
            )
        return None

    def _named(self, command: tuple[Any, ...]) -> str:
        """A command as errors name it: without its arguments, which may be secret."""
        if command[0] == "EVALSHA":
            names = [n for n, (digest, _) in self._scripts.items() if digest == command[1]]
            return f"the script {names[0]}" if names else "a script"
        return str(command[0])

    async def _pump_forever(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                try:
                    await self._send(batch)
                except asyncio.CancelledError:
                    _fail(batch, _stopping())
                    raise
                except Exception as error:
                    # Nothing that we know of: its callers must hear it, the others go on.
                    _fail(batch, HeadraceError(f"the connection to Redis failed: {error!r}"))

    async def _send(self, batch: list[_Call]) -> None:
        """Send one batch until every call in it has an answer."""
        pause, started = _FIRST_PAUSE_S, asyncio.get_running_loop().time()
        while batch := [call for call in batch if not call.answer.done()]:
            try:
                if not self._loaded:
                    await self._load()
                # Bounded, so that a peer that vanished without a word is found out.
                async with asyncio.timeout(self._patience_s):
                    replies = await self._line.exchange([call.command for call in batch])
            except (AuthenticationError, NoPermissionError) as error:
                # No patience: neither the password nor the rules change under a running Redis.
                _fail(batch, self.denied(error, "SCRIPT LOAD") or Denied(str(error)))
                return
            except _GONE as error:
                # How the library tells that nobody comes in without a password.
                if isinstance(error.__cause__, AuthenticationError):
                    _fail(batch, self.denied(error.__cause__, "HELLO") or Denied(str(error)))
                    return
                if asyncio.get_running_loop().time() - started > self._patience_s:
                    _fail(batch, Unavailable(f"Redis does not answer: {error}"))
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            for call, reply in zip(batch, replies, strict=True):
                self._settle(call, reply)

    def _settle(self, call: _Call, reply: Any) -> None:
        if call.answer.done():  # its caller was cancelled
            return
        if isinstance(reply, NoScriptError):
            self._loaded = False  # Redis was replaced: the next round loads the scripts again
        elif isinstance(reply, _GONE):
            pass
        elif isinstance(reply, OutOfMemoryError) or (
            isinstance(reply, ResponseError) and "OOM" in str(reply)
        ):
            call.answer.set_exception(
                Unavailable("Redis is out of memory", hint="finish or delete jobs, or add memory")
            )
        elif denied := self.denied(reply, self._named(call.command)):
            call.answer.set_exception(denied)
        elif isinstance(reply, ResponseError) and "MISCONF" in str(reply):
            call.answer.set_exception(Unavailable("Redis can't write to its disk"))
        elif isinstance(reply, RedisError):
            call.answer.set_exception(reply)
        else:
            call.answer.set_result(reply)

    async def _load(self) -> None:
        scripts = self._scripts.values()
        answers = await self._line.exchange([("SCRIPT", "LOAD", source) for _, source in scripts])
        for (digest, _), answer in zip(scripts, answers, strict=True):
            if isinstance(answer, RedisError):
                raise answer
            if answer != digest:
                raise AssertionError(f"Redis names a script {answer}, we {digest}")
        self._loaded = True


def _read_password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"the file {file} with Redis's password can't be read: {error.strerror}"
        ) from None


def _stopping() -> Unavailable:
    return Unavailable("this service is stopping")


def _fail(batch: list[_Call], error: HeadraceError) -> None:
    for call in batch:
        if not call.answer.done():
            call.answer.set_exception(error)


def _load_scripts() -> dict[str, tuple[str, str]]:
    """Read the scripts beside this file: name → (SHA-1, source with what it uses before it)."""
    folder = files("headrace_adapters.redis") / "lua"
    names = ("_prelude.lua", "_arrays.lua", "_datasets.lua")
    shared = "\n".join((folder / name).read_text() for name in names)
    scripts = {}
    for entry in folder.iterdir():
        name, _, ending = entry.name.partition(".")
        if ending == "lua" and not name.startswith("_"):
            source = f"{shared}\n{entry.read_text()}"
            scripts[name] = (sha1(source.encode(), usedforsecurity=False).hexdigest(), source)
    return scripts
