"""The command `headrace`. Commands are imported when they are used, so that help is quick."""

import os
import sys
import traceback
from typing import Final

import click

from headrace_client.cli import complete, exits
from headrace_client.cli.base import Asked, Late, Words
from headrace_model.errors import HeadraceError

_COMMANDS: Final = {
    "init": Late("headrace_client.cli.init:init", "Write a job file to begin with."),
    "exec": Late("headrace_client.cli.execute:group", "Run jobs: run, from_file, plan, validate."),
    "jobs": Late("headrace_client.cli.jobs:group", "See and steer jobs."),
    "nodes": Late("headrace_client.cli.nodes:group", "See the nodes."),
    "maintenance": Late(
        "headrace_client.cli.maintenance:group", "Keep new work away for a while."
    ),
    "dataset": Late("headrace_client.cli.dataset:group", "Upload, find and download data."),
    "evaluation": Late("headrace_client.cli.evaluation:group", "Compare results of evaluations."),
    "login": Late("headrace_client.cli.account:login", "Log in with a password."),
    "logout": Late("headrace_client.cli.account:logout", "Log out: forget and revoke the token."),
    "whoami": Late("headrace_client.cli.account:whoami", "Tell who you are here."),
    "users": Late("headrace_client.cli.users:group", "See and manage users."),
    "groups": Late("headrace_client.cli.groups:group", "See and manage groups of users."),
    "tokens": Late("headrace_client.cli.tokens:group", "Make and revoke tokens for programs."),
    "webhooks": Late("headrace_client.cli.webhooks:group", "Have addresses told of your jobs."),
    "secrets": Late("headrace_client.cli.secrets:group", "Keep secrets for your jobs."),
    "completion": Late(
        "headrace_client.cli.completion:completion", "Let the shell complete with TAB."
    ),
}


@click.group(
    cls=Words,
    late=_COMMANDS,
    plugins=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exits.TABLE,
)
@click.option("--url", metavar="URL", help="The server, for example http://127.0.0.1:8378.")
@click.option(
    "--token-file", metavar="FILE", help="The file with your token.", shell_complete=complete.file
)
@click.option(
    "--ca-file",
    metavar="FILE",
    help="The CA that vouches for an https server (PEM).",
    shell_complete=complete.file,
)
@click.version_option(package_name="headrace", message="headrace %(version)s")
@click.pass_context
def headrace(
    ctx: click.Context, url: str | None, token_file: str | None, ca_file: str | None
) -> None:
    """Bring data to models: ask for a model run, get a described result.

    \b
    Try:
      headrace local up
      headrace exec run --follow -- echo hello
      headrace init
      headrace doctor

    The server and token come from --url and --token-file, else from HEADRACE_URL and
    HEADRACE_TOKEN_FILE (or HEADRACE_TOKEN), else from `headrace login`, else from the Headrace on
    this machine.
    """
    ctx.obj = Asked(url, token_file, ca_file)


def main() -> None:
    """Run `headrace` as a program: every error is a sentence and an exit code."""
    try:
        code = run_cli(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has left (`| head`). Python flushes again at exit: give it nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = exits.OK
    except Exception as error:
        traceback.print_exc()  # for the report
        exits.print_error(f"an error inside headrace: {error!r}", "report it with the lines above")
        code = exits.INTERNAL
    sys.exit(code)


def run_cli(words: list[str]) -> int:
    """Run one command line and give its exit code; errors are said on standard error."""
    try:
        answer = headrace.main(args=words, prog_name="headrace", standalone_mode=False)
        return answer if isinstance(answer, int) else exits.OK
    except click.exceptions.Abort:
        return exits.INTERRUPTED
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        return _say_usage(error)
    except exits.Interrupted as interrupted:
        exits.print_error(interrupted.sentence, interrupted.next_step)
        return exits.INTERRUPTED
    except HeadraceError as error:
        exits.say(error)
        return exits.code_of(error)
    except KeyboardInterrupt:
        exits.print_error("interrupted", None)
        return exits.INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        exits.print_error(f"{error.filename or 'a file'}: {error.strerror or error}", None)
        return exits.REFUSED


def _say_usage(error: click.ClickException) -> int:
    """Say what is wrong with a command line; a group without a command shows its help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        sys.stderr.write(message + "\n")
        return exits.USAGE
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    where = ctx.command_path if ctx else "headrace"
    exits.print_error(message, f"`{where} -h` shows how")
    return exits.USAGE
