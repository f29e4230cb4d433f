"""The users of a home's Redis: a password in a file of its own for each, and the ACL file."""

from pathlib import Path
from secrets import token_hex

from headrace_adapters.redis.acl import ADMIN, acl_file, user_of
from headrace_adapters.redis.connection import Redis
from headrace_local.environ import NODE, redis_url
from headrace_local.folders import write_private
from headrace_local.layout import SERVICES, Home

_PASSWORD_BYTES = 32


def users() -> tuple[str, ...]:
    """Every user of the home's Redis: of the services that run here, and of no other."""
    return (ADMIN, *(user_of(service, NODE) for service in SERVICES))


def write_acl(home: Home, version: tuple[int, ...]) -> None:
    """Make the passwords that are missing, and write the ACL file for a server of `version`."""
    passwords = {user: _password(home.password(user)) for user in users()}
    write_private(home.acl, acl_file(passwords, NODE, version))


def _password(path: Path) -> str:
    known = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if len(known) >= 2 * _PASSWORD_BYTES:
        return known
    password = token_hex(_PASSWORD_BYTES)
    write_private(path, password + "\n")
    return password


def admin_password(home: Home) -> str:
    """The password of Redis's own admin; raises OSError where the home has none yet."""
    return home.password(ADMIN).read_text(encoding="utf-8").strip()


def connect(home: Home, *, patience_s: float = 60.0) -> Redis:
    """A connection to the home's Redis that may do everything. Raises `InvalidInput`."""
    return Redis(redis_url(home), password_file=home.password(ADMIN), patience_s=patience_s)
