"""Bringing a home up and down: `headrace local up` and `down` without their words."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace_local import engine, health, ports, processes, redis_server, stores, workers
from headrace_local.config import DEFAULT_GUI_PORT, DEFAULT_PORT, Config, load, save
from headrace_local.folders import prepare
from headrace_local.layout import Home
from headrace_local.supervisor import BUSY_STATUS, REDIS_GRACE_S, SERVICES_GRACE_S
from headrace_model.errors import Conflict, InvalidInput, Unavailable
from headrace_service.sockets import tls_of

READY_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 15
_MANY_RESTARTS: Final = 3
_DISTRIBUTION_FOLDER: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked of `up`; None leaves what was configured."""

    port: int | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    store: str | None = None
    store_credentials: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    tls_cert: str | None = None
    tls_key: str | None = None
    gui_port: int | None = None


def running(home: Home) -> processes.Found | None:
    """The home's supervisor, or None."""
    return next(iter(processes.find(home.id, "supervisor")), None)


def configure(home: Home, wish: Wish, say: Callable[[str], None]) -> Config:
    """Make the folders and write the configuration for a start.

    Raises `Conflict` for a port that was asked for and is taken, for another store than the home
    has, and for another backend or engine while workers live; `InvalidInput` for TLS files that
    can't be used; what `stores.try_out` raises.
    """
    config = stores.choose(home, load(home), wish.store, wish.store_credentials)
    before = engine.url(config)
    config = dataclasses.replace(config, settings={**config.settings, **wish.settings})
    if before != engine.url(config):
        _check_nobody_lives(home, before)
    stores.try_out(home, config, say)
    engine.try_out(home, config)
    tls_cert = config.tls_cert if wish.tls_cert is None else wish.tls_cert
    tls_key = config.tls_key if wish.tls_key is None else wish.tls_key
    tls_of(tls_cert, tls_key)  # as the service will do, but the sentence comes on the screen
    # What a killed supervisor left may hold the ports: it is about to be ended.
    ours = bool(processes.find(home.id, "services"))
    port = ports.choose("--port", wish.port, config.port, ours=ours, default=DEFAULT_PORT)
    # Beside a port of one's own another home may start at this very moment.
    usual = DEFAULT_GUI_PORT if port == DEFAULT_PORT else None
    gui_port = config.gui_port
    if usual is None and gui_port == DEFAULT_GUI_PORT:
        gui_port = health.any_free_port()
    gui_port = ports.choose("--gui-port", wish.gui_port, gui_port, ours=ours, default=usual)
    config = dataclasses.replace(
        config,
        port=port,
        gui_port=gui_port,
        cpus=config.cpus if wish.cpus is None else wish.cpus,
        memory_bytes=config.memory_bytes if wish.memory_bytes is None else wish.memory_bytes,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    # Only now: a start that was refused must not leave a folder that no `up` takes for a home.
    prepare(home)
    save(home, config)
    return config


def _check_nobody_lives(home: Home, engine_url: str) -> None:
    """Raise where a worker lives, or may, that an agent with another backend would start again.

    The home is configured as it was; `engine_url` is what `engine.url` said of that.
    """
    try:
        left = workers.living(home)
    except Unavailable as error:
        raise Unavailable(
            f"workers of running jobs may live on at {engine_url}, which does not answer, and "
            "another backend or engine can't adopt them",
            hint="start that engine again, or name it in DOCKER_HOST; where it is gone for good, "
            f"change docker_url in the settings of {home.config}",
        ) from error
    if left:
        where = f" at {engine_url}" if engine_url else ""
        raise Conflict(
            f"{len(left)} workers of running jobs live on{where}, which another backend or engine "
            "can't adopt",
            hint="`headrace local down --stop-workers` first",
        )


def check_unchanged(config: Config, wish: Wish) -> None:
    """Raise `Conflict` when the wish is another than what runs."""
    asked = {
        "--port": (wish.port, config.port),
        "--gui-port": (wish.gui_port, config.gui_port),
        "--cpus": (wish.cpus, config.cpus),
        "--memory": (wish.memory_bytes, config.memory_bytes),
        "--tls-cert": (wish.tls_cert, config.tls_cert),
        "--tls-key": (wish.tls_key, config.tls_key),
        "--store": (wish.store and wish.store.rstrip("/"), config.store),
        "--store-credentials": (
            wish.store_credentials and str(wish.store_credentials),
            config.store_credentials,
        ),
        **{
            f"--{name.replace('_', '-')}": (value, config.settings.get(name))
            for name, value in wish.settings.items()
            if name != "docker_url"
        },
        "DOCKER_HOST": (wish.settings.get("docker_url"), engine.url(config)),
    }
    changed = [name for name, (new, old) in asked.items() if new is not None and new != old]
    if changed:
        raise Conflict(
            f"Headrace runs already, at {config.url}, with another {' and '.join(changed)}",
            hint="`headrace local down` first",
        )


def spawn(home: Home) -> subprocess.Popen[bytes]:
    """Start a supervisor, detached from this terminal."""
    redis_server.find_server()  # a sentence on the screen is better than one in a log
    log = os.open(home.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    path = [str(_DISTRIBUTION_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "headrace_local.supervisor", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,  # never keep the user's folder busy
            env={
                **os.environ,
                **processes.marks(home.id, "supervisor"),
                "PYTHONPATH": os.pathsep.join(path),
            },
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"the supervisor can't be started: {error}") from error
    finally:
        os.close(log)


def wait_ready(
    home: Home,
    config: Config,
    supervisor: subprocess.Popen[bytes] | None,
    say: Callable[[str], None],
) -> None:
    """Wait until the request service is ready; `say` hears what is being waited for.

    Raises `Unavailable` with the end of the log when the supervisor ends, or after a minute.
    """
    began = time.monotonic()
    deadline = began + READY_WITHIN_S
    said = ""
    while _restarts(home) is None or not health.is_ready(home, config):
        status = supervisor.poll() if supervisor else None
        if status not in (None, BUSY_STATUS):
            raise Unavailable(f"the supervisor ended with status {status}{_tail(home)}")
        for name, number in (_restarts(home) or {}).items():
            if number >= _MANY_RESTARTS:
                raise Unavailable(f"{name} ends whenever it is started{_tail(home)}")
        if time.monotonic() > deadline:
            raise Unavailable(f"Headrace is not ready after {READY_WITHIN_S:g} s{_tail(home)}")
        if time.monotonic() - began > 2.0 and (phase := _phase(home)) != said:
            say(phase)
            said = phase
        time.sleep(_POLL_S)


def _restarts(home: Home) -> dict[str, int] | None:
    """How often each process was started again; None while no supervisor has begun.

    What is left of a killed supervisor may still answer, and its state file say anything.
    """
    try:
        state = json.loads(home.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not processes.is_living(state["supervisor"]["pid"], home.id, "supervisor"):
        return None
    return {name: state[name]["restarts"] for name in ("redis", "services")}


def _phase(home: Home) -> str:
    match redis_server.ask(home):
        case redis_server.Answer.NONE:
            return "Redis starts"
        case redis_server.Answer.LOADING:
            return "Redis loads its files"
        case redis_server.Answer.PONG:
            return "the services start"


def _tail(home: Home) -> str:
    """The ends of the logs that may tell why."""
    texts = []
    for process in ("supervisor", "redis", "services"):
        path = home.log(process)
        if path.exists() and (lines := path.read_text(errors="replace").splitlines()):
            texts.append("\n".join([f"--- end of {path}", *lines[-_TAIL_LINES:]]))
    return ":\n" + "\n".join(texts) if texts else f"; its logs are in {home.logs}"


def stop(home: Home) -> bool:
    """Stop services and Redis; True when anything was running. Workers live on."""
    supervisors = processes.find(home.id, "supervisor")
    processes.end(supervisors, SERVICES_GRACE_S + REDIS_GRACE_S)
    services = processes.find(home.id, "services")
    processes.end(services, SERVICES_GRACE_S)
    servers = processes.find(home.id, "redis")
    processes.end(servers, REDIS_GRACE_S)
    return bool(supervisors or services or servers)


def check_home(home: Home) -> None:
    """Raise `InvalidInput` where no Headrace was ever made."""
    if not home.config.exists():
        raise InvalidInput(
            f"there is no local Headrace in {home.root}",
            hint="`headrace local up` makes one; HEADRACE_HOME names another folder",
        )
