"""A file of 5 GiB through an S3 server and back. By hand: it takes minutes and 10 GiB of disk.

`scripts/run-tests.sh soak -- -k large`. What does not depend on size is in the contract suite,
with parts of 5 MiB; that parts cover files up to 8 TiB, in the unit tests.
"""

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.store import Limits, S3Store
from tests.conftest import new_s3_server
from tests.support.s3_servers import JuiceFs, S3Server

SIZE = 5 * 2**30 + 17
_MARKS = {0: b"first", 2**32 - 3: b"over 4 GiB", SIZE - 4: b"last"}
_MEMORY_BYTES = 512 * 2**20


@pytest.fixture
def server(state_dir: Path) -> Iterator[S3Server]:
    found = new_s3_server(JuiceFs.name, state_dir / "s3")
    found.start()
    try:
        yield found
    finally:
        found.kill9()


async def test_a_large_sparse_file_goes_and_comes_in_bounded_memory(
    server: S3Server, state_dir: Path
) -> None:
    source, target = state_dir / "sparse", state_dir / "back"
    with source.open("wb") as file:
        file.truncate(SIZE)
        for at, mark in _MARKS.items():
            os.pwrite(file.fileno(), mark, at)
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    store = S3Store(parse_location(f"{server.url}/large"), credentials, Limits())
    try:
        await store.put_file("a/key", source)
        known = await store.stat("a/key")
        assert known is not None
        assert known.size_bytes == SIZE
        await store.fetch("a/key", target)
    finally:
        await store.close()
    with target.open("rb") as back:
        for at, mark in _MARKS.items():
            assert os.pread(back.fileno(), len(mark), at) == mark
        assert os.fstat(back.fileno()).st_size == SIZE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < _MEMORY_BYTES
