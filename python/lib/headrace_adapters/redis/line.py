"""One connection to Redis on which commands are written and their replies read, in order.

It is what the library's pipeline does, at a third of the pipeline's own cost, which counts:
every step of a job is some round trips of one or two commands, and the wake-up of each service.
"""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as aioredis
from hiredis import pack_command
from redis.exceptions import ResponseError


class Line:
    """Holds a connection of the client's pool until an exchange fails or is cancelled.

    For one caller at a time. The next call takes a new connection.
    """

    def __init__(self, client: "aioredis.Redis") -> None:
        self._client = client
        self._pool: Any = client.connection_pool  # the library has no types for it
        self._connection: Any = None

    async def exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands and give their replies; what Redis refuses is its `ResponseError`.

        Raises the library's ConnectionError and OSError; which commands took effect is not known
        then.
        """
        if self._connection is None:
            self._connection = await self._pool.get_connection()
        connection, replies = self._connection, []
        try:
            packed = [b"".join(map(pack_command, commands))]
            await connection.send_packed_command(packed, check_health=False)
            for command in commands:
                try:
                    replies.append(await self._client.parse_response(connection, command[0]))
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            # Replies that nobody read must not be taken for those of later commands.
            self._connection = None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        return replies
