"""Which ports of this machine `headrace local up` takes."""

from headrace_local import health
from headrace_model.errors import Conflict


def choose(
    option: str, asked: int | None, remembered: int, *, ours: bool, default: int | None
) -> int:
    """The port that was asked for, else the one of before, else the default or a free one.

    `ours`: what listens on the remembered one is a run of ours that is about to be ended.
    Raises `Conflict` where another program has the one that was asked for.
    """
    port = asked or remembered
    if (ours and port == remembered) or health.is_free(port):
        return port
    if asked:
        raise Conflict(
            f"another program listens on port {port}",
            hint=f"name another one with {option}, or leave it out to have one chosen",
        )
    return default if default and health.is_free(default) else health.any_free_port()
