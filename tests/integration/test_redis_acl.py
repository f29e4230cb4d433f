"""Redis's users: each service can do its own work, and nothing that is another's."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from headrace_adapters.redis.acl import (
    ADMIN,
    AGENT,
    READ_ONLY_SINCE,
    SCRIPTS,
    SERVICES,
    acl_file,
    user_of,
)
from headrace_adapters.redis.connection import Denied, Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.log_replies import LogReplies
from headrace_adapters.redis.log_wants import LogWants
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.users import UserStore
from headrace_local.redis_server import find_server, version_of
from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId
from headrace_model.people import UserRole
from headrace_model.status import Role
from tests.support.redis_server import RedisServer
from tests.support.script_scenes import N1, N2, SCENES, Scene, Stage

OLD = (6, 2)
NEW = READ_ONLY_SINCE
USERS = (ADMIN, *(user_of(service, N1) for service in SERVICES))
LEADERS = {Role.SCHEDULER, Role.MONITOR, Role.DATA, Role.CLUSTER}
every_service = pytest.mark.parametrize("service", SERVICES)


class GuardedServer(RedisServer):
    """A Redis with the users of `acl_file`, for the node N1; passwords lie in `folder`."""

    def __init__(self, folder: Path, rules_for: tuple[int, ...]) -> None:
        super().__init__(find_server(), folder)
        self._acl = folder / "users.acl"
        passwords = {user: f"the password of {user}" for user in USERS}
        for user, password in passwords.items():
            (folder / user).write_text(password + "\n")
        self._acl.write_text(acl_file(passwords, N1, rules_for))

    def _command(self) -> list[str]:
        return [*super()._command(), "--aclfile", str(self._acl)]

    def _answers(self) -> bool:
        return self._said().startswith(b"-NOAUTH")

    def connect(self, user: str) -> Redis:
        """A connection as one of the users."""
        url = f"unix://{user}@{self.folder}/redis.sock"
        return Redis(url, password_file=self.folder / user, patience_s=30.0)


class Guarded:
    """A connection for each user; as a `Redis` it sends each script as the user it belongs to."""

    def __init__(self, server: GuardedServer) -> None:
        self.server = server
        self.by_user = {user: server.connect(user) for user in USERS}

    async def open(self) -> None:
        # The admin comes first, as with `headrace local`: agents can't make an epoch.
        for redis in self.by_user.values():
            await redis.open()

    async def close(self) -> None:
        for redis in self.by_user.values():
            await redis.close()

    def of(self, service: str) -> Redis:
        return self.by_user[user_of(service, N1)]

    async def script(self, name: str, args: dict[str, Any]) -> list[Any]:
        return await self.by_user[_sender(name, args)].script(name, args)

    @property
    def epoch(self) -> str:
        return self.by_user[ADMIN].epoch

    async def command(self, *command: Any) -> Any:
        return await self.by_user[ADMIN].command(*command)

    async def commands(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        return await self.by_user[ADMIN].commands(commands)


def _sender(script: str, args: dict[str, Any]) -> str:
    """Whose script it is. The admin sends for the other node's agent and for roles to come."""
    if "role" in args:
        return args["role"] if args["role"] in SERVICES else ADMIN
    if script in SCRIPTS[AGENT]:
        return user_of(AGENT, N1) if args["node"] == N1 else ADMIN
    (service,) = (each for each in SCRIPTS if script in SCRIPTS[each])
    return service


@pytest.fixture(params=[NEW, OLD], ids=["rules of today", "rules for 6.2"])
def rules(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """Which rules are tried; those of today need a server of today."""
    if request.param == NEW and (version_of(find_server()) or OLD) < NEW:
        pytest.skip("this Redis can't tell reading a key from writing it")
    return request.param


@pytest.fixture
def server(state_dir: Path, rules: tuple[int, ...]) -> Iterator[GuardedServer]:
    guarded = GuardedServer(state_dir, rules)
    try:
        guarded.start()
        yield guarded
    finally:
        guarded.stop()


@pytest.fixture
async def guarded(server: GuardedServer) -> AsyncIterator[Guarded]:
    found = Guarded(server)
    await found.open()
    yield found
    await found.close()


async def refused(redis: Redis, *command: Any) -> bool:
    """Tell whether Redis refuses a command to its user."""
    try:
        await redis.command(*command)
    except Denied:
        return True
    except ResponseError as error:  # DEBUG: the server asks its settings before its users
        return "command not allowed" in str(error)
    return False


# ---- what each service can do


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_each_script_runs_as_the_user_of_its_service(guarded: Guarded, scene: Scene) -> None:
    stage = Stage(guarded)  # type: ignore[arg-type] # all that the stores use of a connection
    await stage.ready()
    act = await scene.play(stage)
    await act()


@pytest.mark.parametrize("role", LEADERS)
async def test_each_leader_takes_and_gives_up_its_own_lease_only(
    guarded: Guarded, role: Role
) -> None:
    leases = LeaseStore(guarded.of(role))
    assert (await leases.acquire(role, "me", 60_000)).held
    assert (await leases.acquire(role, "me", 60_000)).held
    await leases.release(role, "me")
    for other in LEADERS - {role}:
        with pytest.raises(Denied):
            await leases.acquire(other, "me", 60_000)


@pytest.mark.parametrize("service", ["request", "scheduler", "monitor"])
async def test_these_services_read_nodes_and_queues(guarded: Guarded, service: str) -> None:
    stage = Stage(guarded)  # type: ignore[arg-type] # all that the stores use of a connection
    await stage.ready()
    job = await stage.launched()
    redis = guarded.of(service)
    assert [node.id for node in await NodeStore(redis).all()] == [N1, N2]
    jobs = JobStore(redis)
    assert (await jobs.get(job.id)).id == job.id
    assert await jobs.history(job.id)
    assert await jobs.in_status(job.status) == [job.id]
    await jobs.queue()
    await jobs.now_ms()


@every_service
async def test_each_service_is_told_of_events(guarded: Guarded, service: str) -> None:
    events = Events(guarded.of(service)).follow()
    assert await anext(events) == {}
    stage = Stage(guarded)  # type: ignore[arg-type] # all that the stores use of a connection
    await stage.ready()
    assert (await anext(events))["kind"] == "node"
    await events.aclose()


async def test_logs_are_asked_for_and_answered(guarded: Guarded) -> None:
    replies, wants = LogReplies(guarded.of("request")), LogWants(guarded.of(AGENT))
    heard, asked = replies.follow(), wants.follow()
    assert await anext(heard) == ("", "")
    waiting = asyncio.ensure_future(anext(asked))
    while not await replies.ask("a want"):
        pass
    assert await waiting == "a want"
    assert await wants.answer(replies.channel("reader"), "a piece")
    assert await anext(heard) == ("reader", "a piece")
    await heard.aclose()
    await asked.aclose()


# ---- what nobody else can do


RULING = [
    ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("SHUTDOWN", "NOSAVE"),
    ("DEBUG", "SLEEP", "0"), ("SCRIPT", "FLUSH"), ("SCRIPT", "KILL"), ("ACL", "LIST"),
    ("ACL", "WHOAMI"), ("KEYS", "*"), ("SCAN", "0"), ("EVAL", "return 1", "0"), ("MONITOR",),
    ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("REPLICAOF", "NO", "ONE"),
    ("MODULE", "LIST"), ("SAVE",), ("BGREWRITEAOF",), ("DUMP", "hr:epoch"),
    ("MIGRATE", "h", "1", "hr:epoch", "0", "1"), ("RENAME", "hr:epoch", "hr:commits"),
    ("SWAPDB", "0", "1"), ("SELECT", "1"), ("OBJECT", "FREQ", "hr:epoch"), ("RANDOMKEY",),
]  # fmt: skip


async def test_nobody_but_the_admin_rules_the_server(guarded: Guarded) -> None:
    allowed = [
        (service, command)
        for service in SERVICES
        for command in RULING
        if not await refused(guarded.of(service), *command)
    ]
    assert allowed == []


@pytest.mark.parametrize("service", set(SERVICES) - {"request"})
async def test_only_request_reaches_tokens(guarded: Guarded, service: str) -> None:
    redis = guarded.of(service)
    for key in (f"hr:token:{'0' * 64}", "hr:tokens:ann", "hr:users", "hr:groups"):
        assert await refused(redis, "HGETALL", key)
        assert await refused(redis, "TYPE", key)
        assert await refused(redis, "HSET", key, "user", "ann")
    assert await refused(redis, "HSET", "hr:user:ann", "role", "admin") or service == "data"


async def test_only_request_changes_users(guarded: Guarded, rules: tuple[int, ...]) -> None:
    for service in set(SERVICES) - {"request", "data"}:
        assert await refused(guarded.of(service), "HGETALL", "hr:user:ann")
    data = guarded.of("data")
    assert await data.command("HGETALL", "hr:user:ann") == {}
    assert await refused(data, "HSET", "hr:user:ann", "role", "admin") == (rules >= NEW)


@pytest.mark.parametrize("service", set(SERVICES) - {"data"})
async def test_only_data_reaches_secrets_and_the_catalogue(guarded: Guarded, service: str) -> None:
    redis = guarded.of(service)
    for key in ("hr:secrets:ann", "hr:dataset:d1", "hr:names", "hr:items:d1"):
        assert await refused(redis, "HGETALL", key)
        assert await refused(redis, "HSET", key, "a", "b")


async def test_an_agent_reaches_its_own_node_only(guarded: Guarded) -> None:
    agent = guarded.of(AGENT)
    assert await agent.command("HGETALL", f"hr:work:{N1}") == {}
    for kind in ("work", "facts", "node", "held", "free", "inventory", "services", "refusals"):
        for node in (N2, f"{N1}0", f"{N1}:x", "*"):
            assert await refused(agent, "HGETALL", f"hr:{kind}:{node}")
            assert await refused(agent, "HSET", f"hr:{kind}:{node}", "a", "b")


async def test_an_agent_writes_the_room_of_its_own_node_alone(guarded: Guarded) -> None:
    agent = guarded.of(AGENT)
    await agent.command("HSET", f"hr:free:{N1}", "room", "1 1")
    for key in (f"hr:free:{N2}", "hr:free:*"):
        assert await refused(agent, "HGETALL", key)
        assert await refused(agent, "HSET", key, "room", "9 9")
        assert await refused(agent, "HDEL", key, "room")


async def test_an_agent_writes_no_job_and_no_status(
    guarded: Guarded, rules: tuple[int, ...]
) -> None:
    agent = guarded.of(AGENT)
    for key in ("hr:status:CLOSED:COMPLETED", "hr:queue", "hr:history:x", "hr:attempt:x.1"):
        assert await refused(agent, "TYPE", key)
    assert await agent.command("HGETALL", "hr:job:x") == {}
    for key in ("hr:job:x", f"hr:held:{N1}"):
        assert await refused(agent, "HSET", key, "a", "b") == (rules >= NEW)
    assert await refused(agent, "SET", "hr:epoch", "mine")


async def test_an_agent_hears_no_logs_that_others_asked_for(
    guarded: Guarded, rules: tuple[int, ...]
) -> None:
    agent = guarded.of(AGENT)
    assert await refused(agent, "PSUBSCRIBE", "hr:logs:reply:*")
    if rules >= NEW:
        assert await refused(agent, "SUBSCRIBE", "hr:logs:reply:x:y")


async def test_a_script_of_ones_own_can_do_no_more_than_its_sender(guarded: Guarded) -> None:
    agent = guarded.of(AGENT)
    for body in (
        "return redis.call('HGETALL', 'hr:token:' .. string.rep('0', 64))",
        "return redis.call('KEYS', '*')",
        f"return redis.call('HSET', 'hr:work:{N2}', 'a', 'b')",
        "return redis.pcall('FLUSHALL').err and redis.call('FLUSHALL')",
    ):
        digest = await agent.command("SCRIPT", "LOAD", body)
        assert await refused(agent, "EVALSHA", digest, "0")


async def test_what_scripts_wrote_outlives_a_kill_of_the_server(guarded: Guarded) -> None:
    users = UserStore(guarded.by_user[ADMIN])
    await users.create_user("ann", UserRole.USER)
    guarded.server.kill9()
    guarded.server.start()
    assert (await users.user("ann")).name == "ann"


async def test_without_a_password_nobody_gets_in(guarded: Guarded) -> None:
    folder = guarded.server.folder
    (folder / "wrong").write_text("a guess\n")
    for url, file, user in (
        (f"unix://{folder}/redis.sock", "", "default"),
        (f"unix://admin@{folder}/redis.sock", folder / "wrong", "admin"),
        (f"unix://nobody@{folder}/redis.sock", folder / "wrong", "nobody"),
    ):
        redis = Redis(url, password_file=file, patience_s=30.0)
        with pytest.raises(Denied, match=f"its user {user}"):
            await redis.open()
        await redis.close()


async def test_nobody_comes_in_as_the_default_user(guarded: Guarded) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{guarded.server.folder}/redis.sock")
        for command, answer in (
            (b"GET hr:epoch", b"-NOAUTH"),
            (b"MULTI", b"-NOAUTH"),
            (b"AUTH default ''", b"-WRONGPASS"),
            (b"HELLO 3 AUTH default x", b"-WRONGPASS"),
            (b"GET hr:epoch", b"-NOAUTH"),
        ):
            line.sendall(command + b"\r\n")
            assert line.recv(1024).startswith(answer), command


# ---- how it is said


async def test_a_denied_command_is_an_error_that_names_user_and_command(guarded: Guarded) -> None:
    agent = guarded.of(AGENT)
    with pytest.raises(Denied, match=f"its user agent-{N1} run HGETALL: ") as denied:
        await agent.command("HGETALL", "hr:token:0123")
    assert "hr:token" not in str(denied.value)
    with pytest.raises(Denied, match=f"its user agent-{N1} run the script put_secret: "):
        await agent.script("put_secret", {"user": "ann", "name": "key", "most": 1})


async def test_who_may_not_read_events_hears_so_at_once(guarded: Guarded) -> None:
    admin = guarded.by_user[ADMIN]
    await admin.command("ACL", "SETUSER", "monitor", "-xread")
    events = Events(guarded.of("monitor")).follow()
    assert await anext(events) == {}
    with pytest.raises(Denied, match="its user monitor run XREAD"):
        await anext(events)


def test_a_password_in_the_url_is_refused_and_not_shown(state_dir: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Redis("redis://me:hunter2@127.0.0.1:1")
    assert "hunter2" not in str(refusal.value)
    (state_dir / "file").write_text("other")
    with pytest.raises(InvalidInput):
        Redis("unix://me@/x.sock?password=hunter2", password_file=state_dir / "file")
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        Redis("unix://me@/x.sock", password_file=state_dir / "none")


# ---- the file


def test_the_file_holds_no_password_and_is_the_same_every_time() -> None:
    passwords = {user: f"the password of {user}" for user in USERS}
    text = acl_file(passwords, N1, NEW)
    assert "password" not in text
    assert text == acl_file(passwords, N1, NEW)
    assert text.startswith("user default reset off ~* &* +@all\n")
    assert all(re.search(rf"^user {user} reset on #[0-9a-f]{{64}} ", text, re.M) for user in USERS)


def test_the_file_has_those_users_that_have_a_password_and_refuses_others() -> None:
    text = acl_file({ADMIN: "x", "monitor": "y"}, N1, NEW)
    assert re.findall(r"^user (\S+)", text, re.M) == ["default", ADMIN, "monitor"]
    with pytest.raises(InvalidInput, match="mallory"):
        acl_file({"mallory": "x"}, N1, NEW)


def test_a_node_whose_name_is_a_pattern_gets_no_user() -> None:
    with pytest.raises(InvalidInput):
        acl_file(dict.fromkeys(USERS, "x"), NodeId("*"), NEW)


def test_every_script_belongs_to_a_service_that_may_run_its_commands() -> None:
    folder = files("headrace_adapters.redis") / "lua"
    sources = {
        entry.name.removesuffix(".lua"): entry.read_text()
        for entry in folder.iterdir()
        if entry.name.endswith(".lua") and not entry.name.startswith("_")
    }
    assert set().union(*SCRIPTS.values()) == set(sources), "name new scripts in acl.SCRIPTS"
    for service, scripts in SCRIPTS.items():
        calls = {
            call.lower()
            for name in scripts
            for call in re.findall(r"redis\.call\('(\w+)'", sources[name])
        }
        # These two of transition.lua are for children, which the data service alone makes.
        spared = {"sadd", "set"} if service in ("scheduler", "monitor") else set()
        assert calls - spared <= SERVICES[service].commands, service
