"""Reads resources.yaml, again whenever it changes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from headrace_model.bounds import Bounds, Policy
from headrace_model.errors import InvalidInput
from headrace_scheduler.core.limits import limited
from headrace_scheduler.core.snapshot import Node
from headrace_service.logs import logger
from headrace_wire.resourcesfile import parse_resources

_LARGEST_BYTES = 1 << 20


class LimitsFile:
    """`path` None: there is no such file, and nodes give all that they offer."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = ""  # the text of the last look, or what was wrong with it
        self._bounds = Bounds()
        self._text = ""
        self._log = logger("scheduler")

    @property
    def text(self) -> str:
        """What counts of the file, as it stands there; empty where there is no file."""
        return self._text

    @property
    def policy(self) -> Policy:
        """Who may pass whom in the queue."""
        return self._bounds.policy

    async def open(self) -> None:
        """Read it for the first time; raises `InvalidInput` where it is wrong or not there."""
        if self._path is not None:
            text, bounds = await asyncio.to_thread(_read, self._path, "")
            self._seen = self._text = text
            self._bounds = bounds or Bounds()

    async def look(self) -> None:
        """Read it again if it changed; one that is wrong or gone leaves all as it was."""
        if self._path is None:
            return
        try:
            text, bounds = await asyncio.to_thread(_read, self._path, self._seen)
        except InvalidInput as error:
            if error.message != self._seen:
                self._log.error(f"what was read before still counts: {error}", action="resources")
            self._seen = error.message
            return
        if bounds is not None:
            self._text, self._bounds = text, bounds
            self._log.info(f"read {self._path}", action="resources")
        self._seen = text

    def limit(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """The nodes with no more than the file gives them, and with their pools."""
        return limited(nodes, self._bounds)


def _read(path: Path, seen: str) -> tuple[str, Bounds | None]:
    """The text of the file, and what it says unless that is the one `seen`."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from None
    if len(content) > _LARGEST_BYTES:
        raise InvalidInput(f"{path} is larger than {_LARGEST_BYTES} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8") from None
    return text, None if text == seen else parse_resources(text)
