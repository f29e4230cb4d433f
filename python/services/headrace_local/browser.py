"""The way into the GUI: an address that signs the user of this machine in, once."""

import click

from headrace_gui.service.codes import make_code
from headrace_local import power, processes
from headrace_local.config import Config, load
from headrace_local.folders import find_home
from headrace_local.layout import Home
from headrace_local.saying import HELP, errors_said
from headrace_model.errors import NotFound, Unavailable


def sign_in_url(home: Home, config: Config) -> str:
    """The GUI's address with a one-time code behind `#`, which browsers send to nobody.

    Raises `NotFound` where this machine's admin has no token.
    """
    try:
        token = home.admin_token.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NotFound(
            f"{home.admin_token} is missing", hint="`headrace local reset-admin` makes a new one"
        ) from None
    return f"{config.gui_url}/#code={make_code(home.codes, token)}"


@click.command(context_settings=HELP)
def gui() -> None:
    """Print an address that opens the web GUI and signs you in.

    It is good once, and for ten minutes.
    """
    with errors_said():
        home = find_home()
        power.check_home(home)
        if not power.running(home):
            raise Unavailable("Headrace is not up", hint="`headrace local up` first")
        config = load(home)
        # While the services start anew somebody else may hold the port: his page would get it.
        ours = processes.find(home.id, "services")
        if not any(processes.listens(each.pid, config.gui_port) for each in ours):
            raise Unavailable(
                "the GUI is not up", hint="it starts again by itself; ask again soon"
            )
        url = sign_in_url(home, config)
    click.echo(url)
