"""The network between the services and Redis: it delays, drops and cuts by its seed.

The seam is the library's connection, the lowest there is: all of our own code above it runs as it
is. A connection keeps its order, as TCP does; between connections there is none.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import hiredis
import redis.asyncio.connection as library
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tests.support.simulation.loop import PROCESS, Process, SimulatedLoop
from tests.support.simulation.redis_host import RedisHost, Served
from tests.support.simulation.trace import Trace

Commands = list[list[bytes]]
_SCRIPTS_BYTES = 500_000  # all scripts, which each service loads again, are more than this


@dataclass(slots=True)
class NetFaults:
    """How often (0 to 1, an exchange) something goes wrong; all 0 once faults have stopped."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    cut_within: float = 0.0  # of a pipeline only the first commands run
    slow: float = 0.0  # seconds, not milliseconds
    late_leader: float = 0.0  # what a leader writes arrives when its lease is over
    late_agent: float = 0.0  # what an agent writes, when it has died and another serves the node
    silent: float = 0.0  # neither an answer nor the news that there will be none
    lost_hint: float = 0.0  # an event that a reader does not get
    refused: float = 0.0  # a new connection
    redis_dies: float = 0.0  # between execution and answer
    sender_dies: float = 0.0  # when its script has run, before it hears of that
    sender_pauses: float = 0.0
    lost_http: float = 0.0  # a request between services, or of a user, or its answer


@dataclass(slots=True, eq=False)
class _Pipe:
    """One connection, from its making to its end."""

    number: int
    process: Process | None
    replies: deque[Any] = field(default_factory=deque)
    waiter: "asyncio.Future[None] | None" = None
    is_open: bool = True  # for the client
    broken: bool = False
    free_at: float = 0.0  # nothing arrives before what was sent earlier
    answered_at: float = 0.0
    blocked: tuple[list[bytes], float] | None = None  # a blocking read, and until when

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Network:
    """Carries exchanges to Redis. `after_step` is called when Redis has run some commands."""

    def __init__(
        self,
        loop: SimulatedLoop,
        host: RedisHost,
        trace: Trace,
        chance: Random,
        after_step: Callable[[Commands, Served], None],
    ) -> None:
        self.faults = NetFaults()
        self.host = host
        self.on_death: Callable[[], None] = lambda: None
        self.strike: Callable[[str, str], None] = lambda fault, process: None
        self.steps = 0
        self.counts: dict[str, int] = {}
        self._loop = loop
        self._trace = trace
        self._chance = chance
        self._after_step = after_step
        self._numbers = 0
        self._pipes: list[_Pipe] = []
        self._last_event = ""
        self._scripts: tuple[bytes, tuple[list[bytes], ...]] = (b"", ())  # as services load them

    async def connect(self) -> _Pipe:
        """A new connection of the process that asks."""
        await asyncio.sleep(self._delay())
        if not self.host.is_up or self.happens("refused"):
            raise RedisConnectionError("Connection refused.")
        self._numbers += 1
        pipe = _Pipe(self._numbers, PROCESS.get())
        self._pipes.append(pipe)
        return pipe

    def send(self, pipe: _Pipe, packed: bytes) -> None:
        """Take what a client wrote; it may have written too late."""
        if pipe.broken:
            return
        commands = self._unpacked(packed)
        if self.happens("lost_request"):
            self._loop.later(self._delay(), self._break, pipe, "request lost")
            return
        at = max(self._loop.now_s + self._delay(), pipe.free_at)
        if b'"term":' in packed and self.happens("late_leader"):
            at += self._chance.uniform(5.0, 15.0)
        if b'"incarnation":' in packed and pipe.process and self.happens("late_agent"):
            at += self._chance.uniform(2.0, 8.0)
            self.strike("sender_dies", pipe.process.name)
        pipe.free_at = at
        self._loop.later(at - self._loop.now_s, self._arrive, pipe, commands)

    def _unpacked(self, packed: bytes) -> Commands:
        if packed == self._scripts[0]:
            return list(self._scripts[1])
        reader = hiredis.Reader()
        reader.feed(packed)
        commands: Commands = []
        while (command := reader.gets()) is not False:
            commands.append(command)
        if len(packed) > _SCRIPTS_BYTES:
            self._scripts = (packed, tuple(commands))
        return commands

    def close(self, pipe: _Pipe) -> None:
        """The client gives the connection up: what it has sent may arrive all the same."""
        if pipe.is_open:
            pipe.is_open = False
            pipe.blocked = None
            self._drop(pipe)

    def crash(self, process: Process) -> None:
        """The connections of a process that has died."""
        for pipe in list(self._pipes):
            if pipe.process is process:
                self.close(pipe)

    def redis_died(self) -> None:
        """Redis was killed: all its connections break."""
        for pipe in list(self._pipes):
            self._loop.later(self._delay(), self._break, pipe, "Redis died")

    def _drop(self, pipe: _Pipe) -> None:
        if pipe in self._pipes:
            self._pipes.remove(pipe)

    def _break(self, pipe: _Pipe, why: str) -> None:
        if pipe.broken:
            return
        pipe.broken = True
        pipe.blocked = None
        self._drop(pipe)
        if pipe.is_open:
            self._say(pipe, f"cut: {why}")
        pipe.wake()

    def _arrive(self, pipe: _Pipe, commands: Commands) -> None:
        if pipe.broken:
            return
        if not self.host.is_up:
            self._break(pipe, "Redis is down")
            return
        if not pipe.is_open and self._chance.random() < 0.5:
            return
        if self.happens("cut_within"):
            some = self._chance.randrange(len(commands) + 1)
            if some:
                self._run(pipe, commands[:some])
            self._loop.later(self._delay(), self._break, pipe, f"after {some} commands")
            return
        # Redis reads what has come so far: others may come between the commands of a pipeline.
        if len(commands) > 1 and self._chance.random() < 0.1:
            first = self._chance.randrange(1, len(commands))
            before = self._run(pipe, commands[:first])
            if before is None:
                return
            pipe.free_at = max(pipe.free_at, self._loop.now_s + 0.001)
            self._loop.later(0.001, self._finish, pipe, commands[first:], before)
            return
        self._finish(pipe, commands, [])

    def _finish(self, pipe: _Pipe, commands: Commands, before: list[Any]) -> None:
        if pipe.broken:
            return
        if not self.host.is_up:
            self._break(pipe, "Redis is down")
            return
        if commands[0][:2] == [b"XREAD", b"BLOCK"]:
            until = self._loop.now_s + int(commands[0][2]) / 1000
            pipe.blocked = ([b"XREAD", *commands[0][3:]], until)
            self._loop.later(int(commands[0][2]) / 1000, self._unblock, pipe, until)
            if commands[0][-1].decode() != self._last_event:
                self._read_blocked([pipe])
            return
        replies = self._run(pipe, commands)
        if replies is None:
            return
        if self.happens("lost_answer"):
            self._loop.later(self._delay(), self._break, pipe, "answer lost")
            return
        if self.happens("silent"):
            self._say(pipe, "falls silent")
            return
        self._answer(pipe, before + replies)

    def _run(self, pipe: _Pipe, commands: Commands) -> list[Any] | None:
        """One step of Redis; None where it died before it could answer."""
        dies = self.happens("redis_dies")
        before = self.host.written if dies else 0
        served = self.host.serve(commands)
        replies = served.replies
        self.steps += 1
        self._say(pipe, "; ".join(map(self._told, commands, replies)))
        if dies:
            self._trace.say("redis    dies before it answers")
            self.host.crash(self._chance.choice((None, 0.0, self._chance.random())), before)
            self.on_death()
            return None
        self._after_step(commands, served)
        if pipe.process is not None and any(command[0] == b"EVALSHA" for command in commands):
            for fault in ("sender_dies", "sender_pauses"):
                if self.happens(fault):
                    self.strike(fault, pipe.process.name)
        if served.last_event != self._last_event:
            self._last_event = served.last_event
            self._read_blocked([each for each in self._pipes if each.blocked])
        return replies

    def _read_blocked(self, pipes: list[_Pipe]) -> None:
        """Answer the blocking reads for which something has come."""
        if not pipes:
            return
        asked = [pipe.blocked[0] for pipe in pipes if pipe.blocked]
        for pipe, reply in zip(pipes, self.host.serve(asked).replies, strict=True):
            if not reply:
                continue
            pipe.blocked = None
            self._answer(pipe, [self._hints(pipe, reply)])

    def _hints(self, pipe: _Pipe, reply: Any) -> Any:
        """What of the events reaches the reader: of a lost one no more than that there was one."""
        for entries in reply.values():
            for entry in entries:
                if self.happens("lost_hint"):
                    self._say(pipe, f"never hears of {entry[0]} {entry[1]}")
                    entry[1] = ["kind", "lost"]
        return reply

    def _unblock(self, pipe: _Pipe, until: float) -> None:
        if pipe.blocked is not None and pipe.blocked[1] == until and not pipe.broken:
            pipe.blocked = None
            self._answer(pipe, [None])

    def _answer(self, pipe: _Pipe, replies: list[Any]) -> None:
        at = max(self._loop.now_s + self._delay(), pipe.answered_at)
        pipe.answered_at = at
        self._loop.later(at - self._loop.now_s, self._deliver, pipe, replies)

    def _deliver(self, pipe: _Pipe, replies: list[Any]) -> None:
        if not pipe.broken and pipe.is_open:
            pipe.replies.extend(replies)
            pipe.wake()

    def _delay(self) -> float:
        if self.happens("slow"):
            return self._chance.uniform(0.1, 12.0)
        return min(self._chance.expovariate(1 / 0.001), 0.05)

    def happens(self, fault: str) -> bool:
        """Tell whether a fault of this kind is to happen now."""
        likely: float = getattr(self.faults, fault)
        if likely and self._chance.random() < likely:
            self.counts[fault] = self.counts.get(fault, 0) + 1
            return True
        return False

    def _told(self, command: Sequence[bytes], reply: Any) -> str:
        name = self.host.name_of(command)
        if command[0] == b"EVALSHA":
            return f"{name} {command[3].decode()} -> {reply}"
        if command[:2] == [b"SCRIPT", b"LOAD"]:
            return "SCRIPT LOAD"
        return f"{name} -> {len(reply) if isinstance(reply, dict | list) else reply}"

    def _say(self, pipe: _Pipe, text: str) -> None:
        name = pipe.process.name if pipe.process else "-"
        self._trace.say(f"{name:8} #{pipe.number} {text}")


class _Now:
    network: Network | None = None


def use(network: Network) -> None:
    """From now on connections are made in this network."""
    _Now.network = network
    library.UnixDomainSocketConnection = SimulatedConnection


class SimulatedConnection(library.AbstractConnection):
    """What the library takes for a connection."""

    def __init__(self, *, path: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        self._pipe: _Pipe | None = None

    def repr_pieces(self) -> list[tuple[str, str]]:
        """As the library asks of each connection."""
        return [("path", self.path)]

    @property
    def is_connected(self) -> bool:
        """Tell whether the client thinks so."""
        return self._pipe is not None

    async def connect(self) -> None:
        """Connect, unless it is."""
        if self._pipe is None:
            self._pipe = await _network().connect()

    async def disconnect(self, *_: Any, **__: Any) -> None:
        """Give it up."""
        if self._pipe is not None:
            _network().close(self._pipe)
            self._pipe = None

    async def can_read(self) -> bool:
        """Tell whether something lies there that nobody asked for."""
        return bool(self._pipe and (self._pipe.replies or self._pipe.broken))

    can_read_destructive = can_read

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Write commands."""
        if self._pipe is None:
            await self.connect()
        if self._pipe is None:
            raise AssertionError("connected and yet not")
        if self._pipe.broken:
            await self.disconnect()
            raise RedisConnectionError("Connection closed by server.")
        data = command if isinstance(command, bytes) else b"".join(command)
        _network().send(self._pipe, data)

    async def send_command(self, *args: Any, **_: Any) -> None:
        """Write one command."""
        await self.send_packed_command(self.pack_command(*args))

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read the next reply."""
        if any(args) or options.get("timeout", math.inf) not in (None, math.inf):
            raise NotImplementedError("nothing that is simulated reads so")
        pipe = self._pipe
        if pipe is None:
            raise RedisConnectionError("Connection closed by server.")
        while not pipe.replies:
            if pipe.broken:
                await self.disconnect()
                raise RedisConnectionError("Connection closed by server.")
            pipe.waiter = asyncio.get_running_loop().create_future()
            await pipe.waiter
        reply = pipe.replies.popleft()
        if isinstance(reply, ResponseError):
            raise reply
        return reply


def _network() -> Network:
    if _Now.network is None:
        raise AssertionError("no network is in use")
    return _Now.network
