"""`lineage` of the groups `dataset` and `jobs`: where data comes from, and what became of it."""

from collections import defaultdict
from collections.abc import Iterator

import click

from headrace_client.cli.base import dataset_argument, job_argument, output_option, run
from headrace_client.cli.show import note, show, step, write
from headrace_wire.lineage import (
    DEPTH,
    MOST_DEPTH,
    MOST_NODES,
    NODES,
    LineageEdge,
    LineageNode,
    LineageView,
    Thing,
)

_depth = click.option(
    "--depth",
    default=DEPTH,
    show_default=True,
    type=click.IntRange(1, MOST_DEPTH),
    help="So many jobs back, and so many on.",
)
_limit = click.option(
    "--limit",
    default=NODES,
    show_default=True,
    type=click.IntRange(1, MOST_NODES),
    help="Show so many jobs and datasets.",
)


@click.command(name="lineage")
@dataset_argument
@_depth
@_limit
@output_option
def of_dataset(name: str, depth: int, limit: int, form: str) -> None:
    """Show which jobs and data a dataset came from, and which came of it.

    \b
    Example: headrace dataset lineage drb@2
    """
    _show(form, run(lambda client: client.datasets.lineage(name, depth=depth, limit=limit)))


@click.command(name="lineage")
@job_argument
@_depth
@_limit
@output_option
def of_job(job: str, depth: int, limit: int, form: str) -> None:
    """Show which data and jobs a job came from, and what came of it.

    \b
    Example: headrace jobs lineage 0123456789abcdef
    """
    _show(form, run(lambda client: client.lineage(job, depth=depth, limit=limit)))


def _show(form: str, view: LineageView) -> None:
    show(form, view, lambda: write("\n".join(lines_of(view))))
    if form == "table" and view.cut:
        note("there is more: see --depth and --limit")
    if view.incomplete:
        note(f"not all is known yet: {view.incomplete}")


def lines_of(view: LineageView) -> Iterator[str]:
    """Write a lineage as two trees; what stands in one already is not unfolded again."""
    nodes = {node.id: node for node in view.nodes}
    yield _named(nodes[view.root])
    for head, back in (("came from", True), ("led to", False)):
        edges = defaultdict(list)
        for edge in view.edges:
            edges[edge.target if back else edge.source].append(edge)
        lines = list(_below(view.root, nodes, edges, back=back))
        yield head if lines else f"{head} nothing that is known"
        yield from lines


def _below(
    root: str,
    nodes: dict[str, LineageNode],
    edges: dict[str, list[LineageEdge]],
    *,
    back: bool,
) -> Iterator[str]:
    """Yield a line for each edge that leads on, deeper ones indented; without recursion."""
    unfolded = {root}
    stack = [(1, edge) for edge in reversed(edges.get(root, []))]
    while stack:
        depth, edge = stack.pop()
        id_ = edge.source if back else edge.target
        known = id_ in unfolded and bool(edges.get(id_))
        yield f"{'  ' * depth}{_role(edge)}{_named(nodes[id_])}{' (see above)' if known else ''}"
        if id_ not in unfolded:
            unfolded.add(id_)
            stack += [(depth + 1, each) for each in reversed(edges.get(id_, []))]


def _role(edge: LineageEdge) -> str:
    if edge.attempt is None:
        return "input: " if edge.name is None else f"input {edge.name}: "
    made = "output" if edge.name is None else f"output {edge.name}"
    return f"{made} of attempt {edge.attempt}: "


def _named(node: LineageNode) -> str:
    if node.name is None and node.state == "":
        return f"a {node.node} that you may not see"
    if node.node is Thing.JOB:
        name = f" {node.name}" if node.name else ""
        return f"job {node.id}{name}, {step(node.state) or node.state}"
    return f"dataset {node.name}, {node.state}"
