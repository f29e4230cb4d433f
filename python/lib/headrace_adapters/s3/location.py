"""Where an S3 store is, and who may use it."""

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput, InvalidName

SCHEME: Final = "s3://"
_AMAZON: Final = "s3.amazonaws.com"
_SHAPE: Final = "s3://[host:port/]bucket[/prefix]"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
_ADDRESS: Final = re.compile(rf"(?P<scheme>https?)://(?P<endpoint>{_ENDPOINT.pattern})/?")
_OWN_HOSTS: Final = frozenset({"localhost", "[::1]"})
_CREDENTIALS_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket on a server, and the prefix (perhaps empty) below which all keys lie."""

    endpoint: str  # host or host:port
    bucket: str
    prefix: str
    region: str
    tls: bool

    def __str__(self) -> str:
        return f"{SCHEME}{self.endpoint}/{self.bucket}" + (self.prefix and f"/{self.prefix}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the server knows us by."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def parse_location(url: str, *, endpoint: str = "", region: str = "", tls: str = "") -> Location:
    """Read `s3://[host:port/]bucket[/prefix]`.

    A first part with a colon is the server. Else it is `endpoint`, else Amazon's. `tls` is yes,
    no, or empty: no for this machine's own addresses, yes for all others. Raises `InvalidInput`.
    """
    if not url.startswith(SCHEME):
        raise InvalidInput(f"the store {url!r} is not {_SHAPE}")
    first, _, rest = url.removeprefix(SCHEME).strip("/").partition("/")
    if ":" in first:
        endpoint, (bucket, _, prefix) = first, rest.partition("/")
    else:
        bucket, prefix = first, rest
    endpoint = endpoint or _AMAZON
    if not _ENDPOINT.fullmatch(endpoint) or not _BUCKET.fullmatch(bucket):
        raise InvalidInput(
            f"the store {url!r} names no bucket at a server: {_SHAPE}",
            hint="a bucket has 3 to 63 small letters, digits, dots and dashes",
        )
    if tls not in ("", "yes", "no"):
        raise InvalidInput(f"store_tls is {tls!r}, not yes, no or empty")
    if prefix:
        try:
            check_item_path(prefix)
        except InvalidName as error:
            raise InvalidInput(f"the prefix of the store {url!r}: {error.message}") from None
    return Location(
        endpoint=endpoint,
        bucket=bucket,
        prefix=prefix,
        region=region or "us-east-1",
        tls=tls == "yes" or (tls == "" and not _is_own(endpoint)),
    )


def parse_address(text: str) -> tuple[str, bool]:
    """Read `http[s]://host[:port]`, by which clients reach the server: host[:port], whether TLS.

    Raises `InvalidInput`.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"store_direct is {text[:80]!r}, not http[s]://host[:port]",
            hint="name the address by which clients reach the S3 server, or leave it empty",
        )
    return found["endpoint"], found["scheme"] == "https"


def read_credentials(path: Path) -> Credentials:
    """Read a JSON file `{"access_key": …, "secret_key": …}`, perhaps with a `session_token`.

    Raises `InvalidInput`: it is missing, wrong, or others than its owner may read it.
    """
    hint = f'write {{"access_key": "…", "secret_key": "…"}} to {path}, mode 0600'
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(
            f"the store's credentials {path} can't be read: {error.strerror}", hint=hint
        ) from None
    with open(file, encoding="utf-8") as reader:
        known = os.fstat(file)
        if not stat.S_ISREG(known.st_mode) or stat.S_IMODE(known.st_mode) & 0o077:
            raise InvalidInput(
                f"the store's credentials {path} may be read by others than its owner",
                hint=f"chmod 600 {path}",
            )
        try:
            found = json.loads(reader.read(_CREDENTIALS_BYTES))
            return Credentials(
                _word(found["access_key"]),
                _word(found["secret_key"]),
                _word(found["session_token"]) if "session_token" in found else None,
            )
        except (ValueError, TypeError, KeyError):
            # Without the cause: a JSON error would quote the file.
            raise InvalidInput(f"{path} holds no credentials of a store", hint=hint) from None


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("not a word")
    return value.strip()


def _is_own(endpoint: str) -> bool:
    host = endpoint if endpoint.endswith("]") else endpoint.rpartition(":")[0] or endpoint
    return host in _OWN_HOSTS or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
