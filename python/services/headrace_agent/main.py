"""Wires the node agent; `python -m headrace_agent.main` runs it alone."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from headrace_adapters.backends.process import ProcessBackend
from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.log_wants import LogWants
from headrace_adapters.redis.nodes import NodeStore
from headrace_agent.array import TaskDesk
from headrace_agent.attempt import Tools
from headrace_agent.cache import Cache
from headrace_agent.data_client import DataClient
from headrace_agent.environments import Environments
from headrace_agent.logs import LogAnswers
from headrace_agent.service import Agent
from headrace_agent.settings import Settings
from headrace_agent.transfers import Transfers
from headrace_formats.runner import detect_folder
from headrace_model.ids import NodeId, check_name
from headrace_model.resources import Resources
from headrace_model.work import Fact
from headrace_service.http import InternalToken, make_app
from headrace_service.lifecycle import Service, main_of
from headrace_service.settings import PREFIX

BODY_LIMIT_BYTES = 64 * 1024


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the node agent from its settings.

    `events`: the one reader of a process that holds several services.
    """
    state = settings.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    node = NodeId(check_name(settings.node_name, "node"))
    lock = _lock(state)
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    jobs = JobStore(redis)
    backend = ProcessBackend(state / "nest")
    token = InternalToken(settings.internal_token_file)
    data = DataClient(settings.data_url, token, node)

    transfers = Transfers()

    async def report(fact: Fact) -> bool:
        return await agent.report(fact)

    tools = Tools(
        backend=backend,
        cache=Cache(state / "cache" / "sha256", settings.cache_limit_bytes, transfers),
        environments=Environments(state / "cache" / "environments", _installer_env()),
        data=data,
        transfers=transfers,
        detect=_detect,
        report=report,
        tasks=TaskDesk(ArrayStore(redis), node, lambda call: agent.fenced(call)),
        settings=settings,
    )
    agent = Agent(
        redis,
        jobs,
        NodeStore(redis),
        events or Events(redis),
        backend,
        tools,
        _capacity(settings),
        settings,
        has_state_lock=lock is not None,
    )
    logs = LogAnswers(LogWants(redis), node, state / "attempts", backend)

    async def close() -> None:
        await backend.close()
        await transfers.close()
        await data.close()
        if lock is not None:
            os.close(lock)
        await redis.close()

    return Service(
        name="agent",
        # Redis is opened by the agent itself: exclusive workers are watched without it too.
        open=[data.open],
        loops=[agent.run, logs.run],
        app=make_app(
            "agent",
            ready=redis.ping,
            authenticate=token.check,
            body_limit_bytes=BODY_LIMIT_BYTES,
        ),
        listen=settings.listen,
        close=[close],
    )


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
    return Resources(int(cpus * 1000), memory)


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
