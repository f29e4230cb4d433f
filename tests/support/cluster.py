"""Cluster agents as real processes, and one-node swarms for them."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace_cluster.settings import Settings
from headrace_service.settings import to_environ
from tests.support.docker_engine import DockerEngine
from tests.support.preloaded import Preloaded

_WAIT_S = 90.0


class SwarmEngine(DockerEngine):
    """A private engine that is a swarm of its own, the machine `engine`."""

    node = "engine"

    def start(self) -> None:
        """Start, and make it a swarm where it is none."""
        super().start()
        if self.docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip() != "active":
            self.docker("swarm", "init", "--advertise-addr", "127.0.0.1")

    @property
    def member(self) -> str:
        """Its id in its swarm."""
        return self.docker("info", "--format", "{{.Swarm.NodeID}}").stdout.strip()


class ClusterProcess:
    """Runs of `python -m headrace_cluster.main`, one after another."""

    def __init__(self, folder: Path, redis_url: str, docker_url: str, **other: Any) -> None:
        token = folder / "cluster.token"
        token.write_text("t" * 40)
        token.chmod(0o600)
        self.settings = replace(
            Settings(
                state_dir=folder,
                redis_url=redis_url,
                internal_token_file=token,
                docker_url=docker_url,
                lease_s=1.5,
                sweep_s=0.5,
            ),
            **other,
        )
        self._log = folder / "cluster.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start a run."""
        with self._log.open("ab") as out:
            self._process = Preloaded(
                [sys.executable, "-m", "headrace_cluster.main"],
                env={**os.environ, **to_environ(self.settings)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def start_where_none(self) -> None:
        """Start a run unless one is there."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def said(self, words: str) -> bool:
        """Tell whether some run said so."""
        return self._log.exists() and words in self._log.read_text(errors="replace")

    def kill9(self) -> None:
        """End the run by SIGKILL; nothing when there is none."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_WAIT_S)

    def stop(self) -> None:
        """End the run gracefully; nothing when there is none."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_WAIT_S)
