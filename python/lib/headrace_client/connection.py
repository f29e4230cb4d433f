"""Where the server is and which token to show: options, environment, logins, this machine.

`headrace local up` writes client.json {url, token_file} into its state folder: HEADRACE_HOME, else
`$XDG_DATA_HOME/headrace`, else `~/.local/share/headrace`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from yarl import URL

from headrace_client.logins import login_at
from headrace_model.errors import InvalidInput, Unauthorized

_NEXT = "start one with `headrace local up`, or name one with --url or HEADRACE_URL"


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address (`http://host:port`) and the token to show it.

    `url` may be several addresses of one Headrace, apart by commas: where one does not answer the
    next is asked.
    """

    url: str
    token: str = field(repr=False)
    ca_file: str | None = None
    """The CA (PEM) that vouches for an https server; None: those of this machine."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Each address, the one to ask first in front."""
        return tuple(self.url.split(","))


def state_folder(environ: Mapping[str, str]) -> Path:
    """The state folder of `headrace local`."""
    if home := environ.get("HEADRACE_HOME"):
        return Path(home)
    data = Path(environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "headrace"


def find_server(url: str | None, environ: Mapping[str, str]) -> str:
    """Find the server's address, or several apart by commas, without slashes at their ends.

    Raises `InvalidInput`.
    """
    url = url or environ.get("HEADRACE_URL") or _local(environ).get("url")
    if url is None:
        raise InvalidInput("no Headrace is known on this machine", hint=_NEXT)
    addresses = [each.strip().rstrip("/") for each in url.split(",")]
    for each in addresses:
        if not each.startswith(("http://", "https://")) or not _has_host(each):
            raise InvalidInput(
                f"{each!r} is not an address of a server", hint="write http://host:port"
            )
    if len({URL(each).scheme for each in addresses}) > 1:
        raise InvalidInput(
            f"{url!r} mixes http and https", hint="all addresses of a server speak the same"
        )
    return ",".join(addresses)


def find_ca_file(ca_file: str | None, url: str, environ: Mapping[str, str]) -> str | None:
    """Find the file with the CA for a server: the option, the environment, this machine's own."""
    given = ca_file or environ.get("HEADRACE_CA_FILE")
    local = _local(environ)
    if given or url.rstrip("/") != local.get("url", "").rstrip("/"):
        return given
    return local.get("ca_file")


def find_connection(
    url: str | None, token_file: str | None, environ: Mapping[str, str]
) -> Connection:
    """Find the server and token. Raises `InvalidInput` (no server), `Unauthorized` (no token).

    A token that `headrace login` keeps for the server goes before that of this machine's admin.
    """
    server = find_server(url, environ)
    file = find_token_file(server, token_file, environ)
    given = environ.get("HEADRACE_TOKEN") if file is None else None
    token = _read(file) if given is None else given
    return Connection(server, _one_line(token))


def find_token_file(server: str, token_file: str | None, environ: Mapping[str, str]) -> str | None:
    """The file that the token for a server is read from; None: HEADRACE_TOKEN, or nowhere."""
    if given := token_file or environ.get("HEADRACE_TOKEN_FILE"):
        return given
    if environ.get("HEADRACE_TOKEN") is not None:
        return None
    login = login_at(server, environ)
    if login.token() is not None:
        return str(login.file)
    local = _local(environ)
    return local.get("token_file") if server == local.get("url", "").rstrip("/") else None


def choose_connection(
    url: str | None, token: str | None, ca_file: str | None, environ: Mapping[str, str]
) -> Connection:
    """Take what is given, and find the rest; raises as `find_connection`."""
    if token is None:
        found = find_connection(url, None, environ)
    else:
        found = Connection(find_server(url, environ), token)
    return replace(found, ca_file=find_ca_file(ca_file, found.url, environ))


def _has_host(url: str) -> bool:
    try:
        return bool(URL(url).host)
    except ValueError:  # for example a port above 65,535
        return False


def _local(environ: Mapping[str, str]) -> Mapping[str, str]:
    try:
        plain = json.loads((state_folder(environ) / "client.json").read_text())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in plain.items() if isinstance(v, str)} if type(plain) is dict else {}


def _read(token_file: str | None) -> str:
    if token_file is None:
        raise Unauthorized(
            "you are not logged in, and no token is given",
            hint="`headrace login`; or use --token-file, HEADRACE_TOKEN_FILE or HEADRACE_TOKEN",
        )
    try:
        return Path(token_file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Unauthorized(f"the token file {token_file} can't be read: {why}") from None


def _one_line(token: str) -> str:
    """A token as a header carries it; raises `Unauthorized` for another file's content."""
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise Unauthorized(
            "what is given as the token is none: a token is one line of letters and digits",
            hint="`headrace login` keeps a right one",
        )
    return token
