"""How a machine gets credentials of its own: it makes a password, and asks to be let in by it.

The password never leaves the machine; what is sent is its SHA-256.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

from headrace_model.errors import Unavailable
from headrace_model.ids import NodeId
from headrace_model.node import JoinRequest
from headrace_service.logs import logger

_AGAIN_S: Final = 1.0
_PASSWORD_BYTES: Final = 32

Ask = Callable[[JoinRequest], Awaitable[bool]]
TryLogin = Callable[[], Awaitable[bool]]
"""Log in as the agent's own user; False where it is not let in. Raises `Unavailable`."""


def own_password(file: Path) -> bool:
    """Make the file with the machine's password unless it is there; tells whether it is new."""
    if file.exists():
        return False
    part = file.with_name(f"{file.name}.{token_hex(4)}")
    part.touch(mode=0o600)
    part.write_text(token_hex(_PASSWORD_BYTES) + "\n")
    part.rename(file)
    return True


class Joining:
    """Asks until the machine is let in. One that was before and can't reach Redis goes on."""

    def __init__(
        self,
        node: NodeId,
        password_file: Path,
        member: Callable[[], Awaitable[str]],
        try_login: TryLogin,
        ask: Ask,
        *,
        is_new: bool,
    ) -> None:
        self._node = node
        self._password_file = password_file
        self._member = member
        self._try_login = try_login
        self._ask = ask
        self._is_new = is_new
        self._log = logger("agent")

    async def run(self) -> None:
        """Return once the machine is let in. Raises `Denied` where the join secret is wrong."""
        while True:
            try:
                if await self._try_login():
                    return
                await self._ask_once()
            except Unavailable as error:
                if not self._is_new:
                    return
                self._log.warning(f"can't join yet: {error}", action="join")
            await asyncio.sleep(_AGAIN_S)

    async def _ask_once(self) -> None:
        password = self._password_file.read_text().strip()
        digest = sha256(password.encode()).hexdigest()
        heard = await self._ask(JoinRequest(self._node, await self._member(), digest))
        self._is_new = True  # whatever it was before, it is not let in now
        said = "asks to be let in" if heard else "no cluster agent hears that it asks to be let in"
        self._log.info(
            f"{self._node} {said}; where that goes on, the cluster agent's log says why",
            action="join",
            node=self._node,
        )
