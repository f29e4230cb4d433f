"""Settings of the web GUI. It has no Redis and no internal token: it is a client as others are."""

from dataclasses import dataclass
from pathlib import Path

from headrace_service.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """What the web GUI needs to know."""

    request_url: str = setting("Where the request service listens: http(s)://host:port.")
    session_key_file: Path = setting(
        "File (mode 0600) with the keys that browsers' sessions are encrypted with: a line "
        "`<id> <base64 of 32 bytes>` a key, the newest first."
    )
    listen: str = setting("Where the GUI listens: host:port.", "127.0.0.1:8081")
    request_ca_file: str = setting(
        "File with the CA (PEM) that vouches for the request service; empty: this machine's.", ""
    )
    request_tls_name: str = setting(
        "The name that the request service's certificate is for; empty: that in request_url.", ""
    )
    codes_dir: str = setting(
        "Folder (mode 0700) in which `headrace local` leaves one-time codes to sign in with; "
        "empty: none are taken.",
        "",
    )
    tls_cert_file: str = setting(
        "File with the TLS certificate (PEM, its chain below it); empty: plain HTTP.", ""
    )
    tls_key_file: str = setting("File with the key of that certificate (PEM, mode 0600).", "")
    connections_limit: int = setting("Most connections that are open at the same time.", 2000)
    idle_s: float = setting("How long a connection may be open and ask nothing, in seconds.", 75.0)
    headers_s: float = setting(
        "How long the headers of a connection's first request, and a TLS handshake, may take, "
        "in seconds.",
        20.0,
    )
    log_level: str = setting("debug, info, warning or error.", "info")
