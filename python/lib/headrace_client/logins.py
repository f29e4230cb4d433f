"""The tokens that `headrace login` keeps: one file a server, which only its owner can read.

They lie in `$XDG_CONFIG_HOME/headrace/tokens` (0700), else `~/.config/headrace/tokens`, and are
named after the server's whole address: a token is shown to the server that made it, to no other.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from yarl import URL


@dataclass(frozen=True, slots=True)
class Login:
    """Where the token for one server is kept: `file` need not be there."""

    file: Path

    def token(self) -> str | None:
        """The token that is kept; None without one. Raises `OSError` for one that is not mine."""
        try:
            return self.file.read_text().strip()
        except FileNotFoundError:
            return None

    def keep(self, token: str) -> None:
        """Keep a token, in the place of an older one; a crash leaves one of the two, whole."""
        folder = self.file.parent
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        part = folder / f".{token_hex(8)}.part"
        try:
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
            ) as file:
                file.write(token + "\n")
            part.replace(self.file)
        except BaseException:
            with suppress(FileNotFoundError):
                part.unlink()
            raise

    def forget(self) -> None:
        """Remove the token; success if there is none."""
        self.file.unlink(missing_ok=True)


def login_at(url: str, environ: Mapping[str, str]) -> Login:
    """Where the token for a server is kept; `url` is its address, `http://host:port`.

    Of several addresses (`Connection.url`) the first names it.
    """
    config = Path(environ.get("XDG_CONFIG_HOME", ""))
    folder = config if config.is_absolute() else Path.home() / ".config"
    address = URL(url.partition(",")[0])
    name = f"{address.scheme}_{address.host}_{address.port}"
    if path := address.path.strip("/"):
        name += f"_{quote(path, safe='')}"
    return Login(folder / "headrace" / "tokens" / name)
