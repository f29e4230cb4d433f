"""What `up` was told and what it chose: `config.json`."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace_local.folders import write_private
from headrace_local.layout import Home
from headrace_model.errors import InvalidInput

VERSION = 1
DEFAULT_PORT = 8378
DEFAULT_GUI_PORT = 8081


@dataclass(frozen=True, slots=True)
class Config:
    """One local Headrace. Zeros mean: what the machine has."""

    port: int = DEFAULT_PORT
    gui_port: int = DEFAULT_GUI_PORT
    cpus: float = 0.0
    memory_bytes: int = 0
    redis_memory_bytes: int = 2**30
    tls_cert: str = ""
    tls_key: str = ""
    """Files of the certificate and its key (absolute paths); both empty: plain HTTP."""
    store: str = ""
    """Where objects lie: `s3://…`; empty: in the state folder."""
    store_credentials: str = ""
    """The file with the keys of an S3 store: never the keys themselves."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """More settings, for every service that has them: {"log_level": "debug"}."""

    @property
    def url(self) -> str:
        """Where the request service listens."""
        return f"{'https' if self.tls_cert else 'http'}://127.0.0.1:{self.port}"

    @property
    def gui_url(self) -> str:
        """Where browsers find the GUI."""
        return f"{'https' if self.tls_cert else 'http'}://127.0.0.1:{self.gui_port}"


def load(home: Home) -> Config:
    """Read `config.json`, the defaults where there is none. Raises `InvalidInput`."""
    try:
        text = home.config.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    try:
        found = json.loads(text)
        version = found.pop("version")
        if version != VERSION:
            raise ValueError(f"version {version} is not {VERSION}")
        return _checked(Config(**found))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(
            f"{home.config} is damaged: {error}",
            hint="mend it, or remove it: the next `headrace local up` writes a new one",
        ) from error


def salvage(home: Home) -> dict[str, str] | None:
    """Where workers run, by a `config.json` that is damaged; None where it says nothing of it."""
    try:
        settings = dict(json.loads(home.config.read_text(encoding="utf-8"))["settings"])
        return {
            name: str(settings[name]) for name in ("backend", "docker_url") if name in settings
        }
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(home: Home, config: Config) -> None:
    """Write `config.json` and `client.json`."""
    document = {"version": VERSION, **dataclasses.asdict(config)}
    write_private(home.config, json.dumps(document, indent=2) + "\n")
    client = {"url": config.url, "token_file": str(home.admin_token)}
    if config.tls_cert:
        client["ca_file"] = config.tls_cert  # of this very server no CA has to vouch for it
    write_private(home.client, json.dumps(client, indent=2) + "\n")


def _checked(config: Config) -> Config:
    numbers = (config.port, config.gui_port, config.memory_bytes, config.redis_memory_bytes)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("port, gui_port, memory_bytes and redis_memory_bytes are whole numbers")
    if not all(isinstance(path, str) for path in (config.tls_cert, config.tls_key)):
        raise ValueError("tls_cert and tls_key are paths")
    if not isinstance(config.cpus, int | float) or config.cpus < 0:
        raise ValueError("cpus is a number")
    texts = (config.store, config.store_credentials, *config.settings.values())
    if not all(isinstance(value, str) for value in texts):
        raise ValueError("store, store_credentials and settings are texts")
    return config
