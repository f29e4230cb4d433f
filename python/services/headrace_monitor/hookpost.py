"""Sending a message to a webhook: only to addresses that it may reach, and within limits.

The name is resolved and what it resolves to is checked here; the connection goes to the address
that was checked. So no answer of a name server leads to our own network.
"""

import ipaddress
import socket
import time
from collections.abc import Sequence
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from headrace_model.errors import InvalidInput
from headrace_model.reach import Network, is_literal, may_reach
from headrace_model.webhook import Delivery, Webhook
from headrace_wire.webhooks import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER, signature

_LIMITS: Final = ClientTimeout(total=10.0, connect=5.0)


class NotAllowed(OSError):
    """The address is none that webhooks may reach."""


def read_networks(text: str) -> tuple[Network, ...]:
    """Read the setting: networks with commas between; raises `InvalidInput`."""
    try:
        return tuple(
            ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip()
        )
    except ValueError as error:
        raise InvalidInput(f"webhook_networks: {error}") from None


class _Checked(AbstractResolver):
    """Resolves names, and refuses one that resolves to anything that must not be reached."""

    def __init__(self, networks: Sequence[Network], *, encrypted: bool) -> None:
        self._inner = ThreadedResolver()
        self._networks = networks
        self._encrypted = encrypted

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            if not may_reach(each["host"], self._networks, encrypted=self._encrypted):
                raise NotAllowed("its address is none that webhooks may reach")
        return found

    async def close(self) -> None:
        await self._inner.close()


async def post(hook: Webhook, delivery: Delivery, networks: Sequence[Network]) -> str:
    """Send a message; gives why it did not arrive, or an empty text. No error names the URL."""
    url, body = URL(hook.url), delivery.body.encode()
    encrypted = url.scheme == "https"
    host = url.host or ""
    if is_literal(host) and not may_reach(host, networks, encrypted=encrypted):
        return "its address is none that webhooks may reach"
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "headrace",
        ID_HEADER: delivery.id,
        TIME_HEADER: timestamp,
        SIGNATURE_HEADER: signature(hook.secret, timestamp, body),
    }
    connector = TCPConnector(
        resolver=_Checked(networks, encrypted=encrypted), use_dns_cache=False, force_close=True
    )
    try:
        async with (
            ClientSession(connector=connector, timeout=_LIMITS, trust_env=False) as session,
            # The answer is not read: its status tells all.
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
    except TimeoutError:
        return f"it did not answer within {_LIMITS.total:g} s"
    except (ClientError, OSError, ValueError) as error:
        refused = _cause(error)
        return str(refused) if refused else f"it can't be reached ({type(error).__name__})"


def _cause(error: BaseException | None) -> NotAllowed | None:
    while error is not None:
        if isinstance(error, NotAllowed):
            return error
        error = error.__cause__ or error.__context__
    return None
