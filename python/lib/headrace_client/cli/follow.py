"""Following a job: its logs to this terminal, until it is closed."""

import asyncio
import sys
from typing import IO, TYPE_CHECKING

from headrace_client.cli.show import note, step
from headrace_client.cli.tasks import follow_tasks
from headrace_model.errors import HeadraceError

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient
    from headrace_wire.api import JobView


async def follow(client: "AsyncClient", job: str, *, rank: int = 0) -> "JobView":
    """Copy a job's logs to standard output and error until it is closed; gives its last view.

    Of an array, whose tasks write a log each, its progress is shown instead.
    """
    view = await client.job(job)
    if view.tasks is not None:
        return await follow_tasks(client, view)
    while True:
        attempt = view.attempt
        async with asyncio.TaskGroup() as group:
            for stream, sink in (("out", sys.stdout.buffer), ("err", sys.stderr.buffer)):
                group.create_task(_copy(client, job, attempt, rank, stream, sink))
        view = await client.job(job)
        while not view.status.closed and view.attempt == attempt:
            view = await client.changed(view)
        if view.attempt == attempt:
            return view
        note(f"headrace: attempt {view.attempt} begins")


async def _copy(
    client: "AsyncClient", job: str, attempt: int, rank: int, stream: str, sink: IO[bytes]
) -> None:
    try:
        async for part in client.log(job, stream=stream, rank=rank, attempt=attempt, follow=True):
            sink.write(part)
            sink.flush()
    except HeadraceError as error:
        # How the job ends is what was asked for: a log that can't be read must not hide it.
        note(f"headrace: its log ({stream}) can't be read: {error}")


def say_end(view: "JobView") -> None:
    """Say on standard error how a job ended that did not complete."""
    if step(view.status) == "COMPLETED":
        return
    why = f" ({view.cause})" if view.cause else ""
    detail = f": {view.detail}" if view.detail else ""
    note(f"headrace: job {view.id} is {step(view.status)}{why}{detail}")
    note(f"  next: `headrace jobs history {view.id}` tells its way")
