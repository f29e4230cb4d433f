"""`headrace jobs history`: the way of a job, and how long it was where."""

from collections.abc import Sequence
from typing import Final

import click

from headrace_client.cli.base import job_argument, output_option, run
from headrace_client.cli.show import rows, show, step
from headrace_wire.api import HistoryView
from headrace_wire.history import PhaseView

_WISHES: Final = {"RUN": "RELEASE", "HOLD": "HOLD", "STOP": "STOP", "CANCEL": "CANCEL"}
_NODES_SHOWN: Final = 4


@click.command(name="history")
@job_argument
@click.option(
    "--timeline", is_flag=True, help="How long it was in each phase, attempt after attempt."
)
@output_option
def history(job: str, timeline: bool, form: str) -> None:
    """Show the way of a job, from the beginning: who did what, when, and why.

    \b
    Example: headrace jobs history 0123456789abcdef --timeline
    """
    if timeline:
        stays = run(lambda client: client.phases(job))
        show(form, stays, lambda: _timeline(stays))
        return
    way = run(lambda client: client.history(job))
    show(form, way, lambda: _way(way))


def _way(way: Sequence[HistoryView]) -> None:
    heads = ("AT", "BY", "EVENT", "TO", "TRY", "NODES", "CAUSE", "DETAIL")
    lines = [
        (
            h.at[:19], h.user or h.by, event_text(h), step(h.to), h.attempt, _nodes(h.nodes),
            h.cause, h.detail[:120],
        )
        for h in way
    ]  # fmt: skip
    rows(heads, lines, "nothing happened yet")


def event_text(entry: HistoryView) -> str:
    """What happened, in the word of the verb where somebody wished it."""
    if entry.event.startswith("DESIRE_"):
        return _WISHES.get(entry.desired, entry.event)
    if entry.from_ == "CLOSED:STOPPED" and entry.desired == "RUN":
        return "RESTART"
    return entry.event


def _nodes(nodes: Sequence[str]) -> str:
    more = len(nodes) - _NODES_SHOWN
    return " ".join(nodes[:_NODES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _timeline(stays: Sequence[PhaseView]) -> None:
    heads = ("TRY", "PHASE", "AT", "UNTIL", "LASTED")
    lines = [
        (
            each.attempt, step(each.status), each.began[:19], (each.ended or "now")[:19],
            lasted(each.seconds),
        )
        for each in stays
    ]  # fmt: skip
    rows(heads, lines, "it has been in no phase yet")


def lasted(seconds: float) -> str:
    """A time that passed: `0.012s`, `42.1s`, `5m 3s`, `2h 10m`, `3d 4h`."""
    if seconds < 60:
        return f"{seconds:.3f}s" if seconds < 10 else f"{seconds:.1f}s"
    whole = int(seconds)
    for unit, size, less, small in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small}{less}"
    return f"{whole // 60}m {whole % 60}s"
