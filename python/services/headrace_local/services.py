"""All services of a home in one process: `python -m headrace_local.services HOME`."""

import asyncio
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

from headrace_adapters.redis.events import Events
from headrace_gui.main import build as build_gui
from headrace_gui.settings import Settings as GuiSettings
from headrace_local import processes
from headrace_local.admin import ensure_admin, ensure_internal_token
from headrace_local.backup import finish_restore
from headrace_local.config import Config, load
from headrace_local.environ import environ_for, gui_environ
from headrace_local.folders import find_home
from headrace_local.layout import SERVICES, Home
from headrace_local.redis_users import connect
from headrace_model.errors import HeadraceError
from headrace_service import lifecycle
from headrace_service.logs import configure
from headrace_service.settings import read


def build(home: Home, config: Config, service: str, events: Events) -> lifecycle.Service:
    """Make one service with this home's settings."""
    main = import_module(f"headrace_{service}.main")
    settings_class = get_type_hints(main.build)["settings"]
    settings = read(settings_class, environ_for(home, config, service))
    made: lifecycle.Service = main.build(settings, events)
    return made


async def run(home: Home, config: Config) -> None:
    """Run all services until SIGTERM."""
    await asyncio.to_thread(ensure_internal_token, home)
    await finish_restore(home)
    await ensure_admin(home)
    # Each service would wake up for each event by a reader of its own; here one serves all.
    redis = connect(home)
    events = Events(redis)
    try:
        services = [build(home, config, service, events) for service in SERVICES]
        # Before the request service, by which `up` sees that all is ready.
        gui = build_gui(read(GuiSettings, gui_environ(home, config)))
        await lifecycle.run([*services[:-1], gui, services[-1]])
    finally:
        await redis.close()


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; status 1 with a sentence when something is in the way."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m headrace_local.services HOME\n")
        return 64
    # The nest inherits the environment and outlives this process: it must not pass for it.
    os.environ.pop(processes.PROCESS, None)
    os.umask(0o077)
    try:
        home = find_home(Path(arguments[0]))
        config = load(home)
        configure(config.settings.get("log_level", "info"))
        asyncio.run(run(home, config))
    except (HeadraceError, OSError) as error:
        sys.stderr.write(f"the services can't run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
