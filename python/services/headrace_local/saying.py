"""How the commands of this machine say what went wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from headrace_client.cli import exits
from headrace_model.errors import HeadraceError

HELP: Final = {"help_option_names": ["-h", "--help"]}


@contextmanager
def errors_said() -> Iterator[None]:
    """Say errors as sentences, with exit code 1."""
    try:
        yield
    except HeadraceError as error:
        exits.say(error)
        sys.exit(1)
    except BrokenPipeError:
        raise  # who read our output has left (`| head`)
    except OSError as error:  # a TimeoutError is one
        exits.print_error(str(error), "`headrace doctor` looks at everything")
        sys.exit(1)
