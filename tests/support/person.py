"""Somebody with a shell of their own, at a Headrace that a test runs."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.preloaded import Done, run

SMALL = ("--cpus", "100m", "--memory", "64MiB")
_CLI = "from headrace_client.cli import main; main()"
_WITHIN_S = 120.0


@dataclass(slots=True)
class Person:
    """Somebody with a shell of their own, which knows nothing but the server's address."""

    name: str
    folder: Path
    url: str
    password: str = ""

    def cli(self, *words: str, typed: str = "", token: str | None = None) -> Done:
        """`headrace …` to its end; `token`: shown instead of the login's."""
        environ = {
            **os.environ,
            "HEADRACE_HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "HEADRACE_URL": self.url,
            **({"HEADRACE_TOKEN": token} if token else {}),
        }
        command = [sys.executable, "-c", _CLI, *words]
        return run(command, typed=typed, timeout=_WITHIN_S, env=environ, cwd=self.folder)

    def code(self, *words: str, **how: Any) -> int:
        """How `headrace …` ends; an error has to be a sentence."""
        done = self.cli(*words, **how)
        assert "Traceback" not in done.stderr
        assert "something went wrong" not in done.stderr, done.stderr
        return done.returncode

    def said(self, *words: str, **how: Any) -> Any:
        """`headrace … -o json`, which must go well; gives what it said."""
        done = self.cli(*words, "-o", "json", **how)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def log_in(self) -> Done:
        """`headrace login` with what this person takes for their password."""
        return self.cli("login", "--user", self.name, typed=self.password + "\n")

    def token(self, *words: str) -> str:
        """A token that this person makes."""
        done = self.cli("tokens", "create", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit(self, *command: str) -> str:
        """Submit a small job; gives its id."""
        done = self.cli("exec", "run", *SMALL, "--", *command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit_file(self, spec: str) -> str:
        """Submit a job file (JSON); gives the job's id."""
        done = self.cli("exec", "from_json", "-", typed=spec)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def jobs(self) -> set[str]:
        """The ids of the jobs that this person's list shows."""
        return {each["id"] for each in self.said("jobs", "list", "--limit", "1000")}

    def datasets(self) -> set[str]:
        """The names of the datasets that this person's list shows."""
        return {each["name"] for each in self.said("dataset", "list", "--limit", "1000")}


@dataclass(frozen=True, slots=True)
class People:
    """Who is there. All but the admin are logged in; carol and vera are in the group models."""

    bob: Person
    carol: Person
    vera: Person
    olaf: Person
