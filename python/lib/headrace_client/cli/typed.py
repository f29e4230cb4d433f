"""What must not stand on a command line: passwords and secrets, typed unseen or read from a file.

A command line can be read by everybody on the machine and stays in the shell's history.
"""

import sys
from pathlib import Path
from typing import Final

import click

from headrace_client.cli.show import note, write
from headrace_model.errors import InvalidInput
from headrace_wire.people import LONGEST_PASSWORD

_STDIN: Final = "-"


def password_from(file: str | None, question: str, *, twice: bool = False) -> str:
    """A password: the first line of a file (`-`: standard input), else typed unseen.

    Without a terminal it is the next line of standard input. `twice`: it is asked for again.
    Raises `InvalidInput` for none.
    """
    password = _typed_password(file, question, twice)
    if not password:
        raise InvalidInput(
            "no password is given",
            hint="write it into the first line, or run the command on a terminal",
        )
    return password


def old_password_from(file: str | None, question: str) -> str | None:
    """A password like `password_from`; None for an empty line: there was none until now."""
    return _typed_password(file, question, False) or None


def _typed_password(file: str | None, question: str, twice: bool) -> str:
    if file not in (None, _STDIN):
        return _line(Path(str(file)).read_text())
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt(
            question,
            hide_input=True,
            err=True,
            confirmation_prompt="Once more" if twice else False,
        )
        return typed
    # One line: a second password may stand on the next.
    return _line(sys.stdin.readline(LONGEST_PASSWORD + 2))


def secret_from(file: str | None, question: str) -> str:
    """A secret: a whole file (`-`: standard input) as it is, else typed unseen on a terminal."""
    if file is None and sys.stdin.isatty():
        typed: str = click.prompt(question, hide_input=True, err=True)
        return typed
    source = sys.stdin.buffer.read() if file in (None, _STDIN) else Path(str(file)).read_bytes()
    try:
        value = source.decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            "a secret is text in UTF-8", hint="encode other bytes, for example with base64"
        ) from None
    if not value:
        raise InvalidInput("the secret is empty", hint="`--from-file FILE` reads it from a file")
    return value


def tell_once(text: str, what: str) -> None:
    """Write a new password or token to standard output, and say that it is not shown again."""
    write(text)
    note_once(what)


def note_once(what: str) -> None:
    """Say that what stands in the answer is not shown again."""
    note(f"headrace: keep the {what} now: it can't be shown again")


def _line(text: str) -> str:
    return text.split("\n", 1)[0]
