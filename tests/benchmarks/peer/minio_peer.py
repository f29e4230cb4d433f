"""The minio SDK's own fput and fget. Arguments: endpoint, keys, bucket, data (see rclone_peer)."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from minio import Minio
from talk import serve


def main(endpoint: str, access_key: str, secret_key: str, bucket: str, data: str) -> None:
    """Measure what is asked for: samples are seconds."""
    client = Minio(endpoint, access_key, secret_key, secure=False, region="us-east-1")
    back = Path("back").absolute()

    def timed(call: Callable[[], object], n: int) -> list[float]:
        samples = []
        for _ in range(n):
            began = time.perf_counter()
            call()
            samples.append(time.perf_counter() - began)
            back.unlink(missing_ok=True)
        return samples

    serve(
        ["minio"],
        {
            "big in": lambda n: timed(
                lambda: client.fput_object(bucket, "minio/big", f"{data}/big"), n
            ),
            "big out": lambda n: timed(
                lambda: client.fget_object(bucket, "minio/big", str(back)), n
            ),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
