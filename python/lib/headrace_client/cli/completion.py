"""`headrace completion`: the script that teaches a shell what may stand after TAB."""

import click
from click.shell_completion import get_completion_class

from headrace_client.cli.show import write

_VARIABLE = "_HEADRACE_COMPLETE"  # click looks for it under this name


@click.command(name="completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write what makes TAB complete commands, options, jobs, datasets: bash, zsh or fish.

    \b
    Example: headrace completion bash >> ~/.bashrc
             headrace completion zsh >> ~/.zshrc
             headrace completion fish > ~/.config/fish/completions/headrace.fish

    Ids of jobs and names of datasets are asked of the server, for a second at most.
    """
    known = get_completion_class(shell)
    if known is None:
        raise AssertionError(f"click knows no {shell}")
    root = ctx.find_root()
    write(known(root.command, {}, "headrace", _VARIABLE).source().rstrip("\n"))
