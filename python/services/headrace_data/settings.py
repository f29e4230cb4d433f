"""The settings of the data service."""

from dataclasses import dataclass
from pathlib import Path

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(CommonSettings):
    """What the data service needs besides what every service does."""

    store_dir: Path = setting("Folder of the object store.")
    item_limit_bytes: int = setting("The largest file that can be uploaded.", 200 * 2**30)
    dataset_limit_items: int = setting("How many files a dataset may have.", 200_000)
    free_limit_bytes: int = setting(
        "Uploads are refused while the store's disk has less room than this.", 512 * 2**20
    )
    spool_keep_s: float = setting("How long an unfinished upload can be resumed.", 7 * 86_400.0)
    catalogue_sweep_s: float = setting("How often the whole catalogue is read again.", 300.0)
    node_python: str = setting(
        "Python version (major.minor) that environments of jobs are resolved for; empty: this "
        "service's own.",
        "",
    )
    node_platform: str = setting(
        "Platform that environments are resolved for, such as linux_x86_64; empty: this "
        "service's own.",
        "",
    )
