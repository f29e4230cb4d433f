"""How the REST API shows what a failed job most likely failed of."""

from dataclasses import dataclass

from headrace_model.triage import Fault, Triage


@dataclass(frozen=True, slots=True)
class TriageView:
    """What a failed job most likely failed of, and what to do: `lines` are the last ones that the
    worker which failed wrote, `line` the one that tells most."""

    fault: Fault
    hint: str
    line: str
    lines: tuple[str, ...]


def view_of(triage: Triage | None) -> TriageView | None:
    """Show it; None: nothing is known."""
    if triage is None:
        return None
    return TriageView(triage.fault, triage.hint, triage.line, triage.lines)
