"""Settings of the request service."""

from dataclasses import dataclass

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the request service needs to know."""

    scheduler_url: str = setting(
        "Where the scheduler listens: http://host:port or unix:/path.", ""
    )
    json_limit_bytes: int = setting("Largest JSON body of a request, in bytes.", 8 * 2**20)
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
    jobs_limit: int = setting("Most jobs in one submitted list.", 1000)
    requests_limit: int = setting("Most requests that are answered at the same time.", 1000)
    user_requests_limit: int = setting(
        "Most requests of one user that are answered at the same time.", 250
    )
    logs_limit: int = setting("Most log streams that are read at the same time.", 200)
    user_logs_limit: int = setting(
        "Most log streams of one user that are read at the same time.", 100
    )
    memory_percent: int = setting(
        "Share of Redis's maxmemory from which on no new job is taken, in percent.", 80
    )
    disk_percent: int = setting(
        "Share of the disk from which on no new job is taken, in percent, "
        "unless disk_spare_bytes are still free.",
        80,
    )
    disk_spare_bytes: int = setting(
        "Free bytes that are enough for new jobs however full the disk is; "
        "on a disk of less than five times as much the percentage alone decides.",
        2 * 2**30,
    )
    disk_path: str = setting(
        "A folder on the disk that is watched (Redis's); empty: state_dir.", ""
    )
    user_requests_per_s: int = setting(
        "How many requests a second one user may make for long; more are answered with 429.", 1000
    )
    user_requests_at_once: int = setting(
        "How many requests one user may make at once before the rate above counts.", 5000
    )
    sockets_limit: int = setting("Most WebSockets at the same time.", 1000)
    user_sockets_limit: int = setting("Most WebSockets of one user at the same time.", 50)
    outbox_limit_bytes: int = setting(
        "How much may wait for one WebSocket's reader before it is dropped, in bytes.", 4 * 2**20
    )
    login_days: int = setting("How long a token from a login is good, in days.", 1)
    token_days: int = setting("How long a token may be good that somebody makes, in days.", 365)
    token_cache_s: float = setting(
        "How long a token's user is remembered, so how late a revocation may act, in seconds.", 5.0
    )
    ngen_image: str = setting(
        "The image of ngen for jobs of the kind ngen that name neither image nor executable; "
        "empty: none.",
        "",
    )
    ngen_executable: str = setting(
        "The ngen of such jobs: a path in ngen_image, or on every node; empty: `ngen` of the "
        "image, or none.",
        "",
    )
    ngen_library_root: str = setting(
        "From where the relative paths of libraries count in their realization configs, in the "
        "image or on the nodes: /ngen; empty: they are refused.",
        "",
    )
