"""The container engine of a home whose workers are containers (`up --backend docker`)."""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from headrace_agent.settings import DOCKER_URL
from headrace_local.config import Config
from headrace_local.environ import environ_for
from headrace_local.layout import Home
from headrace_model.errors import Forbidden, InvalidInput, NotFound
from headrace_service.settings import read

if TYPE_CHECKING:
    from headrace_adapters.backends.docker import DockerBackend
    from headrace_agent.settings import Settings

BACKENDS: Final = ("process", "docker")


def is_used(config: Config) -> bool:
    """Tell whether workers are containers."""
    return config.settings.get("backend") == "docker"


def url(config: Config) -> str:
    """Where the engine listens; empty where workers are processes."""
    return config.settings.get("docker_url", DOCKER_URL) if is_used(config) else ""


def owner(home: Home) -> str:
    """What the label `headrace.owner` of all containers of the home holds."""
    from headrace_agent.main import owner_of

    return owner_of(home.agent)


def settings_from(
    backend: str | None, image: str | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """What `up` was told about workers, as settings; DOCKER_HOST names the engine as ever."""
    given = {"backend": backend, "worker_image": image}
    if backend == "docker":
        given["docker_url"] = environ.get("DOCKER_HOST")
    return {name: text for name, text in given.items() if text}


def backend(home: Home, config: Config) -> "DockerBackend":
    """The backend of the home's agent."""
    # Here, because it brings the libraries of a whole service.
    from headrace_agent.main import docker_backend

    return docker_backend(_settings(home, config))


def try_out(home: Home, config: Config) -> str:
    """Say where containers run and in which image, pulling it where it is missing; empty: nowhere.

    Raises `InvalidInput` or `Unavailable` that says what keeps them from being run.
    """
    return _look(home, config, pull=True)


def look(home: Home, config: Config) -> str:
    """As `try_out`, but changing nothing."""
    return _look(home, config, pull=False)


def _look(home: Home, config: Config, *, pull: bool) -> str:
    if not is_used(config):
        return ""
    if find_spec("docker") is None:
        raise InvalidInput(
            "the library for container engines is not installed",
            hint="pip install 'headrace[docker]'",
        )
    from headrace_agent.main import registry_logins

    settings = _settings(home, config)
    logins = registry_logins(settings)

    async def ask() -> str:
        from headrace_adapters.backends.docker_engine import Engine
        from headrace_adapters.backends.docker_errors import RegistryAway

        engine = Engine(settings.docker_url, logins=logins)
        try:
            await (engine.ensure_image if pull else engine.find_image)(settings.image)
        except (NotFound, Forbidden, RegistryAway) as error:
            raise InvalidInput(
                f"{error.message}: jobs that name no image run in it",
                hint="scripts/build-images.sh makes it; --worker-image names another one",
            ) from error
        finally:
            await engine.close()
        return f"containers run on {settings.docker_url}, in {settings.image}"

    return asyncio.run(ask())


def _settings(home: Home, config: Config) -> "Settings":
    from headrace_agent.settings import Settings

    return read(Settings, environ_for(home, config, "agent"))
