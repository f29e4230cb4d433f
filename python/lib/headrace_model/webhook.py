"""Webhooks: which events of a user's jobs are told to whom, and how often that is tried."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from headrace_model.errors import InvalidInput
from headrace_model.status import Status

MOST_TRIES: Final = 12
"""Over about a day."""
MOST_OF_ONE_USER: Final = 500
"""Messages that wait."""
_FIRST_MS: Final = 10_000
_LONGEST_MS: Final = 4 * 3_600_000
_MOST_URL: Final = 500
_NOT_FAILED: Final = frozenset({Status.COMPLETED, Status.CANCELED, Status.STOPPED})


class HookEvent(StrEnum):
    """What may be told of a job."""

    STARTED = "started"  # its workers run
    ENDED = "ended"  # it is closed, however
    FAILED = "failed"  # it is closed, and neither completed nor stopped nor canceled


def events_of(before: str, after: Status) -> tuple[HookEvent, ...]:
    """What a transition is, the most telling first."""
    if after is Status.RUNNING and before != Status.RUNNING:
        return (HookEvent.STARTED,)
    if not after.closed:
        return ()
    return (HookEvent.ENDED,) if after in _NOT_FAILED else (HookEvent.FAILED, HookEvent.ENDED)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A rule of a user: events of jobs of theirs go to an address, signed with its secret.

    `kind` and `name` (what a job's name begins with) leave out other jobs; empty: none. Raises
    `InvalidInput`.
    """

    id: str
    url: str
    events: tuple[HookEvent, ...]
    secret: str
    created_ms: int
    kind: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        check_url(self.url)
        if not self.events or len(set(self.events)) != len(self.events):
            raise InvalidInput("events: started, ended or failed are expected, each once")
        if len(self.kind) > 64 or len(self.name) > 128:
            raise InvalidInput("kind and name have at most 64 and 128 characters")

    def takes(self, events: tuple[HookEvent, ...], kind: str, name: str) -> HookEvent | None:
        """The event that is to be told of a job, of those that a transition is."""
        if (self.kind and kind != self.kind) or not name.startswith(self.name):
            return None
        return next((each for each in events if each in self.events), None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that a webhook is still to get. `error`: why the last try failed."""

    id: str
    user: str
    hook: str
    body: str
    tries: int = 0
    next_ms: int = 0
    error: str = ""

    def again(self, now_ms: int, error: str) -> "Delivery | None":
        """The next try, after ten seconds and then each time thrice as long, up to four hours;
        None when there were enough."""
        tries = self.tries + 1
        if tries >= MOST_TRIES:
            return None
        wait_ms = min(_FIRST_MS * 3 ** (tries - 1), _LONGEST_MS)
        return replace(self, tries=tries, next_ms=now_ms + wait_ms, error=error[:200])


def check_url(url: str) -> None:
    """Raise `InvalidInput` for what is no address that messages could be sent to."""
    hint = "write for example https://example.org/hook"
    if len(url) > _MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(f"url: at most {_MOST_URL} plain characters", hint=hint)
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise InvalidInput(
            "url: an address with https:// is expected (http:// only in networks that the "
            "operator allows: webhook_networks)",
            hint=hint,
        )
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInput("url: without a user, a password or a fragment", hint=hint)


def with_room(
    new: Sequence[Delivery], waiting: Iterable[Delivery], most: int = MOST_OF_ONE_USER
) -> list[Delivery]:
    """Those of the new messages that their users have room for: nobody fills the room of all."""
    counts = Counter(each.user for each in waiting)
    found = []
    for each in new:
        if counts[each.user] < most:
            counts[each.user] += 1
            found.append(each)
    return found
