"""The settings of each service, as the environment that it reads them from.

The one source for all services in one process (`services.py`) and for each as its own process.
"""

from urllib.parse import quote

from headrace_adapters.redis.acl import ADMIN, user_of
from headrace_local.config import Config
from headrace_local.layout import Home
from headrace_service.settings import PREFIX

NODE = "local"
"""The one node's name: the same after the machine got another host name."""


def environ_for(home: Home, config: Config, service: str, replica: int = 1) -> dict[str, str]:
    """All `HEADRACE_*` variables of a service; `config.settings` wins over what we choose."""
    user = user_of(service, NODE)
    chosen = {
        "state_dir": str(home.state_of(service, replica)),
        "redis_url": redis_url(home, user),
        "redis_password_file": str(home.password(user)),
        "internal_token_file": str(home.internal_token),
        "listen": f"unix:{home.socket(service, replica)}",
        "data_url": f"unix:{home.socket('data')}",
        **_own(home, config, service),
        **config.settings,
    }
    return {PREFIX + name.upper(): value for name, value in chosen.items()}


def _own(home: Home, config: Config, service: str) -> dict[str, str]:
    match service:
        case "request":
            return {
                "listen": f"127.0.0.1:{config.port}",
                "scheduler_url": f"unix:{home.socket('scheduler')}",
                "disk_path": str(home.redis),
                "tls_cert_file": config.tls_cert,
                "tls_key_file": config.tls_key,
            }
        case "data":
            return {
                "secrets_key_file": str(home.secrets_key),
                "store": config.store or str(home.store),
                "store_credentials_file": config.store_credentials,
            }
        case "agent":
            return {
                "node": NODE,
                "cpus": f"{config.cpus:g}",
                "memory_bytes": str(config.memory_bytes),
            }
        case _:
            return {}


def gui_environ(home: Home, config: Config) -> dict[str, str]:
    """The same of the GUI, which is no service: it has no Redis and no internal token."""
    chosen = {
        "request_url": config.url,
        "request_ca_file": config.tls_cert,
        "session_key_file": str(home.session_key),
        "codes_dir": str(home.codes),
        "listen": f"127.0.0.1:{config.gui_port}",
        "tls_cert_file": config.tls_cert,
        "tls_key_file": config.tls_key,
        **config.settings,
    }
    return {PREFIX + name.upper(): value for name, value in chosen.items()}


def redis_url(home: Home, user: str = ADMIN) -> str:
    """The URL of the home's Redis for a user; blanks and the like in the path are quoted."""
    return f"unix://{user}@{quote(str(home.redis_socket))}"
