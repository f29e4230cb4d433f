"""The celery app that worker and submitter share; the Redis socket comes by the environment."""

import os
import subprocess

from celery import Celery

_REDIS = f"redis+socket://{os.environ['BENCH_REDIS_SOCKET']}"

app = Celery("celery_tasks", broker=_REDIS, backend=_REDIS)
app.conf.update(
    # As Headrace promises it: a task whose worker dies is done again.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task
def run(command: list[str]) -> int:
    """Run a process to its end."""
    return subprocess.run(command, check=False).returncode
