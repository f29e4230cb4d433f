"""Following a job: its logs to this terminal, until it is closed."""

import asyncio
import sys
from contextlib import aclosing, suppress
from typing import IO, TYPE_CHECKING, Final

from headrace_client.cli.progress import WaitingLine
from headrace_client.cli.show import note, step
from headrace_client.cli.tasks import follow_tasks
from headrace_client.cli.used import triage_lines
from headrace_client.errors import how_it_ended
from headrace_model.errors import HeadraceError
from headrace_model.status import Status

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient
    from headrace_wire.api import JobView
    from headrace_wire.live import LogPiece
    from headrace_wire.triage import TriageView

_WHY_EVERY_S: Final = 2.0
_BELOW: Final = "\n" + " " * 14
_LONGEST: Final = 64 * 1024  # characters of a line that are waited for


async def follow(
    client: "AsyncClient", job: str, *, rank: int | None = 0, out: IO[bytes] | None = None
) -> "JobView":
    """Copy a job's logs to standard output and error until it is closed; gives its last view.

    `out`: where its output goes instead of standard output. Of an array, whose tasks write a log
    each, its progress is shown instead.
    """
    view = await client.job(job)
    if view.tasks is not None:
        return await follow_tasks(client, view)
    while True:
        attempt = view.attempt
        with WaitingLine() as line:
            await _copy_attempt(client, view, rank, line, out)
        with WaitingLine() as line:

            def is_over(now: "JobView", attempt: int = attempt, line: WaitingLine = line) -> bool:
                line.say(step(now.status))
                return now.status.closed or now.attempt > attempt

            view = await client.until(job, is_over)
        if view.attempt == attempt:
            return view
        note(f"headrace: attempt {view.attempt} begins")


class WholeLines:
    """Puts what several workers write together line by line, each with its rank before it."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, str], str] = {}

    def take(self, piece: "LogPiece") -> str:
        """What of a piece, and of what came before it, can be written now."""
        key = (piece.rank, piece.stream)
        text = self._begun.pop(key, "") + piece.text
        whole, newline, rest = text.rpartition("\n")
        if len(rest) > _LONGEST:
            whole, newline, rest = text, "\n", ""
        if rest:
            self._begun[key] = rest
        return _marked(piece.rank, whole) if newline else ""

    def rest(self) -> str:
        """The lines that nobody ended."""
        return "".join(_marked(rank, text) for (rank, _), text in sorted(self._begun.items()))


def _marked(rank: int, text: str) -> str:
    return "".join(f"[{rank}] {line}\n" for line in text.split("\n"))


async def copy_log(
    client: "AsyncClient",
    job: str,
    line: WaitingLine,
    *,
    stream: str = "both",
    rank: int | None = 0,
    attempt: int | None = None,
    out: IO[bytes] | None = None,
) -> None:
    """Copy what a worker writes as it comes; of both streams the errors go to our errors.

    The line ends when something comes. `rank` None: all workers, each line with its rank before.
    """
    whole = WholeLines()
    pieces = client.follow(job, stream=stream, rank=rank, attempt=attempt)
    async with aclosing(pieces):
        async for piece in pieces:
            line.end()
            is_error = stream == "both" and piece.stream == "err"
            sink = sys.stderr.buffer if is_error else out or sys.stdout.buffer
            sink.write((piece.text if rank is not None else whole.take(piece)).encode())
            sink.flush()
    sys.stdout.buffer.write(whole.rest().encode())
    sys.stdout.buffer.flush()


async def _copy_attempt(
    client: "AsyncClient",
    view: "JobView",
    rank: int | None,
    line: WaitingLine,
    out: IO[bytes] | None,
) -> None:
    """Copy both logs of an attempt; until something comes the line says what is waited for."""
    telling = asyncio.ensure_future(_tell(client, view, line))
    try:
        await copy_log(client, view.id, line, rank=rank, attempt=view.attempt, out=out)
    except HeadraceError as error:
        # How the job ends is what was asked for: a log that can't be read must not hide it.
        line.end()
        note(f"headrace: its log can't be read: {error}")
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(client: "AsyncClient", view: "JobView", line: WaitingLine) -> None:
    """Say on the line what a job waits for, until it runs or has written something."""
    try:
        while not (line.ended or view.status is Status.RUNNING or view.status.closed):
            why = await client.why(view.id)
            line.say(f"{step(why.status)}: {why.sentence}")
            with suppress(TimeoutError):
                async with asyncio.timeout(_WHY_EVERY_S):
                    view = await _next(client, view)
    except HeadraceError:
        return  # it is said for comfort only; what is wrong is said by who reads the log
    finally:
        line.end()


async def _next(client: "AsyncClient", view: "JobView") -> "JobView":
    """Wait until a job is newer than this view of it."""
    return await client.until(view.id, lambda now: now.version > view.version)


def say_end(view: "JobView", triage: "TriageView | None") -> None:
    """Say on standard error how a job ended that did not complete, and of what."""
    if view.status is not Status.COMPLETED:
        note(f"headrace: {how_it_ended(view)}")
        for name, text in triage_lines(triage):
            note(f"  {name:<10}  {text.replace(chr(10), _BELOW)}".rstrip())
        note(f"  next: `headrace jobs history {view.id}` tells its way")
