"""`headrace nodes`: the machines that jobs run on."""

import click

from headrace_client.cli.base import Words, output_option, run
from headrace_client.cli.show import note, rows, show
from headrace_model.units import rough_size
from headrace_wire.api import InventoryView, NodeView, ResourcesView, WindowView


@click.group(cls=Words, name="nodes")
def group() -> None:
    """See the nodes; admins drain and label them, and forget those that are gone.

    \b
    Example: headrace nodes drain node2
    """


@group.command(name="list")
@output_option
def list_nodes(form: str) -> None:
    """List the nodes: what they have, what resources.yaml lets be used, what of that is free,
    and when nothing may run there.

    \b
    Example: headrace nodes list -o json
    """
    show_nodes(form, run(lambda client: client.nodes()))


@group.command(name="drain")
@click.argument("node")
@output_option
def drain(node: str, form: str) -> None:
    """Keep new work from a node; what runs there goes on.

    \b
    Example: headrace nodes drain node2
    """
    show_nodes(form, run(lambda client: client.change_node(node, "drain")))


@group.command(name="undrain")
@click.argument("node")
@output_option
def undrain(node: str, form: str) -> None:
    """Let new work come to a node again.

    \b
    Example: headrace nodes undrain node2
    """
    show_nodes(form, run(lambda client: client.change_node(node, "undrain")))


@group.command(name="confirm-lost")
@click.argument("node")
@click.option("--yes", is_flag=True, help="Don't ask.")
@output_option
def confirm_lost(node: str, yes: bool, form: str) -> None:
    """Say that a LOST node is gone, so that exclusive jobs that wait for it run again.

    Only where no worker can live there any more: the machine is off, or was started anew.

    \b
    Example: headrace nodes confirm-lost node2 --yes
    """
    if not yes:
        click.confirm(f"Is {node} off, so that no worker lives there?", abort=True, err=True)
    show_nodes(form, run(lambda client: client.change_node(node, "confirm-lost")))


@group.command(name="label")
@click.argument("node")
@click.argument("labels", nargs=-1, required=True, metavar="NAME=VALUE|NAME-...")
@output_option
def label(node: str, labels: tuple[str, ...], form: str) -> None:
    """Give a node labels (NAME=VALUE), or take some away (NAME-).

    They stay with the node while it is known.

    \b
    Example: headrace nodes label node2 rack=r7 disk=ssd spare-
    """
    given = dict(each.split("=", 1) for each in labels if "=" in each)
    taken = [each.removesuffix("-") for each in labels if "=" not in each]
    for each in labels:
        if "=" not in each and not each.endswith("-"):
            raise click.UsageError(f"{each!r}: say NAME=VALUE to set a label, NAME- to remove one")
    show_nodes(form, run(lambda client: client.label_node(node, given, taken)))


@group.command(name="remove")
@click.argument("node")
@click.option("--yes", is_flag=True, help="Don't ask.")
@output_option
def remove(node: str, yes: bool, form: str) -> None:
    """Forget a node that is LOST and holds nothing; one that comes back joins anew.

    \b
    Example: headrace nodes remove node2 --yes
    """
    if not yes:
        click.confirm(f"Forget node {node}?", abort=True, err=True)
    show_nodes(form, run(lambda client: client.change_node(node, "remove")))


@group.command(name="discard")
@click.argument("node")
@click.argument("attempts", metavar="[ATTEMPT...]", nargs=-1)
@click.option("--yes", is_flag=True, help="Don't ask.")
@output_option
def discard(node: str, attempts: tuple[str, ...], yes: bool, form: str) -> None:
    """End and remove what a node keeps in quarantine after a restore; all without ATTEMPT.

    \b
    Example: headrace nodes discard node2 01j9z3k8p6q4m2v7.1
    """
    if not yes:
        what = " ".join(attempts) or "all that it keeps in quarantine"
        click.confirm(f"On {node}, end and remove {what}?", abort=True, err=True)
    show_nodes(form, run(lambda client: client.discard(node, attempts)))


def show_nodes(form: str, nodes: tuple[NodeView, ...]) -> None:
    """Write the nodes, as a table for people."""
    heads = (
        "NODE", "STATE", "CAPACITY", "MAY BE USED", "FREE", "DISK FREE", "CACHED", "BACKEND",
        "POOLS", "LABELS", "JOBS", "MAINTENANCE",
    )  # fmt: skip
    lines = [
        (
            n.id, f"{n.state}{' (confirmed)' * n.confirmed}",
            _amount(n.capacity), "all" if n.usable == n.capacity else _amount(n.usable),
            _amount(n.free), *_inventory(n.inventory),
            " ".join(n.pools),
            " ".join(f"{name}={value}" for name, value in n.labels.items()), len(n.jobs),
            _window(n.maintenance),
        )
        for n in nodes
    ]  # fmt: skip

    def table() -> None:
        rows(heads, lines, "no node has joined yet")
        for node in nodes:
            if node.quarantined:
                note(
                    f"{node.id} keeps what Redis does not know: {', '.join(node.quarantined)}; "
                    f"`headrace nodes discard {node.id}` ends and removes it"
                )

    show(form, nodes, table)


def _inventory(has: InventoryView | None) -> tuple[object, ...]:
    if has is None:
        return None, None, None
    disk = f"{rough_size(has.disk_free)} of {rough_size(has.disk)}"
    return disk, rough_size(has.cached.size), f"{has.backend} {has.engine}".rstrip()


def _amount(view: ResourcesView | None) -> str:
    if view is None:
        return ""
    pieces = {"GPU": view.gpus, **view.generic}
    more = "".join(f", {count} {name}" for name, count in pieces.items() if count)
    return f"{view.cpus:g} CPU, {rough_size(view.memory)}{more}"


def _window(windows: tuple[WindowView, ...]) -> str:
    """The first window of maintenance that is or comes, and how many come behind it."""
    if not windows:
        return ""
    first = windows[0]
    more = f" (then {len(windows) - 1} more)" if len(windows) > 1 else ""
    return f"{first.begin[:16]}Z to {first.end[:16]}Z: {first.why}{more}"
