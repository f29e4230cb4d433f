"""The stores that a soak's data lie in, each with the fault that can befall it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.s3_servers import JuiceFs
from tests.support.small_disk import fill_disk, small_file_system
from tests.support.stack import Stack

_MIB = 96


@dataclass(slots=True)
class FullStore:
    """Not a byte is free in the store's folder, which has a small file system of its own."""

    folder: Path
    victim: str = "store"
    _rest: Path | None = field(default=None, init=False)

    def strike(self, stack: Stack) -> None:
        """Fill it."""
        self._rest = fill_disk(self.folder)

    def heal(self, stack: Stack) -> None:
        """Give the room back."""
        if self._rest:
            self._rest.unlink()


@dataclass(frozen=True, slots=True)
class StoreKill:
    """SIGKILL to the S3 server, which is away for a while."""

    server: JuiceFs
    victim: str = "store"

    def strike(self, stack: Stack) -> None:
        """Kill it."""
        self.server.kill9()

    def heal(self, stack: Stack) -> None:
        """Start it on its files."""
        self.server.start()


@dataclass(frozen=True, slots=True)
class Store:
    """`settings` for the services; `fault` None where this machine allows none."""

    settings: Mapping[str, str]
    fault: FullStore | StoreKill | None


@contextlib.contextmanager
def directory_store(folder: Path) -> Iterator[Store]:
    """A directory, where possible with a small file system of its own."""
    folder.mkdir(parents=True)
    with small_file_system(folder, _MIB) as reason:
        settings = {"store": str(folder), "free_limit_bytes": str(2**20)}
        yield Store(settings, None if reason else FullStore(folder))


@contextlib.contextmanager
def s3_store(folder: Path) -> Iterator[Store]:
    """An S3 server of its own."""
    server = JuiceFs(folder)
    server.start()
    try:
        credentials = str(server.credentials_file)
        settings = {"store": f"{server.url}/soak", "store_credentials_file": credentials}
        yield Store(settings, StoreKill(server))
    finally:
        server.kill9()
