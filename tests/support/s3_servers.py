"""Two real S3 servers for tests: JuiceFS's gateway (MinIO's own code) and SeaweedFS.

Each is a process of its own with its files in a folder of its own, and can be killed and started
again on them. What both can do is what the S3 store may count on.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from minio import Minio

from headrace_local.health import any_free_port, is_free
from tests.support.server_process import ServerProcess

ACCESS_KEY = "headrace-tests"
SECRET_KEY = "only-for-tests-0123456789"  # noqa: S105 - of a server that lives for one test run
BUCKET = "headrace"


def find_program(name: str) -> Path | None:
    """A program of a wheel beside this interpreter, else one on the PATH, else None."""
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


class S3Server(ServerProcess):
    """A server on 127.0.0.1 with its files in `folder`; its bucket is there once it is started."""

    program: ClassVar[str]
    ready_within_s = 30.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, folder / "server.log")
        self.port = any_free_port()

    @property
    def endpoint(self) -> str:
        """host:port, the same after every start."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What `--store` takes."""
        return f"s3://{self.endpoint}/{BUCKET}"

    @property
    def credentials_file(self) -> Path:
        """A credentials file as the S3 store reads it."""
        return write_credentials(self.folder / "credentials.json", ACCESS_KEY, SECRET_KEY)

    def client(self) -> Minio:
        """A plain client, to look at the server past the store."""
        return Minio(self.endpoint, ACCESS_KEY, SECRET_KEY, secure=False, region="us-east-1")

    def _answers(self) -> bool:
        """True once a bucket can be made or is there: ports are open before that."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2.0)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                if connection.getresponse().status >= 500:
                    return False
        with contextlib.suppress(Exception):
            client = self.client()
            if not client.bucket_exists(BUCKET):
                client.make_bucket(BUCKET)
            return True
        return False


class JuiceFs(S3Server):
    """JuiceFS's S3 gateway over a folder, its metadata in SQLite."""

    name = "juicefs"
    program = "juicefs"

    def _command(self) -> Sequence[str]:
        program = str(find_program(self.program))
        meta = f"sqlite3://{self.folder / 'meta.db'}"
        if not (self.folder / "meta.db").exists():
            subprocess.run(
                [program, "format", "--storage", "file", "--bucket", f"{self.folder}/objects/",
                 "--trash-days", "0", meta, "tests"],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip
        return [
            program, "gateway", meta, self.endpoint, "--multi-buckets", "--keep-etag",
            "--object-tag", "--object-meta", "--no-banner", "--no-usage-report",
            "--cache-dir", str(self.folder / "cache"), "--cache-size", "256",
        ]  # fmt: skip

    def _environ(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "HOME": str(self.folder),  # its log and its defaults lie there
        }


class SeaweedFs(S3Server):
    """SeaweedFS: master, volume server, filer and S3 in one process."""

    name = "seaweedfs"
    program = "weed"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # A port, and beside it the port + 10000 for gRPC, of each of the four servers.
        self.port, *others = _free_port_pairs(4)
        self._ports = dict(zip(("master", "volume", "filer"), others, strict=True))

    def _command(self) -> Sequence[str]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        config = self.folder / "s3.json"
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "tests", "credentials": credentials, "actions": actions}
        config.write_text(json.dumps({"identities": [identity]}))
        ports = [f"-{role}.port={port}" for role, port in self._ports.items()]
        return [
            str(find_program(self.program)), "server", f"-dir={data}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.port={self.port}",
            f"-s3.config={config}", *ports, "-volume.max=0", "-master.volumeSizeLimitMB=256",
            # Two catalogues that we don't use, at fixed ports: a second server would not start.
            "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-s3.allowDeleteBucketNotEmpty=false", "-master.telemetry=false",
        ]  # fmt: skip


SERVERS: dict[str, type[S3Server]] = {each.name: each for each in (JuiceFs, SeaweedFs)}


def write_credentials(path: Path, access_key: str, secret_key: str) -> Path:
    """Write a credentials file with mode 0600."""
    path.touch(mode=0o600)
    path.write_text(json.dumps({"access_key": access_key, "secret_key": secret_key}))
    return path


def _free_port_pairs(count: int) -> list[int]:
    """Free ports, all different, whose port + 10000 is free too."""
    found: set[int] = set()
    while len(found) < count:
        port = any_free_port() - 10_000
        if is_free(port) and is_free(port + 10_000):
            found.add(port)
    return [*found]
