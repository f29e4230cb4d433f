"""Settings of the agent."""

import socket
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from headrace_service.settings import CommonSettings, setting

DOCKER_URL: Final = "unix:///run/docker.sock"


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the agent needs to know."""

    node: str = setting("Name of this node; empty: the machine's host name.", "")
    backend: str = setting(
        "What runs workers: process, docker (containers), or swarm (containers that a Docker "
        "Swarm makes on this node, by the cluster agent).",
        "process",
    )
    docker_url: str = setting(
        "Where this machine's container engine listens, with the backends docker and swarm.",
        DOCKER_URL,
    )
    state_volume: str = setting(
        "The engine's volume that state_dir is the mount of, where the agent itself runs in a "
        "container; empty: state_dir is the machine's own folder.",
        "",
    )
    docker_network: str = setting(
        "The engine's network that workers are in; with the backend swarm: tasks of arrays only.",
        "bridge",
    )
    worker_image: str = setting(
        "The image of jobs that name none, with the backend docker; empty: the worker image of "
        "this version, headrace/worker-python.",
        "",
    )
    registry_logins_file: str = setting(
        "File (mode 0600) with logins at registries of images, in the form of docker's "
        "config.json, read for each pull; empty: those of the agent's own user (`docker login`).",
        "",
    )
    images: str = setting(
        "What names of images stand for here, as NAME=REFERENCE apart by blanks: on a swarm the "
        "images of Headrace lie in a registry of their own.",
        "",
    )
    cpus: float = setting("CPUs to offer; 0: all that this process may use.", 0.0)
    memory_bytes: int = setting("Memory to offer; 0: nine tenths of the machine's.", 0)
    redis_join_password_file: str = setting(
        "File (mode 0600) with the join secret: the agent makes a password for itself, and asks "
        "the cluster agent to be let in by it; empty: redis_password_file holds its password.",
        "",
    )
    checkpoint_every_s: float = setting(
        "How often what a worker has left in {checkpoint} is shipped while it runs, in seconds; "
        "only where it has changed.",
        60.0,
    )
    checkpoint_limit_bytes: int = setting("The most that a checkpoint may hold.", 2**30)
    gpus: int = setting("GPUs to tell of; -1: as many as /dev/nvidia0, 1, … there are.", -1)
    renew_s: float = setting("How often the node's counter is raised, in seconds.", 2.0)
    node_lost_s: float = setting(
        "How long the counter must stand still before another agent may take the node.", 10.0
    )
    exclusive_s: float = setting(
        "How long exclusive workers may run without a renewal, in seconds.", 6.0
    )
    cache_limit_bytes: int = setting("Size limit of the input cache.", 50 * 2**30)
    environments_limit_bytes: int = setting("Size limit of the software environments.", 20 * 2**30)
    disk_spare_percent: int = setting(
        "Share of the disk of state_dir below which the node takes no new attempts, in percent.", 5
    )
    disk_spare_bytes: int = setting(
        "Free bytes that are enough for new attempts, whatever share of the disk they are.",
        2 * 2**30,
    )
    output_limit_items: int = setting("Most files that one output may hold.", 100_000)
    partial_limit_bytes: int = setting(
        "Most bytes that are kept of what a failed attempt had written.", 2**30
    )
    log_limit_bytes: int = setting("Most bytes that are kept of one log file.", 256 * 2**20)

    @property
    def image(self) -> str:
        """The image of jobs that name none."""
        return self.worker_image or f"headrace/worker-python:{version('headrace')}"

    @property
    def image_names(self) -> dict[str, str]:
        """What `images` says: references by names."""
        return dict(each.split("=", 1) for each in self.images.split() if "=" in each)

    @property
    def node_name(self) -> str:
        """The node's name: lower case, as names of nodes are."""
        return self.node or socket.gethostname().split(".")[0].lower()
