"""`headrace local up` in a home of its own, as a user types it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace_client.api import AsyncClient
from headrace_client.connection import find_connection
from headrace_local.folders import find_home
from tests.benchmarks.bench import NotHere

_CLI = "from headrace_local.cli import local; local(prog_name='headrace local')"


class Local:
    """A running `headrace local`; `with` it: afterwards nothing of it is left."""

    def __init__(self, home: Path, *words: str, settings: Mapping[str, str] | None = None) -> None:
        self._words = words
        self._settings = settings or {}
        self.environ = {**os.environ, "HEADRACE_HOME": str(home)}

    def __enter__(self) -> Self:
        self._do("up", *self._words)
        if self._settings:
            self._do("down")
            config = find_home(Path(self.environ["HEADRACE_HOME"])).config
            plain = json.loads(config.read_text())
            config.write_text(json.dumps({**plain, "settings": dict(self._settings)}))
            self._do("up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do("reset", "--yes")

    def client(self) -> AsyncClient:
        """A client with the admin's token."""
        found = find_connection(None, None, {"HEADRACE_HOME": self.environ["HEADRACE_HOME"]})
        return AsyncClient(found.url, found.token)

    def home_id(self) -> str:
        """What the home's processes are found by."""
        return find_home(Path(self.environ["HEADRACE_HOME"])).id

    def _do(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _CLI, *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotHere(f"headrace local {words[0]} failed: {done.stderr.strip()}")
