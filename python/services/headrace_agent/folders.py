"""The folder of each attempt on this node. Blocking: call it in a thread."""

import json
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace_agent.core.command import Folders
from headrace_agent.core.tasks import TaskRun
from headrace_model.spec import FileSpec
from headrace_model.work import Fact, FactKind
from headrace_wire.records import decode_fact, encode_fact


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """`<state>/attempts/<job>.<attempt>/` and what lies in it."""

    root: Path

    @property
    def run(self) -> str:
        """`<job>.<attempt>`."""
        return self.root.name

    @property
    def logs(self) -> Path:
        """`<rank>.out` and `<rank>.err` of each worker."""
        return self.root / "logs"

    @property
    def output(self) -> Path:
        """What `{output}` stands for."""
        return self.root / "output"

    @property
    def datasets(self) -> Path:
        """One folder a requirement, read-only."""
        return self.root / "datasets"

    @property
    def secrets(self) -> Path:
        """One file a secret that the job names, while its worker may run."""
        return self.root / "secrets"

    def folders(self, *, secrets: bool = False) -> Folders:
        """The paths that a worker is told; of `secrets` only where the job names any."""
        return Folders(
            datasets=str(self.datasets),
            output=str(self.output),
            work=str(self.root / "work"),
            tmp=str(self.root / "tmp"),
            home=str(self.root / "home"),
            job_file=str(self.root / "job.json"),
            secrets=str(self.secrets) if secrets else None,
        )

    def make(self) -> None:
        """Make the folders; success when they are there."""
        for name in ("datasets", "output", "work", "tmp", "home", "logs"):
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def write_job(self, spec: str, files: tuple[FileSpec, ...]) -> None:
        """Lay the files that travel with the job beside the worker, and the job file last.

        Once the job file is there nothing is written again: the worker may run already, and the
        files are its own from then on.
        """
        job_file = self.root / "job.json"
        if job_file.exists():
            return
        for each in files:
            path = self.root / "work" / each.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(each.content)
        part = job_file.with_suffix(".part")
        part.write_text(spec)
        part.rename(job_file)

    def write_secrets(self, values: Mapping[str, bytes]) -> None:
        """Lay the secrets beside a worker that is about to start, in the place of earlier ones.

        Never synced to the disk on purpose: a machine that went down starts no worker here again.
        """
        self.remove_secrets()
        self.secrets.mkdir(mode=0o700)
        for name, value in values.items():
            file = os.open(self.secrets / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with open(file, "wb") as opened:
                opened.write(value)

    def remove_secrets(self) -> None:
        """Remove the secrets, or what the worker put in their place; success when gone."""
        if self.secrets.is_symlink() or self.secrets.is_file():
            self.secrets.unlink()
        else:
            remove_tree(self.secrets)

    def write_part(self, digest: str, data: bytes) -> Path:
        """Lay a part's document beside the workers' folders until it is sent."""
        folder = self.root / "parts"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{digest}.json"
        path.write_bytes(data)
        return path

    def make_outputs(self, runs: Iterable[TaskRun]) -> None:
        """Make the output folders of tasks about to start; success when they are there."""
        for run in runs:
            (self.output / run.name).mkdir(mode=0o700, exist_ok=True)

    def remove_outputs(self, runs: Iterable[TaskRun]) -> None:
        """Remove the output folders of tasks that are reported."""
        for run in runs:
            folder = self.output / run.name
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if not folder.is_symlink():
                    remove_tree(folder)

    def note_watchdog(self) -> None:
        """Note that the agent is about to kill the worker, for the agent that tells of its end."""
        with suppress(FileNotFoundError):  # the attempt is cleaned already
            (self.root / "watchdog").touch()

    def watchdog_noted(self) -> bool:
        """Tell whether an agent noted so."""
        return (self.root / "watchdog").exists()

    def keep(self, fact: Fact) -> None:
        """Keep a fact on disk until the transition that it causes has happened."""
        path = self.root / f"{fact.kind}.json"
        part = path.with_suffix(".part")
        with part.open("w") as file:
            file.write(encode_fact(fact))
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    def kept(self, kind: FactKind) -> Fact | None:
        """A fact that an earlier run of the agent kept."""
        try:
            return decode_fact((self.root / f"{kind}.json").read_text())
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        """Remove all of it, read-only folders too; success when it is gone."""
        remove_tree(self.root)


def remove_tree(root: Path) -> None:
    """Remove a folder whatever a worker made of its modes; symlinks are not followed."""

    def let_in(folder: str) -> None:
        if not os.path.islink(folder):
            os.chmod(folder, stat.S_IRWXU)

    if not root.exists():
        return
    for folder, names, _ in os.walk(root):
        let_in(folder)
        for name in names:
            let_in(os.path.join(folder, name))
    shutil.rmtree(root)


def attempt_folders(state: Path) -> dict[str, AttemptFolder]:
    """The attempts that have a folder on this node."""
    base = state / "attempts"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {path.name: AttemptFolder(path) for path in base.iterdir() if path.is_dir()}


@dataclass(frozen=True, slots=True)
class Seen:
    """The Redis that this node served last, and what was here when another one took its place."""

    epoch: str
    quarantined: frozenset[str] = frozenset()  # runs "<job>.<attempt>"


def read_seen(state: Path) -> Seen | None:
    """What `write_seen` kept; None on a new node."""
    try:
        plain = json.loads((state / "epoch.json").read_text())
        return Seen(plain["epoch"], frozenset(plain.get("quarantined", ())))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def write_seen(state: Path, seen: Seen) -> None:
    """Remember it over the end of this agent."""
    part = state / "epoch.part"
    with part.open("w") as file:
        json.dump({"epoch": seen.epoch, "quarantined": sorted(seen.quarantined)}, file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(state / "epoch.json")
