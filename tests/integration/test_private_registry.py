"""Images of a registry that wants a login: a real one, and the engine that pulls from it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace_adapters.backends.docker_engine import Engine
from headrace_adapters.backends.registry_logins import RegistryLogins
from headrace_model.errors import Forbidden, NotFound
from tests.support.docker_engine import SMALL_IMAGE, DockerEngine
from tests.support.docker_images import add_image
from tests.support.private_registry import PASSWORD, log_in, logins_text, start_registry

pytestmark = pytest.mark.usefixtures("no_blocking")

REGISTRY = "127.0.0.1:5101"  # of the engine, which has a network of its own
IMAGE = f"{REGISTRY}/models/private:1"


@pytest.fixture(scope="module")
def config(docker_engine: DockerEngine, run_root: Path) -> Iterator[Path]:
    """The folder of docker's command that has pushed `IMAGE`, with its login; the engine itself
    has the image no more."""
    docker, folder = docker_engine.docker, run_root / "private-registry"
    image = add_image(docker_engine, "dev-registry")
    container = start_registry(docker, image, folder, 5101, "--network", "host")
    try:
        log_in(docker, REGISTRY, folder / "cli")
        docker("tag", SMALL_IMAGE, IMAGE)
        docker("--config", str(folder / "cli"), "push", "--quiet", IMAGE)
        docker("rmi", IMAGE)
        yield folder / "cli"
    finally:
        docker("rm", "--force", "--volumes", container)


@asynccontextmanager
async def engine(docker_engine: DockerEngine, file: Path | None) -> AsyncIterator[Engine]:
    logins = await asyncio.to_thread(RegistryLogins, file)
    made = Engine(docker_engine.host, logins=logins)
    try:
        yield made
    finally:
        await made.close()
        await asyncio.to_thread(docker_engine.docker, "rmi", IMAGE, check=False)


def logins_file(folder: Path, text: str) -> Path:
    file = folder / "logins.json"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


async def test_a_new_login_in_the_file_counts_for_the_next_pull(
    docker_engine: DockerEngine,
    config: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    file = logins_file(tmp_path, '{"auths": {}}')
    async with engine(docker_engine, file) as node:
        with pytest.raises(Forbidden, match=r"127\.0\.0\.1:5101 .* without a login.* has none"):
            await node.ensure_image(IMAGE)
        logins_file(tmp_path, logins_text(REGISTRY, "water-mill"))
        with pytest.raises(Forbidden, match=f"{IMAGE} to the login that this node has"):
            await node.ensure_image(IMAGE)
        logins_file(tmp_path, logins_text(REGISTRY))
        assert (await node.ensure_image(IMAGE)).startswith("sha256:")
        with pytest.raises(NotFound, match=f"there is no image {REGISTRY}/models/other:1"):
            await node.ensure_image(f"{REGISTRY}/models/other:1")
    assert PASSWORD not in caplog.text


async def test_a_login_goes_to_its_own_registry_alone(
    docker_engine: DockerEngine, config: Path, tmp_path: Path
) -> None:
    file = logins_file(tmp_path, logins_text("registry.example"))
    async with engine(docker_engine, file) as node:
        with pytest.raises(Forbidden, match="without a login"):
            await node.ensure_image(IMAGE)


async def test_without_a_file_the_agents_own_user_is_logged_in(
    docker_engine: DockerEngine, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with engine(docker_engine, None) as node:
        with pytest.raises(Forbidden, match="without a login"):
            await node.ensure_image(IMAGE)
        monkeypatch.setenv("DOCKER_CONFIG", str(config))
        assert (await node.ensure_image(IMAGE)).startswith("sha256:")


async def test_what_docker_login_wrote_is_a_file_of_logins(
    docker_engine: DockerEngine, config: Path
) -> None:
    async with engine(docker_engine, config / "config.json") as node:
        assert (await node.ensure_image(IMAGE)).startswith("sha256:")
