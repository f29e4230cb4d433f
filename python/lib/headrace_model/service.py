"""Workers that a cluster runs as services: what a node's agent wishes, and how it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace_model.ids import JobId
from headrace_model.worker import Mount


def service_name(job: JobId, attempt: int, rank: int) -> str:
    """The name of the service of one worker."""
    return f"hr-{job}-{attempt}-{rank}"


@dataclass(frozen=True, slots=True)
class ServiceWish:
    """One worker that a node's agent wants to run on its node.

    `image` is an image's id, which the node has, and `mounts` are folders and files as the node's
    engine calls them. `memory_bytes` None means no limit.
    """

    job: JobId
    attempt: int
    rank: int
    image: str
    argv: tuple[str, ...]
    env: Mapping[str, object]
    cwd: str
    user: str
    labels: Mapping[str, object]
    mounts: tuple[Mount, ...]
    memory_bytes: int | None
    millicpus: int
    ranks: int = 1  # workers of the attempt, which reach each other; 1: it has no others

    @property
    def name(self) -> str:
        """The service's name."""
        return service_name(self.job, self.attempt, self.rank)

    @property
    def run(self) -> str:
        """`<job>.<attempt>`."""
        return f"{self.job}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class Wished:
    """A wish as it lies in Redis: None where it can't be read.

    `may_start`: the node is to launch the attempt and holds a share of it. `over`: the node owes
    the attempt nothing any more.
    """

    name: str
    wish: ServiceWish | None
    refused: bool
    may_start: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class AttemptNetwork:
    """What the workers of one attempt reach each other by: a network, and a secret of the same
    name that they share. `secret` is empty where the network was only found in a list."""

    job: JobId
    attempt: int
    id: str
    secret: str = ""

    @property
    def name(self) -> str:
        """The name of both."""
        return f"hr-{self.job}-{self.attempt}"

    @property
    def run(self) -> str:
        """`<job>.<attempt>`."""
        return f"{self.job}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class ServiceRefusal:
    """Why a wish can't be met; `retryable`: it is no fault of the job."""

    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A machine as its swarm's managers see it; `host` is its host name."""

    id: str
    host: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is there."""

    id: str
    name: str
    node: str
    epoch: str  # of the Redis that it was made for


class Progress(StrEnum):
    """How far the one task of a service got."""

    WAITS = "WAITS"  # it is to start
    REFUSED = "REFUSED"  # its node can't make the container
    RUNS = "RUNS"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class ServiceTask:
    """The newest task of a service; `message` is what the swarm says of it."""

    service: str  # its id
    progress: Progress
    message: str
