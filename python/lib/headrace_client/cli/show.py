"""Writing answers: as a table for people, as JSON or YAML for programs."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

_PIPE_WIDTH = 10_000
# What is copied or compared is never cut.
_WHOLE = frozenset({"AT", "DATASET", "ID", "NAME", "NODE", "STATUS", "TO"})


def plain(value: Any) -> Any:
    """Turn views into plain JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {key.rstrip("_"): plain(each) for key, each in asdict(value).items()}
        return found
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def show(form: str, value: Any, table: Callable[[], None]) -> None:
    """Write a value in the form that was asked for; `table` writes it for people."""
    if form == "json":
        write(json.dumps(plain(value), indent=2, ensure_ascii=False))
    elif form == "yaml":
        import yaml

        write(yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True).rstrip())
    else:
        table()


def write(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(line + "\n")


def note(line: str) -> None:
    """Write a line to standard error: what is no part of the answer."""
    sys.stderr.write(line + "\n")


def rows(heads: Sequence[str], lines: Sequence[Sequence[object]], empty: str) -> None:
    """Write a table; `empty` is said where there is nothing in it.

    On a terminal long texts fold at its width, ids, names and times never; in a file or pipe each
    row is one line, so that it can be searched.
    """
    if not lines:
        note(empty)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=head in _WHOLE, overflow="fold")
    for line in lines:
        table.add_row(*("-" if cell in (None, "") else str(cell) for cell in line))
    console.print(table)


def pairs(lines: Sequence[tuple[str, object]]) -> None:
    """Write names and values, leaving out what is empty."""
    shown = [(name, value) for name, value in lines if value not in (None, "", (), {}, [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *more = str(value).split("\n")
        write(f"{name:<{width}}  {first}")
        for each in more:
            write(f"{'':<{width}}  {each}")


def age(iso: str) -> str:
    """How long ago a time is, roughly: `42s`, `5m`, `3h`, `2d`."""
    passed_s = (datetime.now(UTC) - datetime.fromisoformat(iso)).total_seconds()
    seconds = max(0, int(passed_s))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def step(status: str) -> str:
    """The short name of a status: its step."""
    return status.partition(":")[2]
