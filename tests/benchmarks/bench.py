"""What every benchmark gets to work with."""

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers import Peers
from tests.support.redis_server import RedisServer, find_redis_server


class NotHere(Exception):
    """A benchmark can't run on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Bench:
    """`folder` is empty, the benchmark's own and short enough for sockets; `seconds` is about
    how long it may measure."""

    folder: Path
    seconds: float
    peers: Peers

    def redis(self, name: str) -> RedisServer:
        """A private server that fsyncs each write before its answer; raises `NotHere`."""
        binary = find_redis_server()
        if binary is None:
            raise NotHere("there is no redis-server: `apt-get install redis-server`")
        folder = self.folder / name
        folder.mkdir()
        return RedisServer(binary, folder)
