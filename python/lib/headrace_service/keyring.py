"""The keys that secrets are encrypted with, and the encryption: AES-256-GCM.

The file holds a line `<id> <base64 of 32 bytes>` a key. The first encrypts; the others still open
what was encrypted before the first was put on top. Owner and name are authenticated with each
value, so that a box that is moved to another owner or name in Redis does not open. A box is
`1.<key id>.<base64 of nonce and ciphertext>`; the nonce is 96 random bits, which is safe for
2^32 values under one key (NIST SP 800-38D, section 8.3).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from os import urandom
from pathlib import Path
from stat import S_IMODE
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headrace_model.errors import InvalidInput

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = "1"
_ID: Final = re.compile(r"[a-z0-9]{1,16}")


class Keyring:
    """The keys of one installation, the one that encrypts first. No `repr` shows them."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {id_: AESGCM(key) for id_, key in keys.items()}
        self._first = next(iter(self._keys))

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """Read a key file; raises `InvalidInput` for one that others may read, or a bad line."""
        if S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidInput(
                f"{path.name} can be read by others than its owner", hint=f"chmod 600 {path}"
            )
        keys: dict[str, bytes] = {}
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            id_, _, text = line.strip().partition(" ")
            if not id_:
                continue
            try:
                key = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not _ID.fullmatch(id_) or id_ in keys or len(key) != _KEY_BYTES:
                raise InvalidInput(
                    f"line {number} of {path.name} is no key",
                    hint=f"write `<id> <base64 of {_KEY_BYTES} random bytes>`, each id once",
                )
            keys[id_] = key
        if not keys:
            raise InvalidInput(f"{path.name} holds no key")
        return cls(keys)

    def lock(self, owner: str, name: str, value: bytes) -> str:
        """Encrypt a value of an owner's secret, with the first key."""
        nonce = urandom(_NONCE_BYTES)
        sealed = nonce + self._keys[self._first].encrypt(nonce, value, _bound(owner, name))
        return f"{_VERSION}.{self._first}.{base64.b64encode(sealed).decode()}"

    def unlock(self, owner: str, name: str, box: str) -> bytes:
        """Decrypt a box; raises `InvalidInput` where no key opens it, or it was changed."""
        version, _, rest = box.partition(".")
        id_, _, text = rest.partition(".")
        try:
            if version != _VERSION:
                raise KeyError(version)
            sealed = base64.b64decode(text, validate=True)
            return self._keys[id_].decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(owner, name)
            )
        except (KeyError, ValueError, InvalidTag):
            raise InvalidInput(
                f"secret {name} of {owner} can't be opened: it was encrypted with a key that this "
                "Headrace no longer has, or was changed",
                hint=f"its owner sets it again: `headrace secrets set {name}`",
            ) from None


def new_key(id_: str = "k1") -> str:
    """A line for a new key file."""
    return f"{id_} {base64.b64encode(urandom(_KEY_BYTES)).decode()}\n"


def _bound(owner: str, name: str) -> bytes:
    """What a box is bound to. Neither owner nor name can hold a slash."""
    return f"headrace secret/{owner}/{name}".encode()
