"""A private Docker Engine for tests: real, on a unix socket, gone with all that is in it.

It runs in namespaces of its own (`scripts/lib/engine-init.sh`): the first process there takes
dockerd, all containers, mounts and bridges with it when it dies, so nothing outlives an engine,
and engines don't meet each other or the machine's own one. Two things differ from an engine on
the machine itself: the process numbers that it tells (`State.Pid`) are of its own namespace, and
without `outside` nothing in it reaches the network beyond, nor can be reached but by the socket.
"""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path
from time import monotonic, sleep

from tests.support.run_root import VARIABLE, remove_cgroups

_INIT = Path(__file__).parents[2] / "scripts" / "lib" / "engine-init.sh"
_READY_WITHIN_S = 180.0

# A name that no registry can have: an engine that is told to pull it fails at once.
SMALL_IMAGE = "127.0.0.1:1/headrace-test/small:1"
_SMALL_PROGRAMS = (
    "sh", "cat", "dd", "echo", "env", "head", "id", "ls", "mkdir", "sleep", "touch", "true", "yes",
)  # fmt: skip


def why_no_engine() -> str:
    """Why no engine can be started here, as a sentence; empty when one can."""
    if os.geteuid() != 0:
        return "a Docker Engine of the tests needs root"
    needed = ("dockerd", "docker", "containerd", "runc", "iptables", "ip", "unshare")
    missing = [each for each in needed if shutil.which(each) is None]
    return f"no {', '.join(missing)} here: apt-get install docker.io iptables" if missing else ""


class DockerEngine:
    """An engine with its files in `folder`, a folder below the run's root with a short path.

    `outside`: it shares the machine's network, without a bridge, so that builds with
    `--network host` can fetch; else it has a network of its own with Docker's usual bridge.
    The methods block, see `tests.support.redis_server`.
    """

    def __init__(self, folder: Path, *, outside: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._outside = outside
        self._log = folder / "dockerd.log"
        root = Path(os.environ[VARIABLE])
        self.cgroup = f"{root.name}/{'-'.join(folder.relative_to(root).parts)}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What DOCKER_HOST takes; the same after every start."""
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment for programs that shall speak to this engine."""
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.folder / "cli")}

    def start(self) -> None:
        """Start on the files as they are and wait for an answer; nothing when it runs.

        Raises RuntimeError with the end of its log when it ends or stays silent.
        """
        if self._process is not None and self._process.poll() is None:
            return
        Path("/run/containerd").mkdir(exist_ok=True)  # a mount point, see engine-init.sh
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = monotonic() + _READY_WITHIN_S
        while self.docker("version", check=False).returncode:
            if self._process.poll() is not None or monotonic() > deadline:
                self.kill9()
                tail = self._log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"dockerd does not answer; its log ends:\n{tail}")
            sleep(0.05)

    def kill9(self) -> None:
        """End it as a power cut would, with all its containers; nothing when it does not run.

        What it has on disk is kept for the next `start`.
        """
        if self._process is None:
            return
        number = self._process.pid
        with contextlib.suppress(OSError):  # it has ended by itself
            for child in Path(f"/proc/{number}/task/{number}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        # `unshare` waits for that child, and the kernel lets it end last of its namespace.
        self._process.wait(30)
        self._process = None
        remove_cgroups(self.cgroup)

    def docker(
        self, *words: str, stdin: bytes | None = None, check: bool = True, within_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the command `docker` here; raises AssertionError with what it said when it fails."""
        done = subprocess.run(
            ["docker", *words], input=stdin, capture_output=True, timeout=within_s,
            check=False, env=self.environ,
        )  # fmt: skip
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert not check or done.returncode == 0, f"docker {' '.join(words)}: {err}"
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def add_small_image(self) -> str:
        """Make an image of a few programs of this machine, without any network; returns its name.

        For tests that need a container, not a certain one: no Python, no package manager.
        """
        self.docker("import", "-", SMALL_IMAGE, stdin=small_image_tar())
        return SMALL_IMAGE

    def _command(self) -> list[str]:
        # An engine without a bridge removes the machine's docker0, unless it may not.
        network = ["setpriv", "--bounding-set=-net_admin"] if self._outside else ["--net"]
        options = ["--bridge=none", "--iptables=false", "--ip-forward=false"]
        return [
            "unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount",
            "--propagation=slave", "--uts", "--ipc", *network,
            str(_INIT), str(self.folder), "engine", "",
            f"--cgroup-parent=/{self.cgroup}", *(options if self._outside else ()),
        ]  # fmt: skip


def small_image_tar() -> bytes:
    """The root file system of the small image: programs, what they load, a few folders."""
    programs = [path for each in _SMALL_PROGRAMS if (path := shutil.which(each))]
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    libraries = {word for word in listed.split() if word.startswith("/") and ":" not in word}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", dereference=True) as archive:
        for folder, mode in (("tmp", 0o1777), ("etc", 0o755), ("dev", 0o755), ("proc", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for program in programs:
            archive.add(program, f"bin/{Path(program).name}")
        for library in sorted(libraries):
            archive.add(library)
    return made.getvalue()
