"""Calls to an S3 server: again where that may help, and its errors in our words. Blocking."""

import errno
import random
import time
from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError, SSLError

from headrace_adapters.s3.location import Location
from headrace_adapters.threads import Threads
from headrace_model.errors import HeadraceError, NotFound, Unavailable

T = TypeVar("T")
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_SERVER_ERROR: Final = 500
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchObject"})
_REPLACED: Final = "PreconditionFailed"
# Codes below 500 after which the same call may succeed.
_PASSING: Final = frozenset(
    {
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "TooManyRequests",
    }
)
_KEYS: Final = frozenset(
    {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)


class Misconfigured(Unavailable):
    """The server answers, but not with these settings or credentials."""

    code = "STORE_MISCONFIGURED"


class Stopped(Exception):
    """The caller has given up: internal, never seen outside of this package."""


def code_of(error: BaseException) -> str:
    """The S3 error code, empty where there is none."""
    return (error.code or "") if isinstance(error, S3Error) else ""


class Calls:
    """Repeats calls with growing pauses and jitter, until `patience_s` have gone."""

    def __init__(self, location: Location, patience_s: float) -> None:
        self._location = location
        self._patience_s = patience_s

    def again(self, call: Callable[[], T], key: str, stop: Event) -> T:
        """Call until it succeeds; `stop` ends the pauses (`Stopped`).

        Raises `NotFound`, `Misconfigured`, `Unavailable`, `OSError` of this machine's files.
        """
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            if stop.is_set():
                raise Stopped
            try:
                return call()
            except (S3Error, ServerError, InvalidResponseError, HTTPError, OSError) as error:
                left_s = deadline - time.monotonic()
                if not _may_pass(error) or left_s <= 0:
                    raise self._said(error, key) from None
            # Full jitter: many who failed together must not come back together.
            stop.wait(min(left_s, random.uniform(0, pause_s)))  # noqa: S311 - no secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def in_thread(self, threads: Threads, call: Callable[[], T], key: str) -> T:
        """Do the same in a thread; who is cancelled ends the pauses."""
        stop = Event()
        return await threads.run(lambda: self.again(call, key, stop), stop)

    def _said(self, error: Exception, key: str) -> Exception:
        """Say an error in our words; never with a library's text, which may hold a URL."""
        code = code_of(error)
        if code in _GONE:
            return NotFound(f"the store has no object {key}")
        if code == "NoSuchBucket":
            return Misconfigured(
                f"the object store {self._location} has no bucket {self._location.bucket!r}",
                hint="make the bucket, or name another one in the setting `store`",
            )
        if code in _KEYS:
            return Misconfigured(
                f"the object store {self._location} refuses the credentials ({code})",
                hint="look into the file named by the setting `store_credentials_file`: the key "
                "must be right and may read, write, list and delete in the bucket",
            )
        if code == _REPLACED:
            return Unavailable(f"the object {key} was replaced while it was read; try again")
        if isinstance(error, SSLError):
            return Misconfigured(
                f"no TLS connection to the object store {self._location} can be made",
                hint="set `store_tls` to no for a server without TLS, or have this machine trust "
                "the server's certificate",
            )
        return self._away(error, code)

    def _away(self, error: Exception, code: str) -> Exception:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return Unavailable(
                    "the disk is full: an object can't be written to a file",
                    hint="make room; then try again",
                )
            return error
        if isinstance(error, HTTPError | OSError):
            why = "does not answer"
        elif isinstance(error, S3Error):
            why = f"answers {code or error.response.status}"
        else:
            why = f"answers with HTTP status {_status(error)}"
        known: HeadraceError = Unavailable(
            f"the object store {self._location} {why}",
            hint="is the server up, reachable from here, and has its disk room?",
        )
        return known


def _status(error: Exception) -> int:
    match error:
        case S3Error():
            return error.response.status
        case ServerError():
            return error.status_code
        case InvalidResponseError():
            return error._code  # the SDK gives it no public name
    return 0


def _may_pass(error: Exception) -> bool:
    if isinstance(error, SSLError):
        return False
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError)
    if isinstance(error, HTTPError):
        return True
    return _status(error) >= _SERVER_ERROR or code_of(error) in _PASSING
