"""Bars and waiting lines: on standard error, only on a terminal, and gone when they are over."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from headrace_client.transfers import Moved, say_nothing
from headrace_model.units import rough_size

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

_LONGEST_NAME: Final = 24
_USUAL_COLUMNS: Final = 80  # of a terminal that does not tell
_BESIDE_TEXT: Final = 16  # spinner, time, and room for the `^C` that the terminal itself writes


def on_terminal() -> bool:
    """Tell whether somebody looks at standard error."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def transfer(what: str) -> Iterator[Moved]:
    """A bar for all files of a transfer: how much, how fast, how long still.

    It moves by calls of what this gives. Until the first byte it says only that something goes on:
    files are read once, for their SHA-256, before they are sent.
    """
    if not on_terminal():
        yield say_nothing
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    with _bars(BarColumn(), TextColumn("{task.fields[amount]}"), TimeRemainingColumn()) as bars:
        bar = bars.add_task(what[:_LONGEST_NAME], total=None, amount="reading")
        sizes: dict[str, int] = {}
        there: dict[str, int] = {}
        size = done = 0

        def moved(item: str, at_bytes: int, size_bytes: int) -> None:
            nonlocal size, done
            size += size_bytes - sizes.get(item, 0)
            done += at_bytes - there.get(item, 0)
            sizes[item], there[item] = size_bytes, at_bytes
            if done:
                rate = bars.tasks[0].speed
                amount = f"{rough_size(done)} of {rough_size(size)}"
                amount += f", {rough_size(int(rate))}/s" if rate else ""
                bars.update(bar, total=size, completed=done, amount=amount)

        yield moved


class WaitingLine:
    """One line that says what is waited for, and for how long; once ended it says nothing more."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._ended = not on_terminal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def ended(self) -> bool:
        """Tell whether it says nothing any more."""
        return self._ended

    def say(self, text: str) -> None:
        """Say what is waited for now."""
        if self._ended:
            return
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
        room = max(columns - _BESIDE_TEXT, 1)
        if len(text) > room:  # what wraps can't be taken away again
            text = text[: room - 1] + "…"
        if self._bars is None:
            from rich.progress import SpinnerColumn, TimeElapsedColumn

            self._bars = _bars(SpinnerColumn(), TimeElapsedColumn(), text_last=True)
            self._bars.add_task(text, total=None)
            self._bars.start()
        self._bars.update(self._bars.tasks[0].id, description=text)

    def end(self) -> None:
        """Take the line away: from now on others write to the terminal."""
        self._ended = True
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def _bars(*columns: "ProgressColumn", text_last: bool = False) -> "Progress":
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    text = TextColumn("{task.description}", markup=False)
    shown = (*columns, text) if text_last else (text, *columns)
    return Progress(*shown, console=Console(stderr=True), transient=True)
