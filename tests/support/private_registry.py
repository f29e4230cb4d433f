"""A registry of images that wants a login, as a container of an engine of the tests."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from tests.support.wait import wait_until

USER, PASSWORD = "keeper", "water-wheel"
# bcrypt of that password, at the least cost: no program here makes it.
_HTPASSWD = f"{USER}:$2b$04$cenfkeu68XIz/mgdbfsiyeIRFqpiUmgGxU7bbUDz6ulihZW8LGlje\n"
Docker = Callable[..., object]


def start_registry(docker: Docker, image: str, folder: Path, port: int, *more: str) -> str:
    """Start it on the machine of an engine, with its files in `folder`; returns its container.

    `docker` runs the command; `more` are further words for `docker run`.
    """
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "htpasswd").write_text(_HTPASSWD)
    name = f"private-registry-{port}"
    given = {
        "HTTP_ADDR": f":{port}",
        "AUTH_HTPASSWD_REALM": "tests",
        "AUTH_HTPASSWD_PATH": "/logins/htpasswd",
    }
    variables = [
        word for key, value in given.items() for word in ("-e", f"REGISTRY_{key}={value}")
    ]
    docker(
        "run", "-d", "--name", name, "--no-healthcheck", "-v", f"{folder}:/logins:ro",
        *variables, *more, image,
    )  # fmt: skip
    return name


def log_in(docker: Docker, registry: str, config: Path) -> None:
    """Have docker's own command write a login into a folder, once the registry answers."""
    config.mkdir(mode=0o700, parents=True, exist_ok=True)

    def done() -> bool:
        try:
            docker(
                "--config", str(config), "login", "-u", USER, "--password-stdin", registry,
                stdin=PASSWORD.encode(),
            )  # fmt: skip
        except AssertionError:
            return False
        return True

    asyncio.run(wait_until(done, f"a login at {registry}", within_s=300))


def logins_text(registry: str, password: str = PASSWORD) -> str:
    """What a file of logins holds with this one."""
    auth = b64encode(f"{USER}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": auth}}})
