"""`headrace maintenance`: keep new work away, finish what runs."""

import click

from headrace_client.cli.base import Words, output_option, run
from headrace_client.cli.show import show
from headrace_wire.maintenance import MaintenanceView


@click.group(cls=Words, name="maintenance")
def group() -> None:
    """See whether new work is kept away; admins keep it away and let it come again.

    \b
    Example: headrace maintenance on --why "new disks"
    """


@group.command(name="show")
@output_option
def show_it(form: str) -> None:
    """Tell whether new work is kept away, and how many jobs are still to finish.

    \b
    Example: headrace maintenance show -o json
    """
    _show(form, run(lambda client: client.maintenance()))


@group.command(name="on")
@click.option("--why", default="", metavar="TEXT", help="What users are told.")
@output_option
def on(why: str, form: str) -> None:
    """Take no new job and start no waiting one; what runs is finished.

    \b
    Example: headrace maintenance on --why "new disks"
    """
    _show(form, run(lambda client: client.turn_maintenance(on=True, why=why)))


@group.command(name="off")
@output_option
def off(form: str) -> None:
    """Take and start new work again.

    \b
    Example: headrace maintenance off
    """
    _show(form, run(lambda client: client.turn_maintenance(on=False)))


def _show(form: str, view: MaintenanceView) -> None:
    def text() -> None:
        if view.on:
            why = f": {view.why}" if view.why else ""
            click.echo(f"Headrace is in maintenance since {view.since}, by {view.by}{why}")
        else:
            click.echo("Headrace takes new work.")
        jobs = "1 job is" if view.under_way == 1 else f"{view.under_way} jobs are"
        click.echo(f"{jobs} under way.")

    show(form, view, text)
