"""What resources.yaml says, told by the leading scheduler to those who can't read its file."""

import asyncio
import logging

from headrace_adapters.redis.connection import Redis
from headrace_model.bounds import Bounds
from headrace_model.errors import HeadraceError
from headrace_model.status import Role
from headrace_wire.resourcesfile import parse_resources

_LOG = logging.getLogger(__name__)


class ResourcesStore:
    """The text of the file that plans are bound by, and what it says."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._read: tuple[str, Bounds | None] = "", Bounds()

    async def publish(self, text: str, term: int) -> bool:
        """Tell what the file says (empty: there is none); tells whether that is new.

        Raises `Fenced` for a late leader.
        """
        args = {"role": Role.SCHEDULER, "term": term, "text": text}
        (changed,) = await self._redis.script("publish_resources", args)
        return bool(changed)

    async def get(self) -> Bounds | None:
        """What plans are bound by; None where nobody can know: no scheduler has led yet, or a
        newer one reads files in another form."""
        text = await self._redis.command("HGET", "hr:resources", "text")
        if text is None:
            return None
        if text != self._read[0]:
            self._read = text, await asyncio.to_thread(_parse, text)
        return self._read[1]


def _parse(text: str) -> Bounds | None:
    try:
        return parse_resources(text) if text else Bounds()
    except HeadraceError as error:
        _LOG.error("what the scheduler tells of its resources.yaml can't be read: %s", error)
        return None
