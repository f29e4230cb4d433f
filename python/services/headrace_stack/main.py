"""Brings a stack's Redis to what its secrets say; `python -m headrace_stack.main -h`."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from headrace_adapters.redis.acl import AGENT, JOIN, SERVICES, join_user, service_user
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_adapters.redis.snapshot import begin_epoch
from headrace_adapters.redis.users import UserStore
from headrace_model.errors import HeadraceError
from headrace_model.maintenance import Maintenance, check_reason
from headrace_model.people import UserRole
from headrace_model.status import HAS_ATTEMPT, Status
from headrace_model.times import Instant, format_instant

SECRETS: Final = Path("/run/secrets")
_PATIENCE_S: Final = 60.0
_TOKEN_LABEL: Final = "control-stack.sh"  # noqa: S105 - what the token is for


async def make_users(redis: Redis, secrets: Path, *, keep: bool) -> int:
    """Make the users of the services, and the one that machines join as; returns how many.

    Those of agents are the cluster agent's.

    With `keep` the passwords that let them in until now go on to do so: services that still have
    the old ones work on while they are replaced. Who is logged in stays so.
    """
    version = await _version(redis)
    users = [each for each in (*SERVICES, JOIN) if each != AGENT]
    for user in users:
        password = (secrets / f"redis_{user}").read_text().strip()
        digests = {sha256(password.encode()).hexdigest()}
        if keep and (known := await redis.command("ACL", "GETUSER", user)):
            digests.update(known["passwords"])
        made = (
            join_user(digests, version) if user == JOIN else service_user(user, digests, version)
        )
        await redis.command(*made)
    await redis.command("ACL", "SAVE")
    return len(users)


async def make_admin(redis: Redis, secrets: Path, name: str) -> bool:
    """Make a user an admin who is let in by the token of the stack's secrets; False: was there.

    An earlier token that was made here is revoked. Who was disabled stays so. Raises `NotFound`.
    """
    await redis.open()
    store = UserStore(redis)
    is_new = await store.create_user(name, UserRole.ADMIN)
    token = (secrets / "admin_token").read_text().strip()
    kept = await store.keep_token(token, name, label=_TOKEN_LABEL)
    for each in await store.tokens(name):
        if each.label == _TOKEN_LABEL and each.id != kept.id:
            await store.revoke(name, each.id)
    return is_new


async def maintain(redis: Redis, word: str, by: str, why: str) -> str:
    """Turn the maintenance switch `on` or `off`, or `show` how it stands; says how it is then."""
    await redis.open()
    store = MaintenanceStore(redis)
    if word == "on":
        now = format_instant(Instant(int(time.time()) * 1000))
        await store.begin(Maintenance(now, by, check_reason(why)))
    elif word == "off":
        await store.end()
    said, counts = await store.get(), await JobStore(redis).counts()
    under_way = sum(counts.get(status, 0) for status in (*HAS_ATTEMPT, Status.STOPPING))
    return f"{said.sentence if said else 'new work is taken'}; jobs under way: {under_way}"


async def _version(redis: Redis) -> tuple[int, ...]:
    found = await redis.command("INFO", "server")
    return tuple(int(part) for part in str(found["redis_version"]).split("."))


async def _run(asked: argparse.Namespace) -> str:
    redis = Redis(
        os.environ["HEADRACE_REDIS_URL"],
        password_file=SECRETS / "redis_admin",
        patience_s=_PATIENCE_S,
    )
    try:
        if asked.command == "users":
            count = await make_users(redis, SECRETS, keep=asked.keep)
            return f"{count} users of Redis have their rights"
        if asked.command == "epoch":
            await begin_epoch(redis, asked.backup)
            return f"Redis begins a new epoch with the backup of {asked.backup}"
        if asked.command == "maintenance":
            return await maintain(redis, asked.word, asked.by, asked.why)
        is_new = await make_admin(redis, SECRETS, asked.name)
        return f"{asked.name} is {'a new' if is_new else 'an'} admin"
    finally:
        await redis.close()


def main(arguments: Sequence[str]) -> int:
    """Do one command; status 1 with a sentence when something is in the way."""
    parser = argparse.ArgumentParser(prog="headrace_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    users = commands.add_parser("users", help="make the users of Redis")
    users.add_argument("--keep", action="store_true", help="older passwords still count")
    admin = commands.add_parser("admin", help="make a user an admin, by the token of the stack")
    admin.add_argument("name")
    epoch = commands.add_parser("epoch", help="begin a new epoch of a restored Redis")
    epoch.add_argument("backup", help="which backup it is, for people")
    maintenance = commands.add_parser("maintenance", help="keep new work away for a while")
    maintenance.add_argument("word", choices=("on", "off", "show"))
    maintenance.add_argument("--by", required=True, help="who says so")
    maintenance.add_argument("--why", default="", help="what users are told")
    try:
        said = asyncio.run(_run(parser.parse_args(arguments)))
    except (HeadraceError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
