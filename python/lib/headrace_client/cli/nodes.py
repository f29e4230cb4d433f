"""`headrace nodes`: the machines that jobs run on."""

import click

from headrace_client.cli.base import Words, output_option, run
from headrace_client.cli.show import rows, show
from headrace_model.units import rough_size
from headrace_wire.api import ResourcesView


@click.group(cls=Words, name="nodes")
def group() -> None:
    """See the nodes.

    \b
    Example: headrace nodes list
    """


@group.command(name="list")
@output_option
def list_nodes(form: str) -> None:
    """List the nodes with their capacity and what is free.

    \b
    Example: headrace nodes list -o json
    """
    nodes = run(lambda client: client.nodes())
    heads = ("NODE", "STATE", "CAPACITY", "FREE", "BACKENDS", "JOBS")
    lines = [
        (n.id, n.state, _amount(n.capacity), _amount(n.free), " ".join(n.backends), len(n.jobs))
        for n in nodes
    ]
    show(form, nodes, lambda: rows(heads, lines, "no node has joined yet"))


def _amount(view: ResourcesView | None) -> str:
    return f"{view.cpus:g} CPU, {rough_size(view.memory)}" if view else ""
