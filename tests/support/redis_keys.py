"""Looking at all keys of a test's Redis, and putting them back."""

from collections.abc import Mapping
from typing import Any

import redis

# Raised or added to by every commit; a repeated call may do so without changing anything.
COUNTED = frozenset({"hr:commits", "hr:events"})
_END = "end of what is watched"


class Keys:
    """All keys of one Redis server. Its calls block: use it between awaits."""

    def __init__(self, url: str) -> None:
        self._text = redis.Redis.from_url(url, decode_responses=True)
        self._raw = redis.Redis.from_url(url)

    def close(self) -> None:
        self._text.close()
        self._raw.close()

    @property
    def client(self) -> "redis.Redis":
        """A plain client that reads and writes text."""
        return self._text

    def all(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Every key with its whole contents, however they are ordered inside Redis."""
        names = [name for name in self._text.scan_iter(count=1000) if name not in without]
        return {name: self._contents(name) for name in names}

    def _contents(self, name: str) -> Any:
        match self._text.type(name):
            case "string":
                return self._text.get(name)
            case "hash":
                return self._text.hgetall(name)
            case "list":
                return self._text.lrange(name, 0, -1)
            case "set":
                return self._text.smembers(name)
            case "zset":
                return dict(self._text.zrange(name, 0, -1, withscores=True))
            case "stream":
                return self._text.xrange(name)
            case other:
                return other

    def save(self) -> dict[bytes, bytes]:
        """A copy of everything for `put_back`."""
        return {name: self._raw.dump(name) for name in self._raw.scan_iter(count=1000)}

    def put_back(self, saved: Mapping[bytes, bytes]) -> None:
        """Make Redis hold exactly what `save` saw."""
        with self._raw.pipeline(transaction=True) as pipeline:
            pipeline.flushdb()
            for name, contents in saved.items():
                pipeline.restore(name, 0, contents)
            pipeline.execute()

    def spoil(self, name: str) -> None:
        """Put a value of another type than a key has, or should have, in its place."""
        was = self._text.type(name)
        self._text.delete(name)
        if was == "none" and name != "hr:events":
            self._text.xadd(name, {"is": "spoilt"})  # only hr:events is a stream
        elif was == "string":
            self._text.rpush(name, "spoilt")
        else:
            self._text.set(name, "spoilt")


class Watch:
    """The keys that scripts touch between entering and leaving: `touched`."""

    def __init__(self, keys: Keys) -> None:
        self._client = keys.client
        self._monitor = keys.client.monitor()
        self.touched: set[str] = set()

    def __enter__(self) -> "Watch":
        self._monitor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.echo(_END)
        while True:
            seen = self._monitor.next_command()
            if _END in seen["command"]:
                break
            if seen["client_type"] == "lua":
                words = seen["command"].split(" ")
                if words[0].upper() != "TIME":
                    self.touched.add(words[1])
        self._monitor.__exit__(*error)
