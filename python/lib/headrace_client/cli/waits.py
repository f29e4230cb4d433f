"""What `headrace` writes of why and when jobs start."""

from headrace_client.cli.show import step
from headrace_wire.why import WhyView


def why_lines(view: WhyView) -> list[tuple[str, object]]:
    """All that is in the way of a job, and what to do."""
    change = view.change
    keys = " ".join(f"--set {key}={value}" for key, value in change.set.items()) if change else ""
    return [
        ("status", step(view.status)),
        ("position", view.position),
        ("why", view.sentence),
        ("besides", "\n".join(each.sentence for each in view.causes[1:])),
        ("next", view.hint),
        ("or", f"{change.sentence}" if change else ""),
        ("", f"cancel it, and submit it anew with {keys}" if keys else ""),
    ]
