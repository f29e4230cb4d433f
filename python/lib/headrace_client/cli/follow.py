"""Following a job: its logs to this terminal, until it is closed."""

import asyncio
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from headrace_client.cli.progress import WaitingLine
from headrace_client.cli.show import note, step
from headrace_client.cli.tasks import follow_tasks
from headrace_model.errors import HeadraceError
from headrace_model.status import Status

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient
    from headrace_wire.api import JobView

_WHY_EVERY_S: Final = 2.0


async def follow(client: "AsyncClient", job: str, *, rank: int = 0) -> "JobView":
    """Copy a job's logs to standard output and error until it is closed; gives its last view.

    Of an array, whose tasks write a log each, its progress is shown instead.
    """
    view = await client.job(job)
    if view.tasks is not None:
        return await follow_tasks(client, view)
    while True:
        attempt = view.attempt
        with WaitingLine() as line:
            await _copy_both(client, view, rank, line)
        view = await client.job(job)
        with WaitingLine() as line:
            while not view.status.closed and view.attempt == attempt:
                line.say(step(view.status))
                view = await client.changed(view)
        if view.attempt == attempt:
            return view
        note(f"headrace: attempt {view.attempt} begins")


async def _copy_both(client: "AsyncClient", view: "JobView", rank: int, line: WaitingLine) -> None:
    """Copy both logs of an attempt; until something comes the line says what is waited for."""
    streams = (("out", sys.stdout.buffer), ("err", sys.stderr.buffer))
    try:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_tell(client, view, line))
            copies = [
                group.create_task(_copy(client, view, rank, stream, sink, line))
                for stream, sink in streams
            ]
            await asyncio.wait(copies)
            waiting.cancel()
    except ExceptionGroup as errors:  # a reader that left (`| head`) is not several errors
        raise errors.exceptions[0] from None


async def _tell(client: "AsyncClient", view: "JobView", line: WaitingLine) -> None:
    """Say on the line what a job waits for, until it runs or has written something."""
    try:
        while not (line.ended or view.status is Status.RUNNING or view.status.closed):
            why = await client.why(view.id)
            line.say(f"{step(why.status)}: {why.sentence}")
            with suppress(TimeoutError):
                async with asyncio.timeout(_WHY_EVERY_S):
                    view = await client.changed(view)
    except HeadraceError:
        return  # it is said for comfort only; what is wrong is said by who reads the log
    finally:
        line.end()


async def _copy(
    client: "AsyncClient",
    view: "JobView",
    rank: int,
    stream: str,
    sink: IO[bytes],
    line: WaitingLine,
) -> None:
    try:
        async for part in client.log(
            view.id, stream=stream, rank=rank, attempt=view.attempt, follow=True
        ):
            line.end()
            sink.write(part)
            sink.flush()
    except HeadraceError as error:
        # How the job ends is what was asked for: a log that can't be read must not hide it.
        line.end()
        note(f"headrace: its log ({stream}) can't be read: {error}")


def say_end(view: "JobView") -> None:
    """Say on standard error how a job ended that did not complete."""
    if step(view.status) == "COMPLETED":
        return
    why = f" ({view.cause})" if view.cause else ""
    detail = f": {view.detail}" if view.detail else ""
    note(f"headrace: job {view.id} is {step(view.status)}{why}{detail}")
    note(f"  next: `headrace jobs history {view.id}` tells its way")
