"""Settings of the monitor."""

from dataclasses import dataclass

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the monitor needs to know."""

    node_lost_s: float = setting(
        "How long a node's counter may stand still before the node is lost, in seconds.", 10.0
    )
    webhook_networks: str = setting(
        "Networks that webhooks may reach besides public addresses, over http too: 10.1.0.0/16, "
        "commas between.",
        "",
    )
