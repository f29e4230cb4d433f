"""The folder of each attempt on this node. Blocking: call it in a thread."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace_agent.core.command import INSIDE, Folders
from headrace_agent.core.restored import Seen
from headrace_agent.core.tasks import TaskRun
from headrace_agent.trees import remove_tree
from headrace_model.resources import Resources, generic
from headrace_model.spec import FileSpec
from headrace_model.work import Fact, FactKind
from headrace_model.worker import Mount
from headrace_wire.jobfile import load_jobtext
from headrace_wire.records import decode_fact, encode_fact


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """`<state>/attempts/<job>.<attempt>/` and what lies in it.

    `user` (uid, gid) is whom workers run as, where that is another than the agent.
    """

    root: Path
    user: tuple[int, int] | None = None

    @property
    def run(self) -> str:
        """`<job>.<attempt>`."""
        return self.root.name

    @property
    def logs(self) -> Path:
        """`<rank>.out` and `<rank>.err` of each worker, and `<rank>.usage`: its samples."""
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
    def environment(self) -> Path:
        """Pins the software environment that the attempt uses."""
        return self.root / "environment"

    @property
    def secrets(self) -> Path:
        """One file a secret that the job names, while its worker may run."""
        return self.root / "secrets"

    @property
    def checkpoint(self) -> Path:
        """What `{checkpoint}` stands for; not there before it was laid."""
        return self.root / "checkpoint"

    @property
    def parallel(self) -> Path:
        """What ranks that work together find each other by."""
        return self.root / "parallel"

    def folders(self, *, secrets: bool = False, checkpoint: bool = False) -> Folders:
        """The paths that a worker is told; of `secrets` only where the job names any."""
        return Folders(
            datasets=str(self.datasets),
            output=str(self.output),
            work=str(self.root / "work"),
            tmp=str(self.root / "tmp"),
            home=str(self.root / "home"),
            job_file=str(self.root / "job.json"),
            secrets=str(self.secrets) if secrets else None,
            checkpoint=str(self.checkpoint) if checkpoint else None,
        )

    def mounts(self, *, secrets: bool = False, checkpoint: bool = False) -> tuple[Mount, ...]:
        """How a worker in an image gets at them; it sees them where `INSIDE` says."""
        read_only = {self.datasets: INSIDE.datasets, self.root / "job.json": INSIDE.job_file}
        if secrets and INSIDE.secrets:
            read_only[self.secrets] = INSIDE.secrets
        written = {
            self.output: INSIDE.output,
            self.root / "work": INSIDE.work,
            self.root / "home": INSIDE.home,
        }
        if checkpoint and INSIDE.checkpoint:
            written[self.checkpoint] = INSIDE.checkpoint
        return (
            *(Mount(str(source), target) for source, target in read_only.items()),
            *(Mount(str(source), target, read_only=False) for source, target in written.items()),
        )

    def make(self) -> None:
        """Make the folders; success when they are there."""
        for name in ("datasets", "output", "work", "tmp", "home", "logs"):
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("datasets", "output", "work", "home"):
            self._give(self.root / name)

    def _give(self, path: Path) -> None:
        """Let the workers' user have what the agent made for it; what a link names stays as is."""
        if self.user is not None:
            os.chown(path, *self.user, follow_symlinks=False)

    def give_all(self, root: Path) -> None:
        """Let the workers' user have a folder with all that is in it."""
        for folder, _, names in os.walk(root):
            self._give(Path(folder))
            for name in names:
                self._give(Path(folder) / name)

    def remove_inside(self, path: Path) -> None:
        """Remove something of the attempt's; success when it is gone."""
        remove_tree(path)

    def note_started(self) -> float:
        """Note that the worker runs, once; returns when that was, in seconds since 1970."""
        note = self.root / "started"
        with suppress(FileExistsError):
            note.touch(exist_ok=False)
        return note.stat().st_mtime

    @property
    def warned(self) -> bool:
        """Tell whether the worker was warned of its time limit."""
        return (self.root / "warned").exists()

    def note_warned(self) -> None:
        """Note that it is about to be."""
        (self.root / "warned").touch()

    def keep_share(self, share: Resources) -> None:
        """Keep what this node gives to the attempt: no job file tells, and Redis may forget it."""
        part = self._share.with_suffix(".part")
        part.write_text(json.dumps([share.millicpus, share.memory_bytes, *share.generic]))
        part.rename(self._share)

    def share(self) -> Resources | None:
        """What the node gives to the attempt; None where nothing was launched.

        Agents of versions before kept no share: what the whole job asks for is no less.
        """
        with suppress(FileNotFoundError):
            millicpus, memory_bytes, *pieces = json.loads(self._share.read_text())
            return Resources(millicpus, memory_bytes, generic(dict(pieces)))
        with suppress(FileNotFoundError):
            return load_jobtext((self.root / "job.json").read_text()).resources.amount
        return None

    @property
    def _share(self) -> Path:
        return self.root / "share.json"

    @property
    def is_laid(self) -> bool:
        """Tell whether the files lie beside the worker, or no worker may start any more."""
        return (self.root / "job.json").exists() or self._barred.exists()

    def write_job(
        self,
        spec: str,
        files: tuple[FileSpec, ...],
        parallel: Mapping[str, str],
        links: Mapping[str, str],
    ) -> None:
        """Lay the files that travel with the job beside the worker, with links to others, those of
        its `parallel` folder if there are any, and the job file last.

        Once the job file is there nothing is written again: the worker may run already, and the
        files are its own from then on.
        """
        if self.is_laid:
            return
        job_file = self.root / "job.json"
        for each in files:
            path = self.root / "work" / each.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a link that was laid before leads into staged data
            with path.open("xb") as file:
                file.write(each.content)
            for made in (path, *path.parents[: len(Path(each.name).parts) - 1]):
                self._give(made)
        for name, target in links.items():
            link = self.root / "work" / name
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self._give(link)
        if parallel:
            self.parallel.mkdir(mode=0o700, exist_ok=True)
            self._give(self.parallel)
        for name, text in parallel.items():
            (self.parallel / name).write_text(text)
            self._give(self.parallel / name)
        part = job_file.with_suffix(".part")
        part.write_text(spec)
        self._give(part)
        part.rename(job_file)

    def write_secrets(self, values: Mapping[str, bytes]) -> None:
        """Lay the secrets beside a worker that is about to start; success when they lie there.

        All of them appear at once, and then stay: a container that an agent before this one
        asked for may bind the folder at any moment. Never synced to the disk on purpose: a
        machine that went down starts no worker here again.
        """
        if self.secrets.is_dir():
            return
        self.remove_secrets()  # what was half laid
        part = self._secrets_part
        part.mkdir(mode=0o700)
        for name, value in values.items():
            file = os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with open(file, "wb") as opened:
                opened.write(value)
            self._give(part / name)
        self._give(part)
        part.rename(self.secrets)

    @property
    def _secrets_part(self) -> Path:
        return self.root / "secrets.part"

    def bar(self) -> None:
        """Let no worker start here any more: one whose start comes late finds no job file."""
        with suppress(FileNotFoundError):
            (self.root / "job.json").rename(self._barred)

    @property
    def _barred(self) -> Path:
        return self.root / "job.over.json"

    def remove_secrets(self) -> None:
        """Remove the secrets, or what the worker put in their place; success when gone."""
        remove_tree(self.secrets)
        remove_tree(self._secrets_part)

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
            self._give(self.output / run.name)

    def remove_outputs(self, runs: Iterable[TaskRun]) -> None:
        """Remove the output folders of tasks that are reported."""
        for run in runs:
            remove_tree(self.output / run.name)

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


def attempt_folders(state: Path) -> dict[str, AttemptFolder]:
    """The attempts that have a folder on this node."""
    base = state / "attempts"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {path.name: AttemptFolder(path) for path in base.iterdir() if path.is_dir()}


def read_seen(state: Path) -> Seen | None:
    """What `write_seen` kept; None on a new node."""
    try:
        plain = json.loads((state / "epoch.json").read_text())
        kept, gone = (frozenset(plain.get(name, ())) for name in ("quarantined", "gone"))
        return Seen(plain["epoch"], kept, gone)
    except (FileNotFoundError, ValueError, KeyError):
        return None


def write_seen(state: Path, seen: Seen) -> None:
    """Remember it over the end of this agent."""
    part = state / "epoch.part"
    with part.open("w") as file:
        lists = {"quarantined": sorted(seen.quarantined), "gone": sorted(seen.gone)}
        json.dump({"epoch": seen.epoch, **lists}, file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(state / "epoch.json")
