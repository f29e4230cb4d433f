"""A swarm of several nodes on this machine for tests, driven by scripts/dev-swarm.sh."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.docker_engine import SMALL_IMAGE, small_image_tar

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "scripts" / "dev-swarm.sh"
NODES = ["manager1", "worker1", "worker2"]
"""Of a swarm that `up` makes without more words."""
_STACK: Final = '{{.Label "com.docker.stack.namespace"}}'
_OF_ENGINES: Final = frozenset({"bridge", "host", "none", "ingress", "docker_gwbridge"})


def own_network(offset: int = 0) -> str:
    """The first three numbers of addresses that another run on this machine hardly has."""
    number = os.getpid() + offset
    return f"10.{100 + number % 100}.{number // 100 % 256}"


@dataclass(frozen=True, slots=True)
class Swarm:
    """A swarm in `folder`, with addresses in `network` ("10.9.8")."""

    folder: Path
    network: str

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the script; raises AssertionError with what it said when it fails."""
        done = subprocess.run(
            [SCRIPT, *words], capture_output=True, text=True, timeout=300, check=False,
            env=self.environ,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def heal(self, node: str) -> None:
        """Start a node that was killed; one whose engine does not come back is switched off and on
        once more, as a person would, and what it said is printed."""
        done = self.run("heal", node, check=False)
        if done.returncode == 0:
            return
        log = (self.folder / "nodes" / node / "dockerd.log").read_text(errors="replace")
        sys.stderr.write("\n".join((done.stderr, *log.splitlines()[-60:], "")))
        self.run("kill-node", node)
        self.run("heal", node)

    @property
    def environ(self) -> dict[str, str]:
        """For the script."""
        return {**os.environ, "HEADRACE_DEV_SWARM": str(self.folder)}

    @property
    def nodes(self) -> list[str]:
        """Their names, the first manager first."""
        return sorted(each.name for each in (self.folder / "nodes").iterdir())

    def host(self, node: str) -> str:
        """DOCKER_HOST of a node."""
        return f"unix://{self.folder}/nodes/{node}/docker.sock"

    def docker(self, node: str, *words: str, stdin: bytes | None = None) -> str:
        """What a docker command says that is run on a node."""
        done = subprocess.run(
            ["docker", *words], input=stdin, capture_output=True, timeout=120, check=False,
            env={**os.environ, "DOCKER_HOST": self.host(node)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def states(self) -> dict[str, str]:
        """The state of each node, as `status` tells."""
        said: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)
        return {node["name"]: node["state"] for node in said["nodes"]}

    def add_small_image(self) -> str:
        """Have a small image on each node, see `DockerEngine`; returns its name."""
        for node in self.nodes:
            self.docker(node, "import", "-", SMALL_IMAGE, stdin=small_image_tar())
        return SMALL_IMAGE

    def things(self) -> frozenset[str]:
        """A sentence for each container, network, volume, service, config and secret there is,
        but those of engines and of deployed stacks. What a test adds to them it has left."""
        found: list[str] = []
        for node in self.nodes:
            for kind, command in (
                ("container", ["ps", "-a", "--format", f"{{{{.Names}}}}\t{_STACK}"]),
                ("network", ["network", "ls", "--format", f"{{{{.Name}}}}\t{_STACK}"]),
                ("volume", ["volume", "ls", "--format", f"{{{{.Name}}}}\t{_STACK}"]),
            ):
                names = _without_stacks(self.docker(node, *command))
                found += [f"{kind} {name} on {node}" for name in names if name not in _OF_ENGINES]
        manager = self.nodes[0]
        for kind in ("config", "secret"):
            listed = self.docker(manager, kind, "ls", "--format", f"{{{{.Name}}}}\t{_STACK}")
            found += [f"{kind} {name}" for name in _without_stacks(listed)]
        if services := self.docker(manager, "service", "ls", "-q").split():
            form = '{{.Spec.Name}}\t{{index .Spec.Labels "com.docker.stack.namespace"}}'
            listed = self.docker(manager, "service", "inspect", "-f", form, *services)
            found += [f"service {name}" for name in _without_stacks(listed)]
        return frozenset(found)

    def as_the_manager_sees(self) -> dict[str, str]:
        """`docker node ls`: status by host name."""
        said = self.docker("manager1", "node", "ls", "--format", "{{.Hostname}} {{.Status}}")
        return dict(line.split() for line in said.splitlines())

    def processes(self) -> dict[str, list[int]]:
        """The first processes of each node, by its name; one each, when all is well."""
        found: dict[str, list[int]] = {node: [] for node in NODES}
        for number, words in commands():
            if len(words) > 3 and words[0] == "/bin/sh" and words[1].endswith("engine-init.sh"):
                folder = Path(words[2])
                if folder.parent == self.folder / "nodes":
                    found[folder.name].append(number)
        return found

    def left(self) -> list[str]:
        """Everything of this swarm that is on the machine."""
        lines = [" ".join(words) for _, words in commands() if str(self.folder) in "".join(words)]
        for command in (["ip", "-o", "link"], ["ip", "netns"], ["iptables-save"], ["mount"]):
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            ours = (f"hrsw{self._hex}", f"{self.network}.", str(self.folder))
            lines += [line for line in said.splitlines() if any(each in line for each in ours)]
        groups = Path("/sys/fs/cgroup").glob(f"**/headrace-dev-swarm-{self._hex}")
        return [*lines, *map(str, groups), *map(str, self.folder.glob("**/*"))]

    @property
    def _hex(self) -> str:
        return "".join(f"{int(each):02x}" for each in self.network.split("."))


def commands() -> Iterator[tuple[int, list[str]]]:
    """The command line of each process of this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text(errors="replace").split("\0")[:-1]
        except OSError:
            continue  # gone meanwhile
        if words:
            yield int(entry.name), words


def _without_stacks(lines: str) -> Iterable[str]:
    for line in lines.splitlines():
        name, _, stack = line.partition("\t")
        if not stack:
            yield name


def mounts_below(*folders: Path) -> list[str]:
    """What is still mounted below folders of this machine."""
    told = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [
        f"mount at {words[1]}"
        for words in told
        if any(Path(words[1]).is_relative_to(folder) for folder in folders)
    ]
