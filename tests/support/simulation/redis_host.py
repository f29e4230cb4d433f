"""A real Redis, driven one exchange at a time, that can be killed with what was not on its disk.

Most that the services send are reads of what has not changed: Redis itself tells which keys have
(CLIENT TRACKING), and a read of others is answered with the reply that it gave before.

Two lines of the scripts are exchanged when they are loaded: Redis' clock is the simulation's, in
`TIME` and in the ids of events. Nothing else of them is touched.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any

import hiredis
from redis._parsers.base import BaseParser
from redis.exceptions import InvalidResponse

from headrace_adapters.redis import connection
from tests.support.redis_server import RedisServer

Command = Sequence[bytes | str | int]
_CLOCK = ("local time = redis.call('TIME')", "local time = {ARGV[2], ARGV[3]}")
_EVENT_ID = ("text(now - 3600000), '*', ...", "text(now - 3600000), text(now) .. '-*', ...")
_PATH = "appendonlydir/appendonly.aof.1.incr.aof"
_RESTART_BYTES = 16 * 2**20  # of AOF: a longer one makes each reload slow
_FSYNC_EVERY_S = {"everysec": 1.0, "no": 30.0}  # how the kernel does it, where Redis does not


def scripts_on_simulated_clock(change: Callable[[str, str], str]) -> dict[str, tuple[str, str]]:
    """The scripts as the services load them, on the simulated clock; `change` plants a bug."""
    scripts = {}
    for name, (_, source) in _REAL_SCRIPTS().items():
        for old, new in (_CLOCK, _EVENT_ID):
            if source.count(old) != 1:
                raise AssertionError(f"the prelude has no single line {old!r} any more")
            source = source.replace(old, new)
        source = change(name, source)
        scripts[name] = (sha1(source.encode(), usedforsecurity=False).hexdigest(), source)
    return scripts


# Reads of one key, the first argument, whose replies hang on nothing else.
_READS = frozenset(
    b"GET HGET HMGET HGETALL HVALS HKEYS HLEN HEXISTS SMEMBERS SISMEMBER SCARD ZRANGE ZCARD "
    b"ZSCORE LRANGE LLEN XRANGE XREVRANGE XREAD TYPE".split()
)

# Where Redis is, and all that is looked at if a script has written since `ARGV[1]` commits: what
# grows is told by its length and its end.
_LOOK = """
local commits = redis.call('GET', 'hr:commits') or '0'
local event = redis.call('XREVRANGE', 'hr:events', '+', '-', 'COUNT', 1)[1]
local found = {}
if commits == ARGV[1] then return {commits, event and event[1] or '', false} end
for _, key in ipairs(redis.call('KEYS', 'hr:*')) do
  local family = string.match(key, '^hr:(%a+)')
  local kind = redis.call('TYPE', key).ok
  if family == 'events' or family == 'inventory' or family == 'idempotency' then
    -- nothing is promised of these
  elseif kind == 'hash' then
    found[#found + 1] = {key, redis.call('HGETALL', key)}
  elseif kind == 'list' then
    found[#found + 1] = {key, {redis.call('LLEN', key), redis.call('LRANGE', key, -4, -1)}}
  elseif kind == 'zset' then
    found[#found + 1] = {key, redis.call('ZRANGE', key, 0, -1)}
  elseif kind == 'set' then
    found[#found + 1] = {key, redis.call('SMEMBERS', key)}
  elseif kind == 'string' then
    found[#found + 1] = {key, redis.call('GET', key)}
  end
end
return {commits, event and event[1] or '', found}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """The replies to what a client sent, and where Redis is then.

    `found`: what all keys hold, where a script has written since the last look; else None.
    """

    replies: list[Any]
    commits: int
    last_event: str
    found: list[Any] | None


_REAL_SCRIPTS = connection._load_scripts


class _Server(RedisServer):
    """In the encodings whose order is the order of writing, whatever their size."""

    def __init__(self, binary: Path, folder: Path, fsync: str) -> None:
        super().__init__(binary, folder)
        self._fsync = fsync

    def _command(self) -> list[str]:
        words = super()._command()
        words[words.index("always")] = self._fsync
        return [
            *words,
            *("--hash-max-listpack-value", "10000000", "--hash-max-listpack-entries", "100000"),
            *("--auto-aof-rewrite-percentage", "0", "--loglevel", "warning"),
        ]


class RedisHost:
    """The machine that Redis runs on. `now_s`: the simulated wall clock."""

    def __init__(self, binary: Path, folder: Path, fsync: str, now_s: Callable[[], float]) -> None:
        self._binary = binary
        self._folder = folder
        self._fsync = fsync
        self.now_s = now_s
        self._servers = 0
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._reader: hiredis.Reader | None = None
        self._loaded: dict[bytes, bytes] = {}  # source → digest
        self._names: dict[bytes, str] = {}
        self._on_disk = (0.0, 0)  # when, and how much, where Redis does not see to it
        self._news = (0, "")  # commits and the last event, as last seen
        self._known: dict[bytes, dict[tuple[bytes, ...], Any]] = {}  # key → read → reply
        self._look = ""  # digest of the script
        self.is_up = False

    def begin(self) -> None:
        """Start empty, in new files if those of before are long."""
        if self._server is not None and self.is_up and self._size() < _RESTART_BYTES:
            self.ask([("FLUSHALL",)])
        else:
            self.close()
            self._servers += 1
            folder = self._folder / f"redis{self._servers}"
            folder.mkdir(parents=True)
            self._server = _Server(self._binary, folder, self._fsync)
            self.start()
        self._on_disk = (self.now_s(), self._size())
        self._news = (0, "")
        self._known.clear()

    def start(self) -> None:
        """Start on the files as they are."""
        if self._server is None:
            raise AssertionError("begin comes first")
        self._server.start()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self._server.url.removeprefix("unix://"))
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=BaseParser.parse_error,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._loaded.clear()
        self._on_disk = (self.now_s(), self._size())
        self.is_up = True
        self._known.clear()
        hello = [("HELLO", "3"), ("SCRIPT", "LOAD", _LOOK), ("CLIENT", "TRACKING", "ON")]
        _, self._look, tracks = self._exchange(hello)
        if tracks != "OK":
            raise AssertionError(f"Redis does not tell what changes: {tracks}")

    def close(self) -> None:
        """End it in whatever state it is."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._server is not None:
            self._server.kill9()
        self.is_up = False

    def crash(self, torn: float | None, before: int) -> int:
        """The machine dies: what was not on its disk is gone; gives how many bytes that were.

        `torn` (0 to 1): the last exchange, before which the file was `before` long, was not
        answered, and only that part of what it wrote has come to the disk.
        """
        self.close()
        size = self._size()
        kept = size
        if self._fsync != "always":
            kept = self._on_disk[1]
        elif torn is not None:
            kept = before + int((size - before) * torn)
        if kept < size:
            with self._path.open("r+b") as file:
                file.truncate(kept)
        return size - kept

    @property
    def written(self) -> int:
        """How long the file is."""
        return self._size()

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands as they are and read their replies."""
        return self._exchange(commands)

    def look(self) -> Served:
        """Where Redis is, and what all keys hold."""
        (looked,) = self._exchange([("EVALSHA", self._look, "0", "")])
        return self._served([], looked)

    def serve(self, commands: Sequence[Sequence[bytes]]) -> Served:
        """Run what a client sent, by the simulated clock."""
        replies: list[Any] = [None] * len(commands)
        sent, places, only_reads = [], [], True
        for place, command in enumerate(commands):
            known = self._answered_here(command)
            if known is None and only_reads:
                only_reads = command[0] in _READS
                known = self._known_reply(command) if only_reads else None
            if known is not None:
                replies[place] = known
                continue
            sent.append(self._timed(command))
            places.append(place)
        if not sent:
            return Served(replies, *self._news, None)
        look = [("EVALSHA", self._look, "0", str(self._news[0]))]
        if only_reads:
            answers, looked = self._exchange(sent), None
        else:
            *answers, looked = self._exchange([*sent, *look])
        for place, reply in zip(places, answers, strict=True):
            command = commands[place]
            if isinstance(reply, set | list) and command[0] == b"SMEMBERS":
                reply = type(reply)(sorted(reply))  # Redis gives them in any order
            replies[place] = reply
            self._note_loaded(command, reply)
            if only_reads:
                self._note_reply(command, reply)
        if looked is None:
            return Served(replies, *self._news, None)
        self._flush()
        return self._served(replies, looked)

    def _served(self, replies: list[Any], looked: Sequence[Any]) -> Served:
        commits, last_event, found = looked
        self._news = int(commits), last_event
        return Served(replies, *self._news, found)

    def _known_reply(self, command: Sequence[bytes]) -> Any:
        known = self._known.get(_key_of(command))
        return _copied(known.get(tuple(command))) if known else None

    def _note_reply(self, command: Sequence[bytes], reply: Any) -> None:
        if command[0] in _READS and not isinstance(reply, Exception):
            self._known.setdefault(_key_of(command), {})[tuple(command)] = _copied(reply)

    def name_of(self, command: Sequence[bytes]) -> str:
        """What a trace calls a command."""
        if command[0] == b"EVALSHA":
            return self._names.get(command[1], "a script")
        return " ".join(word[:60].decode(errors="replace") for word in command[:2])

    def name_scripts(self, scripts: dict[str, tuple[str, str]]) -> None:
        """Tell the names of scripts by their digests."""
        self._names = {digest.encode(): name for name, (digest, _) in scripts.items()}

    def _answered_here(self, command: Sequence[bytes]) -> Any:
        if command[0] == b"TIME":
            return self._time()
        if command[:2] == [b"SCRIPT", b"LOAD"]:
            return self._loaded.get(command[2])
        return None

    def _note_loaded(self, command: Sequence[bytes], reply: Any) -> None:
        if command[:2] == [b"SCRIPT", b"LOAD"] and isinstance(reply, str):
            self._loaded[command[2]] = reply

    def _time(self) -> list[str]:
        now_us = int(self.now_s() * 1e6)
        return [str(now_us // 1_000_000), str(now_us % 1_000_000)]

    def _timed(self, command: Sequence[bytes]) -> Command:
        return [*command, *self._time()] if command[0] == b"EVALSHA" else command

    def _flush(self) -> None:
        """Where Redis does not write through, the disk has what the kernel took there."""
        every = _FSYNC_EVERY_S.get(self._fsync)
        if every is not None and self.now_s() - self._on_disk[0] >= every:
            self._on_disk = (self.now_s(), self._size())

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        if self._socket is None or self._reader is None:
            raise AssertionError("Redis is down")
        self._socket.sendall(b"".join(map(hiredis.pack_command, map(tuple, commands))))
        replies = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise AssertionError("Redis has ended by itself")
                self._reader.feed(data)
                continue
            if isinstance(reply, hiredis.PushNotification):
                self._forget(reply)
                continue
            replies.append(reply)
        return replies

    def _forget(self, told: Sequence[Any]) -> None:
        """Keys have changed: their replies are known no more."""
        kind, keys = told
        if kind != "invalidate" or keys is None:
            self._known.clear()
            return
        for key in keys:
            self._known.pop(key.encode(errors="surrogateescape"), None)

    @property
    def _path(self) -> Path:
        if self._server is None:
            raise AssertionError("begin comes first")
        return self._server.folder / _PATH

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def _key_of(command: Sequence[bytes]) -> bytes:
    """The key that a read reads: the first argument, but of XREAD … STREAMS key id."""
    return command[-2] if command[0] == b"XREAD" else command[1]


def _copied(reply: Any) -> Any:
    """A reply of its own for each who asks."""
    if isinstance(reply, list):
        return [_copied(each) if isinstance(each, list | dict) else each for each in reply]
    if isinstance(reply, dict):
        return {
            name: _copied(each) if isinstance(each, list | dict) else each
            for name, each in reply.items()
        }
    return set(reply) if isinstance(reply, set) else reply
