"""`headrace jobs logs`: what workers wrote, followed, or looked through for a text."""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import exits
from headrace_client.cli.base import job_argument, output_option, run
from headrace_client.cli.execute import follow_job
from headrace_client.cli.follow import copy_log
from headrace_client.cli.progress import WaitingLine
from headrace_client.cli.show import note, show, write
from headrace_model.errors import InvalidInput, Unavailable
from headrace_wire.logsearch import LogFound, SearchEnd

Told = LogFound | SearchEnd


@click.command(name="logs")
@job_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job is over.")
@click.option(
    "--stream",
    type=click.Choice(["out", "err", "both"]),
    default="both",
    show_default=True,
    help="Standard output, standard error, or both.",
)
@click.option(
    "--rank",
    metavar="N|all",
    help="Which worker of a parallel job, or all. [default: 0; of a search all]",
)
@click.option("--attempt", type=int, help="Which attempt. [default: the current one]")
@click.option("--task", type=click.IntRange(0), help="Which task of an array.")
@click.option(
    "--search",
    "text",
    metavar="TEXT",
    help="Show only the lines that hold TEXT, of all ranks and tasks.",
)
@output_option
def logs(
    job: str,
    following: bool,
    stream: str,
    rank: str | None,
    attempt: int | None,
    task: int | None,
    text: str | None,
    form: str,
) -> int:
    """Show what a job's worker wrote, or a task of an array, or look for a text in it.

    With --follow its output goes to standard output, its errors to standard error, and headrace
    ends as the job ends. Ctrl-C ends only the following. What --search finds is told as
    RANK.STREAM:LINE: TEXT, and of an array as ATTEMPT/TASK.STREAM:LINE: TEXT.

    \b
    Example: headrace jobs logs 0123456789abcdef --follow
             headrace jobs logs 0123456789abcdef --search ERROR -o json
    """
    if text is not None:
        if following:
            raise InvalidInput("--search looks at what is there: leave out --follow")
        one = _rank(rank or "all")
        return _search(
            form,
            lambda c: c.search_log(job, text, stream=stream, rank=one, attempt=attempt, task=task),
        )
    if form != "table":
        raise InvalidInput(
            f"-o {form} goes with --search", hint="a log itself is text: leave out -o"
        )
    worker = _rank(rank or "0")
    if worker is None and not following:
        raise InvalidInput(
            "--rank all goes with --follow or --search",
            hint="`headrace jobs info` tells how many workers there are; name one: --rank 1",
        )
    if following and attempt is None and task is None and stream == "both":
        return follow_job(job, rank=worker)

    async def copy(client: AsyncClient) -> None:
        if following and task is None:
            with WaitingLine() as line:
                await copy_log(client, job, line, stream=stream, rank=worker, attempt=attempt)
            return
        async for part in client.log(
            job,
            stream=stream,
            rank=worker or 0,
            attempt=attempt,
            task=task,
            follow=following,
        ):
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()

    try:
        run(copy)
    except KeyboardInterrupt:
        raise exits.detached(f"headrace jobs logs {job} --follow") from None
    return exits.OK


def _rank(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidInput(f"--rank {text[:20]!r}: a number from 0 on, or all")
    return int(text)


def _search(form: str, search: Callable[[AsyncClient], AsyncGenerator[Told, None]]) -> int:
    lines: list[LogFound] = []

    async def look(client: AsyncClient) -> SearchEnd | None:
        end: SearchEnd | None = None
        async with aclosing(search(client)) as told:
            async for each in told:
                if isinstance(each, SearchEnd):
                    end = each
                elif form == "table":
                    write(_line(each))
                else:
                    lines.append(each)
        return end

    end = run(look)
    if end is None:
        raise Unavailable("the search was cut off", hint="try again")
    if form != "table":
        answer = {"lines": lines, "found": end.found, "cut": end.cut, "unread": end.unread}
        show(form, answer, lambda: None)
        return exits.OK
    if end.unread:
        note(f"not told by their nodes, nor in the store yet: {' '.join(end.unread)}")
    if end.cut:
        note(f"not all was looked through: {end.cut}")
    if not end.found:
        note("no line holds it")
    return exits.OK


def _line(found: LogFound) -> str:
    whose = f"{found.rank}" if found.task is None else f"{found.attempt}/{found.task}"
    return f"{whose}.{found.stream}:{found.line}: {found.text}"
