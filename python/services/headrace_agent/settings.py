"""Settings of the agent."""

import socket
from dataclasses import dataclass

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the agent needs to know."""

    node: str = setting("Name of this node; empty: the machine's host name.", "")
    cpus: float = setting("CPUs to offer; 0: all that this process may use.", 0.0)
    memory_bytes: int = setting("Memory to offer; 0: nine tenths of the machine's.", 0)
    renew_s: float = setting("How often the node's counter is raised, in seconds.", 2.0)
    node_lost_s: float = setting(
        "How long the counter must stand still before another agent may take the node.", 10.0
    )
    exclusive_s: float = setting(
        "How long exclusive workers may run without a renewal, in seconds.", 6.0
    )
    cache_limit_bytes: int = setting("Size limit of the input cache.", 50 * 2**30)
    output_limit_items: int = setting("Most files that one output may hold.", 100_000)
    log_limit_bytes: int = setting("Most bytes that are kept of one log file.", 256 * 2**20)

    @property
    def node_name(self) -> str:
        """The node's name: lower case, as names of nodes are."""
        return self.node or socket.gethostname().split(".")[0].lower()
