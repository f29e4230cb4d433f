"""Settings of the cluster agent."""

from dataclasses import dataclass
from typing import Final

from headrace_service.settings import CommonSettings, setting

DOCKER_URL: Final = "unix:///run/docker.sock"


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the cluster agent needs to know."""

    docker_url: str = setting("Where an engine that manages the swarm listens.", DOCKER_URL)
    swarm_owner: str = setting(
        "Marks what this Headrace makes in the swarm; another one there needs another.", "headrace"
    )
