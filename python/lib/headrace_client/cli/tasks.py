"""The tasks of an array in the terminal: one line of progress, and tables."""

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

from headrace_client.cli.show import note
from headrace_wire.api import JobView, TasksView, TaskView

if TYPE_CHECKING:
    from headrace_client.api import AsyncClient

_LOOK_S: Final = 1.0
_SAY_S: Final = 10.0  # how often a line is added where none can be written over


class ProgressLine:
    """One line on standard error, written over on a terminal, else added now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._said_s = -_SAY_S
        self._first: tuple[float, int] | None = None

    def show(self, tasks: TasksView, *, last: bool = False) -> None:
        """Show how the tasks are getting on; `last`: in any case."""
        now = time.monotonic()
        ended = tasks.done + tasks.failed
        began, before = self._first = self._first or (now, ended)
        per_s = (ended - before) / (now - began) if now > began else 0.0
        text = progress_text(tasks, per_s)
        late = self._terminal or last or now - self._said_s >= _SAY_S
        if text == self._shown or not late:
            return
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            note(text)
        self._shown, self._said_s = text, now

    def end(self) -> None:
        """Leave the line as it is."""
        if self._terminal and self._shown:
            note("")


def progress_text(tasks: TasksView, per_s: float) -> str:
    """One line about all tasks; `per_s`: how many have ended a second."""
    words = [f"{tasks.done:,} of {tasks.total:,} tasks done"]
    if tasks.failed:
        words.append(f"{tasks.failed:,} failed")
    if tasks.running:
        words.append(f"{tasks.running:,} taken")
    if left := tasks.waiting + tasks.running:
        if per_s > 0:
            words.append(f"{per_s:.3g}/s, about {_rough(left / per_s)} left")
        elif not tasks.running:
            words.append(f"{left:,} waiting")
    return "headrace: " + ", ".join(words)


def _rough(seconds: float) -> str:
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


async def until_moved(client: "AsyncClient", view: JobView, line: ProgressLine) -> JobView:
    """Wait until a job's version is another; of an array with its progress meanwhile."""
    if view.tasks is None:
        return await client.until(view.id, lambda now: now.version > view.version)
    now = view
    while now.version == view.version and not now.status.closed:
        if now.tasks is not None:
            line.show(now.tasks)
        await asyncio.sleep(_LOOK_S)
        now = await client.job(view.id)
    return now


async def follow_tasks(client: "AsyncClient", view: JobView) -> JobView:
    """Show the progress of an array until it is closed; gives its last view."""
    line = ProgressLine()
    while not view.status.closed:
        view = await until_moved(client, view, line)
    if view.tasks is not None:
        line.show(view.tasks, last=True)
    line.end()
    return view


def counts_text(tasks: TasksView | None) -> str:
    """How many tasks are in each state, for a table."""
    if tasks is None:
        return ""
    counts = [
        ("done", tasks.done), ("failed", tasks.failed), ("running", tasks.running),
        ("waiting", tasks.waiting),
    ]  # fmt: skip
    shown = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f"{tasks.total:,}: {shown}"


def failed_text(tasks: tuple[TaskView, ...], failed: int) -> str:
    """The first tasks that failed, one a line."""
    lines = [f"task {each.index}: {each.detail}" for each in tasks]
    more = failed - len(tasks)
    return "\n".join([*lines, f"and {more:,} more"] if more > 0 else lines)
