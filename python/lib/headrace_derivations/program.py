"""What the programs share that jobs run: lines for people, and how each ends."""

import sys
from collections.abc import Callable

from headrace_model.errors import HeadraceError


def say(line: str) -> None:
    """Write a line into the job's log at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_program(work: Callable[[], None], what: str, extra: str) -> None:
    """Do the work, and end with exit code 1 and a sentence where it can't be done.

    `what`: what needs packages that may be missing, those of the extra `extra`.
    """
    try:
        work()
    except HeadraceError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        raise SystemExit(f"{error.message}{hint}") from None
    except ImportError as error:
        raise SystemExit(
            f"{what} needs the package {error.name}, which these workers have not\n"
            f"pip install 'headrace[{extra}]' beside the agent, or use a worker image that has it"
        ) from None
