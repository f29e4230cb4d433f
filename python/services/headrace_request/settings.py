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
    jobs_limit: int = setting("Most jobs in one submitted list.", 1000)
    requests_limit: int = setting("Most requests that are answered at the same time.", 1000)
    logs_limit: int = setting("Most log streams that are read at the same time.", 200)
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
    token_cache_s: float = setting(
        "How long a token's user is remembered, so how late a revocation may act, in seconds.", 5.0
    )
