"""Asking the request service over HTTP, from programs without an event loop."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from secrets import randbelow
from typing import Any, Final

from headrace_local import processes
from headrace_local.config import Config
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError, NotFound, Unavailable

_NO_PROXY: Final = urllib.request.ProxyHandler({})
"""No proxy of the environment: the service listens on this machine."""
_FIRST_PORT: Final = 22_000
_PORTS: Final = 10_000
_GONE: Final = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


def is_ready(home: Home, config: Config, timeout_s: float = 2.0) -> bool:
    """Tell whether our request service answers on the port and is ready.

    That of another home may have taken the port first: it must not be shown our token.
    """
    try:
        with _opener(config).open(f"{config.url}/health/ready", timeout=timeout_s) as answer:
            said = json.load(answer)
    except _GONE:
        return False
    if not isinstance(said, dict) or said.get("service") != "request":
        return False
    # Last, since it looks at all processes of the machine: who waits asks many times.
    ours = processes.find(home.id, "services")
    return any(processes.listens(each.pid, config.port) for each in ours)


def _opener(config: Config) -> urllib.request.OpenerDirector:
    """Trusts the very certificate that our service has, whichever name it is for."""
    if not config.tls_cert:
        return urllib.request.build_opener(_NO_PROXY)
    context = ssl.create_default_context(cafile=config.tls_cert)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return urllib.request.build_opener(_NO_PROXY, urllib.request.HTTPSHandler(context=context))


def post(home: Home, config: Config, path: str, body: dict[str, Any]) -> None:
    """POST to the public API as the first admin.

    Raises `Unavailable` where nobody answers, `NotFound`, `HeadraceError` for other refusals.
    """
    try:
        token = home.admin_token.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFound(f"{home.admin_token} is missing") from None
    request = urllib.request.Request(  # noqa: S310 - http to a port of this machine
        f"{config.url}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with _opener(config).open(request, timeout=10.0):
            return
    except urllib.error.HTTPError as error:
        raise HeadraceError(f"{path} was refused with HTTP status {error.code}") from error
    except _GONE as error:
        raise Unavailable(f"{config.url} does not answer: {error}") from error


def is_free(port: int) -> bool:
    """Tell whether this machine's address can be listened on at this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A port that nobody listens on now.

    It is below those that outgoing connections get, so that none takes it before it is used.
    """
    while not is_free(port := _FIRST_PORT + randbelow(_PORTS)):
        pass
    return port
