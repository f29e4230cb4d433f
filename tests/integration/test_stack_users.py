"""What control-stack.sh runs beside a stack's Redis: its users and the first admin."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headrace_adapters.redis.acl import AGENT, JOIN, SERVICES
from headrace_adapters.redis.connection import Denied, Redis
from headrace_adapters.redis.users import UserStore
from headrace_local.redis_server import find_server
from headrace_model.people import UserRole
from headrace_stack.main import make_admin, make_users
from tests.support.redis_server import RedisServer


class StackServer(RedisServer):
    """A Redis as the stack starts it first: users in a file, and none but its admin."""

    def _command(self) -> list[str]:
        acl = self.folder / "users.acl"
        if not acl.exists():
            acl.write_text("user default on nopass ~* &* +@all\n")
        return [*super()._command(), "--aclfile", str(acl)]


@pytest.fixture
def server(state_dir: Path) -> Iterator[StackServer]:
    folder = state_dir / "redis"
    folder.mkdir()
    made = StackServer(find_server(), folder)
    made.start()
    yield made
    made.kill9()


@pytest.fixture
async def admin(server: StackServer) -> AsyncIterator[Redis]:
    redis = Redis(server.url)
    yield redis
    await redis.close()


@pytest.fixture
def secrets(state_dir: Path) -> Path:
    folder = state_dir / "secrets"
    folder.mkdir()
    for service in (*SERVICES, JOIN):
        (folder / f"redis_{service}").write_text(f"first password of {service}\n")
    (folder / "admin_token").write_text("hrt_first\n")
    return folder


async def _gets_in(server: StackServer, user: str, password: str) -> bool:
    file = server.folder / "password"
    file.write_text(password)
    redis = Redis(f"unix://{user}@{server.url.removeprefix('unix://')}", password_file=file)
    try:
        return bool(await redis.command("PING"))
    except Denied:
        return False
    finally:
        await redis.close()


async def test_a_new_password_counts_beside_the_old_one_until_it_is_settled(
    server: StackServer, admin: Redis, secrets: Path
) -> None:
    await make_users(admin, secrets, keep=True)
    assert await _gets_in(server, "data", "first password of data")
    assert not await _gets_in(server, "data", "first password of monitor")

    (secrets / "redis_data").write_text("second password of data\n")
    for _ in range(2):
        await make_users(admin, secrets, keep=True)
        for number in ("first", "second"):
            assert await _gets_in(server, "data", f"{number} password of data")
    await make_users(admin, secrets, keep=False)
    assert not await _gets_in(server, "data", "first password of data")
    assert await _gets_in(server, "data", "second password of data")

    server.kill9()
    server.start()
    assert await _gets_in(server, "data", "second password of data")
    assert await admin.command("ACL", "GETUSER", JOIN)
    assert AGENT not in str(await admin.command("ACL", "USERS"))


async def test_who_is_logged_in_stays_so_while_passwords_change(
    server: StackServer, admin: Redis, secrets: Path
) -> None:
    await make_users(admin, secrets, keep=False)
    file = secrets / "redis_monitor"
    redis = Redis(f"unix://monitor@{server.url.removeprefix('unix://')}", password_file=file)
    try:
        assert await redis.command("PING")
        file.write_text("another password\n")
        await make_users(admin, secrets, keep=False)
        assert await redis.command("PING")
    finally:
        await redis.close()


async def test_the_token_of_the_stack_lets_its_admin_in_and_a_new_one_revokes_it(
    admin: Redis, secrets: Path
) -> None:
    users = UserStore(admin)
    assert await make_admin(admin, secrets, "chief")
    assert not await make_admin(admin, secrets, "chief")
    found = await users.lookup("hrt_first")
    assert found is not None
    assert (found[0].name, found[0].role) == ("chief", UserRole.ADMIN)
    await users.keep_token("hrt_own", "chief", label="laptop")

    (secrets / "admin_token").write_text("hrt_second\n")
    assert not await make_admin(admin, secrets, "chief")
    assert await users.lookup("hrt_first") is None
    assert await users.lookup("hrt_second") is not None
    assert await users.lookup("hrt_own") is not None
