"""The lines that a nest and its clients exchange over the nest's socket.

Each message is one line of JSON with `v` (the version). A request has `id` and `op`; its reply
has the same `id` and either the answer's fields or `error: {code, message}`. A line without an
`id` is pushed to subscribers: `{exit: {…}}` or `{forgot: [key, …]}`.

| op | fields | answer |
|---|---|---|
| ping | | boot, pid, living, memory_limit_by, sample_ms |
| spawn | key, argv, env, cwd, stdout, stderr, memory, exclusive | worker |
| queue | job, attempt, slots, env, cwd, memory, exclusive, logs, tasks (see `nest_queue`) | |
| stop | job, attempt, grace_ms | left: the keys not yet gone |
| signal | job, attempt, number | sent: to how many |
| list | after (a sequence number, 0 first), at most | workers, last, more |
| usage | | usage: [{key (of a rank), cpu_s, read, written, memory, at_ms}] |
| forget | job, attempt, maybe keys: only those of its workers | forgot |
| subscribe | | |
| shutdown | | |

A key is written `<job>.<attempt>.<rank>`, that of a task `<job>.<attempt>.<rank>.<lease>.<index>`.
Only the standard library is imported, and little of it, since the nest lives by this module.
"""

import json
from typing import Any, Final, TypeAlias

from headrace_model.errors import InvalidInput, TooLarge

Message: TypeAlias = dict[str, Any]

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Above what execve(2) takes for arguments and environment together, escaped as JSON."""
SOCKET_NAME: Final = "socket"
LOCKED_STATUS: Final = 75
"""Exit status of a nest that found another nest in its folder (EX_TEMPFAIL of sysexits.h)."""


def encode(message: Message) -> bytes:
    """Write a message as one line; bytes that are no UTF-8 travel as lone surrogates."""
    return json.dumps({"v": VERSION, **message}, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Read one line; raises `InvalidInput` for what is no message of this version."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"a message to or from the nest is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise InvalidInput("a message to or from the nest is not a JSON object")
    if message.get("v") != VERSION:
        raise InvalidInput(
            f"a message to or from the nest has version {message.get('v')!r}, this program "
            f"speaks {VERSION}",
            hint="let the node's workers end, then start its agent anew",
        )
    return message


def split_key(key: str) -> tuple[str, int, int, int, int]:
    """Take a key apart: job, attempt, rank, lease and index (both 0 of a worker that is no task).

    Raises `InvalidInput`.
    """
    job, *numbers = key.split(".")
    if not (
        job
        and len(numbers) in (2, 4)
        and all(number.isascii() and number.isdigit() for number in numbers)
    ):
        raise InvalidInput(
            f"{key[:80]!r} is no worker's key: <job>.<attempt>.<rank>, and of a task "
            "….<lease>.<index>, is expected"
        )
    attempt, rank, lease, index = (int(number) for number in (*numbers, "0", "0")[:4])
    return job, attempt, rank, lease, index


class LineBuffer:
    """Cuts a stream of bytes into lines."""

    def __init__(self, limit_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes; gives the lines completed by them. Raises `TooLarge` over the limit."""
        searched = len(self._rest)
        self._rest += data
        if b"\n" not in data:
            lines: list[bytes] = []
        else:
            cut = self._rest.rindex(b"\n", searched) + 1
            lines = bytes(self._rest[:cut]).split(b"\n")[:-1]
            del self._rest[:cut]
        longest = max((len(line) for line in lines), default=0)
        if max(longest, len(self._rest)) > self._limit_bytes:
            raise TooLarge(f"a message is longer than {self._limit_bytes} bytes")
        return lines
