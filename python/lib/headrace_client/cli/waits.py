"""What `headrace` writes of why and when jobs start."""

import json
import sys
from collections.abc import Sequence

from headrace_client.cli.show import plain, show, step, write
from headrace_model.units import rough_size
from headrace_wire.api import RangeView
from headrace_wire.why import (
    CauseView,
    ChangeView,
    InputView,
    Outcome,
    PlanView,
    WhenView,
    WhyView,
)


def why_lines(view: WhyView) -> list[tuple[str, object]]:
    """All that is in the way of a job, and what to do."""
    return [
        ("status", step(view.status)),
        ("position", view.position),
        ("why", view.sentence),
        ("besides", _besides(view.causes, view.change)),
        ("next", view.hint),
        ("or", _change_text(view.change, "cancel it, and submit it anew with")),
    ]


def when_lines(view: WhenView) -> list[tuple[str, object]]:
    """When a job starts, and from what that is foreseen."""
    return [
        ("status", step(view.status)),
        ("position", view.position),
        ("when", view.sentence),
        ("basis", view.basis),
        ("foreseen", view.made),
    ]


def write_change(form: str, view: WhenView) -> None:
    """Write one of several answers: a line of text or JSON, or a document of YAML."""
    if form == "json":
        write(json.dumps(plain(view), ensure_ascii=False))
    else:
        if form == "yaml":
            write("---")
        place = f"  place {view.position}" if view.position else ""
        line = f"{(view.made or '')[:19]}  {step(view.status)}{place}  {view.sentence}"
        show(form, view, lambda: write(line))
    sys.stdout.flush()


def plan_lines(view: PlanView) -> list[tuple[str, object]]:
    """What would come of a submit."""
    placed = view.placement
    where = placed.sentence if placed.sentence != view.sentence else ""
    asks = f"{view.resources.cpus:g} CPU, {rough_size(view.resources.memory)}"
    shares = [
        f"{each.node}: {each.cpus:g} CPU, {rough_size(each.memory)}" for each in placed.nodes
    ]
    return [
        ("outcome", f"{view.outcome.value}: {view.sentence}"),
        ("asks", f"{asks}, {view.paradigm}"),
        ("data", "\n".join(map(_input_text, view.data)) or "it has no inputs"),
        ("image", f"{view.image}, pulled by the node where that has it not" if view.image else ""),
        ("quota", "\n".join(placed.quotas)),
        ("placement", "\n".join(shares) or where),
        ("besides", _besides(placed.causes, placed.change)),
        ("position", placed.position),
        ("start", range_text(placed.start)),
        ("end", range_text(placed.end)),
        ("basis", placed.basis),
        ("or", _change_text(placed.change, "submit it with")),
        ("next", placed.hint if view.outcome is Outcome.NEVER else None),
    ]


def _besides(causes: Sequence[CauseView], change: ChangeView | None) -> str:
    """What else is in the way: neither the first, nor the change that is told by itself."""
    told = change.sentence if change else None
    return "\n".join(each.sentence for each in causes[1:] if each.sentence != told)


def _input_text(each: InputView) -> str:
    which = f" by {', '.join(each.datasets)}" if each.datasets else ""
    return f"{each.input}: {each.result}{which}, {each.why}"


def _change_text(change: ChangeView | None, how: str) -> str:
    if change is None:
        return ""
    keys = " ".join(f"--set {key}={value}" for key, value in change.set.items())
    return f"{change.sentence}\n{how} {keys}" if keys else change.sentence


def range_text(found: RangeView | None) -> str:
    """A time with its range; empty where there is none."""
    if found is None:
        return ""
    if found.low == found.high:
        return found.at
    return f"{found.at} ({found.low} to {found.high} in 8 of 10 cases)"
