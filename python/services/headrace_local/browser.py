"""The way into the GUI: an address that signs the user of this machine in, once."""

import click

from headrace_gui.service.codes import make_code
from headrace_local import power
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
@click.option("--open", "show", is_flag=True, help="Open it in this machine's browser too.")
def gui(show: bool) -> None:
    """Print an address that opens the web GUI and signs you in.

    It is good once, and for ten minutes.
    """
    with errors_said():
        home = find_home()
        power.check_home(home)
        if not power.running(home):
            raise Unavailable("Headrace is not up", hint="`headrace local up` first")
        url = sign_in_url(home, load(home))
    click.echo(url)
    if show:
        import webbrowser

        webbrowser.open(url)
