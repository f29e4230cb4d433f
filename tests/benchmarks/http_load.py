"""Load on an HTTP address: what a request is on the wire, and little of what a library adds.

The load counts in what is measured, because client, service and Redis share the machine. Each
request is written anew and each answer is read to its end and checked.
"""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self


class Caller:
    """One connection that is kept: one request at a time. `async with` it."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """Send JSON with an idempotency key and read the answer, which must be a 201."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}Idempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        status, *headers = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        (size,) = [int(line[15:]) for line in headers if line.startswith(b"content-length:")]
        answer = await self._reader.readexactly(size)
        if not status.startswith(b"http/1.1 201 "):
            raise RuntimeError(f"{status.decode()}: {answer[:300].decode()}")
        return json.loads(answer)
