"""Sessions: the token of the API, encrypted, in a cookie of the browser. Nothing is kept here."""

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from headrace_model.errors import InvalidInput
from headrace_service.keyring import Keyring

_OWNER: Final = "session"
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in. `own`: the token was made for this session, and ends with it."""

    token: str
    expires_s: float  # by the clock of time.time()
    own: bool

    @property
    def bearer(self) -> dict[str, str]:
        """What a request to the API carries."""
        return {"Authorization": f"Bearer {self.token}"}

    def __repr__(self) -> str:
        return "Session(…)"


def session_of(token: str, expires: str | None, *, own: bool) -> Session:
    """A session with a token; where its end is not known (`expires` None) it lasts a day."""
    ends = datetime.fromisoformat(expires).timestamp() if expires else time.time() + _DAY_S
    return Session(token, ends, own)


class Sessions:
    """Locks sessions into cookies and opens them again, also after a restart."""

    def __init__(self, key_file: Path) -> None:
        self._keyring = Keyring.load(key_file)
        # Browsers keep cookies by host, whatever the port: two of us on one host need two names.
        place = hashlib.sha256(bytes(key_file.absolute())).hexdigest()[:8]
        self.cookie: Final = f"headrace_{place}"

    def lock(self, session: Session) -> str:
        """The value of the cookie."""
        plain = {"token": session.token, "expires_s": session.expires_s, "own": session.own}
        return self._keyring.lock(_OWNER, self.cookie, json.dumps(plain).encode())

    def unlock(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where there is none, it is not ours, or it is over."""
        if not cookie:
            return None
        try:
            opened = self._keyring.unlock(_OWNER, self.cookie, cookie)
        except InvalidInput:
            return None
        try:
            session = Session(**json.loads(opened))
            return session if session.expires_s > time.time() else None
        except TypeError:
            return None  # another version of us has locked it
