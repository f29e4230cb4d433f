"""Where everything of one local Headrace lies: paths only, nothing is touched.

```
config.json     port, cpus, memory, … (config.py)     client.json     {url, token_file}
admin.token     the first admin's token               internal.token  what services show each other
secrets.key     what secrets are encrypted with   session.key   and sessions of browsers
redis/          the durable Redis, its ballast        store/          items of datasets
passwords/      one file for each user of Redis
data/ agent/    what these two services keep          services/       what the others keep
logs/           one file a process                    run/            lock, state.json, sockets
```
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVICES: Final = ("data", "scheduler", "monitor", "agent", "request")
"""In the order in which they start; they stop the other way round."""

VARIABLE: Final = "HEADRACE_HOME"

# unix(7): a socket's path may have 107 bytes.
LONGEST_SOCKET_PATH: Final = 107
_LONGEST_SOCKET_NAME: Final = "scheduler-99.sock"


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder `root` (absolute) of a user; `temp` is the system's temporary folder."""

    root: Path
    uid: int
    temp: Path

    @property
    def id(self) -> str:
        """Names this home in the environment of its processes: 16 hex digits of the path.

        Of the path, and not a random id kept in the folder: a copied folder is another home.
        """
        return hashlib.sha256(bytes(self.root)).hexdigest()[:16]

    @property
    def config(self) -> Path:
        """What `up` was told, and what it chose."""
        return self.root / "config.json"

    @property
    def client(self) -> Path:
        """Where clients of this user find the URL and the file with the token."""
        return self.root / "client.json"

    @property
    def admin_token(self) -> Path:
        """The token of the first admin: the user of the operating system."""
        return self.root / "admin.token"

    @property
    def internal_token(self) -> Path:
        """The token that services and agents show each other."""
        return self.root / "internal.token"

    @property
    def secrets_key(self) -> Path:
        """The key that secrets in Redis are encrypted with: not in the folder that Redis fills."""
        return self.root / "secrets.key"

    @property
    def session_key(self) -> Path:
        """The key that browsers' sessions are encrypted with."""
        return self.root / "session.key"

    @property
    def codes(self) -> Path:
        """One-time codes to sign in with in a browser."""
        return self.run / "codes"

    @property
    def redis(self) -> Path:
        """Redis's files."""
        return self.root / "redis"

    @property
    def restored(self) -> Path:
        """Says which backup `redis` holds, until Redis begins a new epoch with it."""
        return self.redis / "restored"

    @property
    def acl(self) -> Path:
        """Redis's users and what each may do; of their passwords only the SHA-256."""
        return self.redis / "users.acl"

    @property
    def passwords(self) -> Path:
        """The folder of the passwords of Redis's users."""
        return self.root / "passwords"

    def password(self, user: str) -> Path:
        """The password of one of Redis's users."""
        return self.passwords / user

    @property
    def store(self) -> Path:
        """The directory store: items of datasets and shipped logs."""
        return self.root / "store"

    @property
    def agent(self) -> Path:
        """The agent's state: attempts, cache, the nest."""
        return self.root / "agent"

    @property
    def nest(self) -> Path:
        """The folder of the nest, which the agent starts."""
        return self.agent / "nest"

    @property
    def attempts(self) -> Path:
        """The folders of attempts."""
        return self.agent / "attempts"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """The supervisor's lock and state."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held by the living supervisor."""
        return self.run / "supervisor.lock"

    @property
    def state(self) -> Path:
        """The supervisor's processes, for people who look."""
        return self.run / "state.json"

    @property
    def sockets(self) -> Path:
        """The folder of the unix sockets: `run`, or one with a short path where that is long."""
        if len(bytes(self.run / _LONGEST_SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.run
        return self.temp / f"headrace-{self.uid}-{self.id}"

    @property
    def redis_socket(self) -> Path:
        """Where Redis listens."""
        return self.sockets / "redis.sock"

    def socket(self, service: str, replica: int = 1) -> Path:
        """Where a service other than `request` listens."""
        return self.sockets / f"{named(service, replica)}.sock"

    def log(self, process: str) -> Path:
        """The log of a process: redis, services, supervisor, or a service that runs alone."""
        return self.logs / f"{process}.log"

    def state_of(self, service: str, replica: int = 1) -> Path:
        """The folder that a service keeps its own files in."""
        if service in ("data", "agent"):
            return self.root / service
        return self.root / "services" / named(service, replica)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder below the root that is made with mode 0700, parents first."""
        states = (self.state_of(service) for service in SERVICES)
        return (
            self.redis,
            self.passwords,
            self.store,
            self.root / "services",
            *states,
            self.logs,
            self.run,
            self.codes,
        )

    @property
    def entries(self) -> tuple[Path, ...]:
        """All that Headrace ever makes directly below the root: what a reset removes, in order.

        The files by which a home is known come last, so that a reset can be begun again.
        """
        keys = (self.internal_token, self.secrets_key, self.session_key)
        folders = (folder for folder in self.folders if folder.parent == self.root)
        return (*folders, self.client, self.admin_token, *keys, self.config)


def named(service: str, replica: int) -> str:
    """`request`, and `scheduler-1` or `monitor-2` for what has replicas."""
    return f"{service}-{replica}" if service in ("scheduler", "monitor") else service


def root_from(environ: Mapping[str, str], user_home: Path, cwd: Path) -> Path:
    """The state folder: HEADRACE_HOME, else the user's XDG data folder, else ~/.local/share."""
    if given := environ.get(VARIABLE):
        return cwd / Path(given)
    data = Path(environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else user_home / ".local" / "share") / "headrace"
