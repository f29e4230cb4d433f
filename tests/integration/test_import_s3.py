"""Import in place from a bucket, by a service whose own store is a folder."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from headrace_adapters.s3.location import parse_location, read_credentials
from headrace_adapters.s3.store import S3Store
from headrace_model.people import User, UserRole
from tests.support.data_service import World
from tests.support.s3_servers import S3Server

CONTENTS = {"aorc/2015/a.csv": b"rain", "aorc/2015/more/b.csv": b"flow" * 500_000}


async def test_objects_of_a_bucket_become_items_and_stay_there(
    all_: World, s3_servers: Callable[[str], S3Server]
) -> None:
    server = s3_servers("seaweedfs")
    credentials = await asyncio.to_thread(read_credentials, server.credentials_file)
    bucket = S3Store(parse_location(f"{server.url}/theirs"), credentials)
    await bucket.put_many(CONTENTS)
    try:
        async with all_.data() as data:
            await data.kill()
            data.settings = replace(
                data.settings,
                import_places=f"theirs={server.url}/theirs",
                store_credentials_file=str(server.credentials_file),
            )
            await data.start()
            data.user = User("root", UserRole.ADMIN)
            made = {"name": "aorc", "category": "FORCING"}
            assert (await data.api("POST", "/datasets", json=made)).status == 201
            asked = {"source": f"{server.url}/theirs/aorc/2015"}
            for read in (2, 0):
                done = await data.api("POST", "/datasets/aorc:import", json=asked)
                assert done.status == 200, done.body
                assert (done.json["items"], done.json["read"]) == (2, read)
                assert done.json["after"] is None
            assert (await data.api("POST", "/datasets/aorc:seal")).status == 200
            got = await data.api("GET", "/datasets/aorc/items/more/b.csv")
            assert sha256(got.body).digest() == sha256(CONTENTS["aorc/2015/more/b.csv"]).digest()
            assert await all_.store.keys("imported") == []
            await bucket.put_bytes("aorc/2015/a.csv", b"hail")
            got = await data.api("GET", "/datasets/aorc/items/a.csv")
            assert (got.status, got.code) == (409, "CONFLICT")
            assert (await data.api("DELETE", "/datasets/aorc")).status == 204
            assert len(await bucket.keys("aorc")) == 2, "nothing there is ours to delete"
    finally:
        await bucket.close()
