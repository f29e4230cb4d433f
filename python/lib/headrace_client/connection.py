"""Where the server is and which token to show: options, then the environment, then this machine.

`headrace local up` writes client.json {url, token_file} into its state folder: HEADRACE_HOME, else
`$XDG_DATA_HOME/headrace`, else `~/.local/share/headrace`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace_model.errors import InvalidInput, Unauthorized

_NEXT = "start one with `headrace local up`, or name one with --url or HEADRACE_URL"


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address (`http://host:port`) and the token to show it."""

    url: str
    token: str = field(repr=False)


def state_folder(environ: Mapping[str, str]) -> Path:
    """The state folder of `headrace local`."""
    if home := environ.get("HEADRACE_HOME"):
        return Path(home)
    data = Path(environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "headrace"


def find_connection(
    url: str | None, token_file: str | None, environ: Mapping[str, str]
) -> Connection:
    """Find the server and token. Raises `InvalidInput` (no server), `Unauthorized` (no token)."""
    url = url or environ.get("HEADRACE_URL")
    token_file = token_file or environ.get("HEADRACE_TOKEN_FILE")
    token = None if token_file else environ.get("HEADRACE_TOKEN")
    local = _local(state_folder(environ) / "client.json")
    if url is None:
        url = local.get("url")
        if url is None:
            raise InvalidInput("no Headrace is known on this machine", hint=_NEXT)
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url!r} is not an address of a server", hint="write http://host:port")
    if (
        token is None
        and token_file is None
        and url.rstrip("/") == local.get("url", "").rstrip("/")
    ):
        token_file = local.get("token_file")
    if token is None:
        token = _read(token_file)
    return Connection(url.rstrip("/"), token.strip())


def _local(path: Path) -> Mapping[str, str]:
    try:
        plain = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in plain.items() if isinstance(v, str)} if type(plain) is dict else {}


def _read(token_file: str | None) -> str:
    if token_file is None:
        raise Unauthorized(
            "no token is given", hint="use --token-file, HEADRACE_TOKEN_FILE or HEADRACE_TOKEN"
        )
    try:
        return Path(token_file).expanduser().read_text()
    except OSError as error:
        raise Unauthorized(
            f"the token file {token_file} can't be read: {error.strerror}"
        ) from None
