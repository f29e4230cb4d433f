"""Wires the node agent; `python -m headrace_agent.main` runs it alone."""

import fcntl
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Denied, Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.joins import ask_to_join
from headrace_adapters.redis.log_wants import LogWants
from headrace_adapters.redis.nodes import NodeStore, SwarmClaim
from headrace_adapters.redis.services import ServiceStore
from headrace_agent.array import TaskDesk
from headrace_agent.attempt import Tools
from headrace_agent.cache import Cache
from headrace_agent.core.command import ENVIRONMENT_INSIDE, inherited_inside
from headrace_agent.data_client import DataClient
from headrace_agent.environments import Environments, NodePython, Python
from headrace_agent.inventory import EngineVersion, Machine, count_gpus
from headrace_agent.joining import Joining, own_password
from headrace_agent.launches import Containers
from headrace_agent.logs import LogAnswers
from headrace_agent.progress import ProgressMiner
from headrace_agent.service import Agent
from headrace_agent.settings import Settings
from headrace_agent.tenure import Swarm
from headrace_agent.transfers import Transfers
from headrace_agent.usage import UsageRecorder
from headrace_formats.runner import detect_folder
from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId, check_name
from headrace_model.resources import GPUS, Resources, generic
from headrace_model.work import Fact
from headrace_ports.backend import Backend
from headrace_service.http import InternalToken, make_app
from headrace_service.lifecycle import Service, main_of
from headrace_service.settings import PREFIX

if TYPE_CHECKING:
    from headrace_adapters.backends.docker import DockerBackend
    from headrace_adapters.backends.registry_logins import RegistryLogins

BODY_LIMIT_BYTES = 64 * 1024
_TRIAL_S = 1.0
WORKER_UID = 10_001
"""Whom workers in containers run as where the agent is root."""


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the node agent from its settings.

    `events`: the one reader of a process that holds several services.
    """
    state = settings.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    node = NodeId(check_name(settings.node_name, "node"))
    lock = _lock(state)
    password_file = settings.redis_password_file
    if settings.redis_join_password_file:
        password_file = str(state / "redis-password")
        is_new = own_password(Path(password_file))
    redis = Redis(settings.redis_url, password_file=password_file)
    jobs = JobStore(redis)
    running = _running(settings, redis)
    joining = None
    if settings.redis_join_password_file:
        joining = _joining(settings, node, running, Path(password_file), is_new=is_new)
    token = InternalToken(settings.internal_token_file)
    data = DataClient(settings.data_url, token, node)

    transfers = Transfers()
    cache = Cache(state / "cache" / "sha256", settings.cache_limit_bytes, transfers)
    machine = Machine(settings.backend, running.engine_version, cache, state, settings.gpus)
    nodes = NodeStore(redis)
    usage = UsageRecorder(running.backend, state / "attempts")
    progress = ProgressMiner(state / "attempts")

    async def report(fact: Fact) -> bool:
        return await agent.report(fact)

    tools = Tools(
        backend=running.backend,
        containers=running.containers,
        worker_user=running.user,
        cache=cache,
        environments=Environments(
            state / "cache" / "environments",
            settings.environments_limit_bytes,
            running.python,
            running.user,
        ),
        data=data,
        transfers=transfers,
        detect=_detect,
        report=report,
        tasks=TaskDesk(ArrayStore(redis), node, lambda call: agent.fenced(call)),
        usage=usage,
        progress=progress,
        settings=settings,
    )
    agent = Agent(
        redis,
        jobs,
        nodes,
        events or Events(redis),
        running.backend,
        tools,
        _capacity(settings),
        machine.look,
        running.swarm,
        settings,
        has_state_lock=lock is not None,
    )
    logs = LogAnswers(LogWants(redis), node, state / "attempts", running.backend)

    async def close() -> None:
        await running.backend.close()
        await transfers.close()
        await data.close()
        if lock is not None:
            os.close(lock)
        await redis.close()

    return Service(
        name="agent",
        # Redis is opened by the agent itself: exclusive workers are watched without it too.
        open=[data.open, *([joining.run] if joining else [])],
        loops=[agent.run, logs.run, usage.run, progress.run],
        app=make_app(
            "agent",
            ready=redis.ping,
            authenticate=token.check,
            body_limit_bytes=BODY_LIMIT_BYTES,
        ),
        listen=settings.listen,
        close=[close],
    )


@dataclass(frozen=True, slots=True)
class _Running:
    """What runs workers, and for which Python environments are made."""

    backend: Backend
    python: Python
    engine_version: EngineVersion
    swarm: Swarm
    member: Callable[[], Awaitable[str]] | None  # this machine's id in its swarm
    containers: Containers | None = None
    user: tuple[int, int] | None = None


def _running(settings: Settings, redis: Redis) -> _Running:
    match settings.backend:
        case "process":
            return _Running(
                ProcessBackend(settings.state_dir / "nest"),
                NodePython(_installer_env()),
                _no_engine,
                _no_swarm,
                None,
            )
        case "docker" | "swarm":
            return _in_containers(settings, redis)
        case other:
            raise InvalidInput(f"there is no backend {other!r}: process, docker or swarm")


async def _no_engine() -> str:
    return ""


async def _no_swarm() -> None:
    return None


def docker_backend(settings: Settings, redis: Redis | None = None) -> "DockerBackend":
    """The containers of a node: also for who looks after them while no agent runs.

    With `redis` they are made by a swarm.
    """
    # Here, because who runs processes need not have the SDK.
    from headrace_adapters.backends.docker import DockerBackend
    from headrace_adapters.backends.docker_engine import Engine, Volume

    volume = settings.state_volume and Volume(settings.state_volume, settings.state_dir)
    engine = Engine(settings.docker_url, volume or None, registry_logins(settings))
    owner = owner_of(settings.state_dir, settings.state_volume)
    services = None
    if redis is not None:
        from headrace_adapters.backends.service_maker import ServiceMaker

        node = NodeId(settings.node_name)
        services = ServiceMaker(engine, ServiceStore(redis), node, owner=owner, user=_user())
    return DockerBackend(engine, owner, _user(), settings.docker_network, services)


def _in_containers(settings: Settings, redis: Redis) -> _Running:
    from headrace_adapters.backends.docker_python import ImagePython

    in_swarm = settings.backend == "swarm"
    backend = docker_backend(settings, redis if in_swarm else None)
    python = ImagePython(
        backend.engine,
        settings.image,
        ENVIRONMENT_INSIDE,
        owner=owner_of(settings.state_dir, settings.state_volume),
        user=_user(),
        network=settings.docker_network,
        environ=inherited_inside(os.environ, ()),
    )
    containers = Containers(backend.engine, settings.image, settings.image_names)
    uid, _, gid = _user().partition(":")

    async def version() -> str:
        return str((await backend.engine.about())["ServerVersion"])

    async def claim() -> SwarmClaim:
        engine = backend.engine
        return SwarmClaim(await engine.swarm_node(), await engine.source(str(settings.state_dir)))

    user = None if os.getuid() else (int(uid), int(gid))
    swarm = claim if in_swarm else _no_swarm
    return _Running(backend, python, version, swarm, backend.engine.swarm_node, containers, user)


def _joining(
    settings: Settings, node: NodeId, running: _Running, own: Path, *, is_new: bool
) -> Joining:
    if running.member is None:
        raise InvalidInput(
            "a machine joins by its id in a swarm, and the backend process has no swarm",
            hint="name a redis_password_file in the place of redis_join_password_file",
        )

    async def try_login() -> bool:
        trial = Redis(settings.redis_url, password_file=own, patience_s=_TRIAL_S)
        try:
            await trial.command("GET", "hr:epoch")
            return True
        except Denied:
            return False
        finally:
            await trial.close()

    ask = partial(ask_to_join, settings.redis_url, Path(settings.redis_join_password_file))
    return Joining(node, own, running.member, try_login, ask, is_new=is_new)


def registry_logins(settings: Settings) -> "RegistryLogins":
    """The logins that a node pulls images with."""
    from headrace_adapters.backends.registry_logins import RegistryLogins

    file = settings.registry_logins_file
    return RegistryLogins(Path(file) if file else None)


def owner_of(state: Path, volume: str = "") -> str:
    """What marks the containers of a node on an engine that others use too."""
    return hashlib.sha256(volume.encode() or bytes(state.resolve())).hexdigest()[:16]


def _user() -> str:
    """Whom workers run as, never root; what they write belongs to it."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{WORKER_UID}:{WORKER_UID}"


def _lock(state: Path) -> int | None:
    """Take the state folder's lock; None when another agent has it. A dead process has none."""
    file = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _capacity(settings: Settings) -> Resources:
    cpus = settings.cpus or len(os.sched_getaffinity(0))
    memory = settings.memory_bytes or _machine_memory() * 9 // 10
    gpus = settings.gpus if settings.gpus >= 0 else count_gpus(Path("/dev"))
    return Resources(int(cpus * 1000), memory, generic({GPUS: gpus}))


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _installer_env() -> dict[str, str]:
    """What the package installer sees: the environment without our own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


async def _detect(
    folder: Path, format_: str | None, inside: Sequence[str]
) -> tuple[str, dict[str, object]]:
    found = await detect_folder(folder, format_, inside=inside)
    return found.format, found.domain.to_plain()


if __name__ == "__main__":
    main_of(Settings, build)
