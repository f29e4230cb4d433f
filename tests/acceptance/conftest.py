"""One `headrace local` a module, used as people use it: by the command line and by REST."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import pytest

from headrace_adapters.redis.nodes import NodeStore
from headrace_local.folders import find_home, write_private
from headrace_local.health import any_free_port
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from headrace_model.ids import NodeId
from headrace_model.node import NodeState
from headrace_model.resources import Resources
from tests.support.person import People, Person
from tests.support.preloaded import Done, Preloaded, run
from tests.support.wait import T, wait_until

WITHIN_S = 120.0
_CLI = "from headrace_client.cli import main; main()"
_LOCAL = "from headrace_local.cli import local; local(prog_name='headrace local')"
_CPUS = "2"
PLACE = Path(__file__).parents[2] / "examples" / "mpi"  # what may be imported from
_MEMORY = "1GiB"


def until(condition: Callable[[], T | Awaitable[T]], what: str, within_s: float = WITHIN_S) -> T:
    """Wait for a condition, outside of any event loop."""
    return asyncio.run(wait_until(condition, what, within_s=within_s))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Headrace:
    """One `headrace local`, its command line and its REST interface."""

    def __init__(self, root: Path) -> None:
        self.home: Home = find_home(root)
        self._made = 0

    @property
    def environ(self) -> dict[str, str]:
        """What a shell of this user would have."""
        return {**os.environ, "HEADRACE_HOME": str(self.home.root)}

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(json.loads(self.home.client.read_text())["url"])

    @property
    def token(self) -> str:
        """The first admin's token."""
        return self.home.admin_token.read_text().strip()

    # ---- the command line

    def local(self, *words: str) -> str:
        """`headrace local …`, which must go well; gives what it said."""
        done = self._run([sys.executable, "-c", _LOCAL, *words], "", None)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self) -> None:
        """Start it, with the CPUs and memory that the tests count on.

        On a port of its own: tests that run beside these start a Headrace too.
        """
        known = []
        if not self.home.config.exists():
            settings = {"import_places": f"examples={PLACE}"}
            self.home.root.mkdir(0o700, parents=True, exist_ok=True)
            write_private(self.home.config, json.dumps({"version": 1, "settings": settings}))
            known = ["--port", str(any_free_port())]
        self.local("up", "--cpus", _CPUS, "--memory", _MEMORY, *known)

    def cli(self, *words: str, typed: str = "", folder: Path | None = None) -> Done:
        """`headrace …` to its end."""
        return self._run([sys.executable, "-c", _CLI, *words], typed, folder)

    def said(self, *words: str, **how: Any) -> Any:
        """`headrace … -o json`, which must go well; gives what it said."""
        done = self.cli(*words, "-o", "json", **how)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        """`headrace …` while it runs."""
        command = Preloaded(
            [sys.executable, "-c", _CLI, *words],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with command:
            try:
                yield command
            finally:
                if command.poll() is None:
                    command.send_signal(signal.SIGKILL)

    def _run(self, command: list[str], typed: str, folder: Path | None) -> Done:
        return run(command, typed=typed, timeout=2 * WITHIN_S, env=self.environ, cwd=folder)

    # ---- REST

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request below `/api/v1`, or at a whole path that begins with `//`.

        `body`: bytes as they are, anything else as JSON. `token`: "" the admin's, None none.
        """
        target = path[1:] if path.startswith("//") else f"/api/v1{path}"
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, target, data, sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own, for requests that break rules."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=WITHIN_S)

    def get(self, path: str) -> Any:
        """The JSON at a path, which must be there."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def submit(self, *command: str, **spec: Any) -> str:
        """Submit a small job by REST; gives its id."""
        job = {
            "headrace": 1,
            "kind": "command",
            "name": "job",
            "command": list(command),
            "resources": {"cpus": "100m", "memory": "64MiB"},
            **spec,
        }
        answer = self.ask("POST", "/jobs", job)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def job(self, job: str) -> Any:
        """A job as it is now."""
        return self.get(f"/jobs/{job}")

    def until(self, job: str, step: str, within_s: float = WITHIN_S) -> Any:
        """Wait until a job is in a step (`RUNNING`, `COMPLETED`); gives the job.

        A job that closes otherwise fails the test at once.
        """

        def there() -> Any:
            view = self.job(job)
            phase, _, now = view["status"].partition(":")
            if now == step:
                return view
            assert phase != "CLOSED", f"{step} was expected: {view}"
            return None

        return until(there, f"job {job} to be {step}", within_s)

    def history(self, job: str) -> list[Any]:
        """All that happened to a job."""
        return list(self.get(f"/jobs/{job}/history")["history"])

    def log(self, job: str, stream: str = "out") -> str:
        """What a job wrote."""
        answer = self.ask("GET", f"/jobs/{job}/logs?stream={stream}")
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def delete_datasets(self) -> None:
        """Delete all datasets, as far as no job needs them."""
        for each in self.get("/datasets")["datasets"]:
            self.ask("DELETE", f"/datasets/{each['id']}")

    # ---- what tests look at from the side

    def gate(self) -> Path:
        """A file that a job can wait for; touching it lets the job go on."""
        self._made += 1
        return self.home.root.parent / f"gate{self._made}"

    async def leaks(self) -> list[str]:
        """A sentence for each thing that is left although no job is under way; [] is right."""
        try:
            parts = [f"stray file {path}" for path in self.home.root.rglob("*.part")]
        except FileNotFoundError:  # a folder that goes just now
            parts = ["a folder of an attempt"]
        folders = self.home.attempts.iterdir() if self.home.attempts.is_dir() else ()
        return await self._ledger() + parts + [f"folder {path} is left" for path in folders]

    def no_leaks(self) -> None:
        """Wait until nothing is left of jobs that are over; the ledger has to be right."""
        seen: list[str] = []

        async def clean() -> bool:
            seen[:] = await self.leaks()
            return not seen

        try:
            until(clean, "nothing to be left")
        except AssertionError:
            raise AssertionError("\n".join(seen)) from None

    def end(self) -> None:
        """Cancel what is under way, see that nothing leaks, and remove it all."""
        try:
            for job in self.get("/jobs?status=INIT,MODEL_EXEC,OUTPUT_EXEC")["jobs"]:
                self.ask("POST", f"/jobs/{job['id']}:cancel")
            self.no_leaks()
        finally:
            self.local("reset", "--yes")

    def lose_a_node(self, name: str) -> None:
        """Have a node that registered once, and that the monitor then called lost."""
        asyncio.run(self._lose(NodeId(name)))

    async def _lose(self, name: NodeId) -> None:
        redis = connect(self.home)
        try:
            await redis.open()
            nodes, none = NodeStore(redis), Resources(0, 0)
            await nodes.register(name, "one that died", none, frozenset(), has_state_lock=True)

            async def is_lost() -> bool:
                return any(n.id == name and n.state is NodeState.LOST for n in await nodes.all())

            await wait_until(is_lost, f"node {name} to be lost", within_s=WITHIN_S)
        finally:
            await redis.close()

    async def _ledger(self) -> list[str]:
        redis = connect(self.home)
        try:
            nodes = NodeStore(redis)
            found = await nodes.ledger_errors()
            for node in await nodes.all():
                found += [f"{node.id} still holds a share of {run}" for run in node.held]
                for what in ("work", "facts"):
                    keys = await redis.command("HKEYS", f"hr:{what}:{node.id}")
                    found += [f"{node.id}'s {what} still holds {key}" for key in keys]
            return found
        finally:
            await redis.close()


def waits_for(gate: Path) -> tuple[str, ...]:
    """A command that says it is ready, and waits for a gate."""
    return ("sh", "-c", f"echo ready; while [ ! -e {gate} ]; do sleep 0.02; done")


def pids_with(marker: str) -> list[int]:
    """The processes that have a text in their arguments, other than this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def headrace(run_root: Path, request: pytest.FixtureRequest) -> Iterator[Headrace]:
    """A `headrace local` that is up, for all tests of a module."""
    folder = run_root / request.module.__name__.rpartition(".")[2]
    folder.mkdir()
    found = Headrace(folder / "home")
    try:
        found.up()
    except BaseException:
        found.local("reset", "--yes")
        raise
    try:
        yield found
    finally:
        found.end()


def _made(headrace: Headrace, name: str, role: str, *words: str) -> Person:
    """A new user who is logged in with the password that the admin was told."""
    done = headrace.cli("users", "create", name, "--role", role, *words)
    assert done.returncode == 0, done.stderr
    folder = headrace.home.root.parent / name
    folder.mkdir()
    person = Person(name, folder, headrace.url, done.stdout.strip())
    assert person.log_in().returncode == 0
    return person


@pytest.fixture(scope="module")
def people(headrace: Headrace) -> People:
    """Two users, a viewer, and an outsider."""
    assert headrace.cli("groups", "create", "models").returncode == 0
    return People(
        bob=_made(headrace, "bob", "user"),
        carol=_made(headrace, "carol", "user", "--group", "models"),
        vera=_made(headrace, "vera", "viewer", "--group", "models"),
        olaf=_made(headrace, "olaf", "user"),
    )


@pytest.fixture
def stranger(headrace: Headrace) -> Person:
    """Somebody whom only one test knows."""
    return _made(headrace, f"s{token_hex(4)}", "user")


PACKAGE = "six==1.16.0"


@pytest.fixture(scope="module")
def index(run_root: Path) -> None:
    """A package index that pip reaches, with `PACKAGE`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", PACKAGE]
    done = subprocess.run(
        [*command, "-d", str(run_root / "index")], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("pip reaches no package index from here")
