"""Joining through Redis: machines without credentials ask, and get a user of their own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis.exceptions import RedisError

from headrace_adapters.redis.acl import AGENT, JOIN, JOIN_CHANNEL, agent_user, user_of
from headrace_adapters.redis.channels import heard
from headrace_adapters.redis.connection import Redis
from headrace_model.errors import Unavailable
from headrace_model.ids import NodeId
from headrace_model.node import JoinRequest
from headrace_model.status import Role
from headrace_wire.records import encode

_PREFIX: Final = f"{AGENT}-"
_SAVE: Final = ("ACL", "SAVE")


async def ask_to_join(url: str, secret_file: Path, request: JoinRequest) -> bool:
    """Ask once; tells whether somebody heard it. `url` is that of the agent's own user.

    Raises `Denied` where the join secret is wrong, `Unavailable`.
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    redis = Redis(urlunsplit(parts._replace(netloc=f"{JOIN}@{place}")), password_file=secret_file)
    try:
        # Not by `command`: this user may load no scripts.
        return bool(await redis.client.publish(JOIN_CHANNEL, encode(request)))
    except (RedisError, OSError) as error:
        if denied := redis.denied(error, "PUBLISH"):
            raise denied from None
        raise Unavailable(f"Redis does not answer: {error}") from None
    finally:
        await redis.close()


class JoinStore:
    """What the cluster agent does about agents' users.

    What changes them is given the term of who leads, and raises `Fenced` where another does: a
    leader that slept must let in nobody whom the next one has put out.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def requests(self) -> AsyncIterator[str]:
        """Yield what is asked (JSON, by anybody with the join secret) for ever.

        What is asked while nobody hears is lost: it is asked again.
        """
        async with aclosing(heard(self._redis, JOIN_CHANNEL)) as messages:
            async for message in messages:
                if message["type"] == "message":
                    yield str(message["data"])

    async def passwords(self, node: str) -> Sequence[str] | None:
        """The SHA-256 of the passwords of a node's agent; None where it is no user."""
        found = await self._acl("GETUSER", user_of(AGENT, node))
        return [str(each).removeprefix("#") for each in found["passwords"]] if found else None

    async def admit(self, node: str, digests: Sequence[str], term: int) -> None:
        """Make the agent of a node a user that may do what this version's agents need."""
        user = agent_user(node, digests, await self._version())
        await self._redis.fenced(Role.CLUSTER, term, user, _SAVE)

    async def nodes(self) -> list[str]:
        """The nodes whose agents are users."""
        users = await self._acl("USERS")
        return [str(each).removeprefix(_PREFIX) for each in users if each.startswith(_PREFIX)]

    async def removed(self) -> list[NodeId]:
        """Nodes that an admin removed, and whose agents are to be let in no more."""
        return sorted(map(NodeId, await self._redis.command("SMEMBERS", "hr:removed")))

    async def revoke(self, node: NodeId, term: int) -> None:
        """End the connections of a node's agent, and let it in no more; a repeat is success."""
        user = ("ACL", "DELUSER", user_of(AGENT, node))
        await self._redis.fenced(Role.CLUSTER, term, user, _SAVE)
        # Apart from these: a file that could not be written must be tried again.
        await self._redis.fenced(Role.CLUSTER, term, ("SREM", "hr:removed", node))

    async def _acl(self, *words: str) -> Any:
        """Send an ACL command; raises `Unavailable` where Redis refuses it."""
        try:
            return await self._redis.command("ACL", *words)
        except RedisError as error:
            raise Unavailable(f"Redis refuses ACL {words[0]}: {error}") from None

    async def _version(self) -> tuple[int, ...]:
        found = await self._redis.command("INFO", "server")
        return tuple(int(part) for part in str(found["redis_version"]).split("."))
