"""The settings of the data service."""

from dataclasses import dataclass

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(CommonSettings):
    """What the data service needs besides what every service does."""

    store: str = setting("The object store: a folder, or s3://[host:port/]bucket[/prefix].")
    store_endpoint: str = setting(
        "S3 server (host or host:port) where `store` names none; empty: Amazon's.", ""
    )
    store_region: str = setting("Region of the S3 bucket.", "us-east-1")
    store_tls: str = setting(
        "Whether S3 is spoken to by TLS: yes, no, or empty: no for this machine's own addresses, "
        "yes for all others.",
        "",
    )
    store_credentials_file: str = setting(
        'File (mode 0600) with {"access_key": …, "secret_key": …} for S3. Only the data service '
        "needs it.",
        "",
    )
    store_part_bytes: int = setting(
        "Larger files go to S3 and back in parts of this size; at least 5 MiB.", 16 * 2**20
    )
    store_parallel: int = setting(
        "How many parts go at a time: the data service holds up to this many in memory.", 4
    )
    store_patience_s: float = setting(
        "How long a call to S3 that fails for now is tried again, in seconds.", 20.0
    )
    store_grant_s: float = setting(
        "How long a URL is valid by which an agent or client reads or writes one object, in "
        "seconds.",
        900.0,
    )
    store_direct: str = setting(
        "The address (http[s]://host[:port]) by which clients reach the S3 server: large files go "
        "between them and the store directly. Empty: all go through the request service.",
        "",
    )
    store_unfinished_s: float = setting(
        "How long an unfinished write to the store is left alone, in seconds: more than the "
        "largest output takes to be uploaded.",
        86_400.0,
    )
    store_unnamed_s: float = setting(
        "How old an object must be, in seconds, before it is removed because nothing names it.",
        86_400.0,
    )
    dataset_undo_days: float = setting(
        "For how many days a deleted dataset can be brought back; its files take room until then. "
        "0: they go at once.",
        7.0,
    )
    import_places: str = setting(
        "Where admins may import datasets from without copying, as name=place with commas "
        "between: a folder of this machine (of each node, where agents read it) or s3://[host:port/]bucket"
        "[/prefix], which the credentials of the store must open. A name stands in what was "
        "imported: it stays, wherever its place moves.",
        "",
    )
    item_limit_bytes: int = setting("The largest file that can be uploaded.", 200 * 2**30)
    dataset_limit_items: int = setting("How many files a dataset may have.", 200_000)
    free_limit_bytes: int = setting(
        "Uploads are refused while the disk of the store or of state_dir has less room than this; "
        "so are seals that must copy files from S3 to read them.",
        512 * 2**20,
    )
    partial_keep_days: float = setting(
        "After how many days what a failed attempt had written is removed; 0: it is not kept.", 3.0
    )
    spool_keep_s: float = setting("How long an unfinished upload can be resumed.", 7 * 86_400.0)
    catalogue_sweep_s: float = setting("How often the whole catalogue is read again.", 300.0)
    retention_days: float = setting(
        "After how many days a job that is over leaves Redis for the archive in the store; "
        "0: never.",
        30.0,
    )
    archive_retention_days: float = setting(
        "After how many days an archived job is removed from the store, with its logs; 0: never.",
        0.0,
    )
    derived_days: float = setting(
        "After how many days a dataset that was derived from others for a job expires: it can be "
        "made again; 0: never.",
        30.0,
    )
    secrets_key_file: str = setting(
        "File (mode 0600) with the keys that secrets are encrypted with; empty: none are kept.", ""
    )
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
