"""The images of Headrace: what they run as, what they hold, and what they must not hold."""

import asyncio
import json
import mmap
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import DockerEngine, why_no_engine
from tests.support.docker_images import PIP_CANARY, add_image, image_file
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

PROJECT = Path(__file__).parents[2]
IMAGES = ["service", "worker-python", "worker-mpi", "worker-bmi"]
# What a hardened worker gets, and has to do with.
HARDENED = (
    "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is_and_runs_without_rights(
    docker_engine: DockerEngine, name: str
) -> None:
    image = add_image(docker_engine, name)
    labels = _config(docker_engine, image)["Labels"]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert re.fullmatch(
        "[0-9a-f]{40}(-modified)?|unknown", labels["org.opencontainers.image.revision"]
    )
    said = docker_engine.docker(
        "run", *HARDENED, image, "sh", "-c", "id -u; python -VV; ls -d /home/headrace"
    ).stdout
    assert re.match(r"10001\nPython 3\.11\.", said)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_remembers_nothing_of_where_it_was_built(state_dir: Path, name: str) -> None:
    needles = [PIP_CANARY.encode(), str(PROJECT).encode(), str(Path.home() / ".cache").encode()]
    file = image_file(state_dir, name)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as all_:
        assert [needle for needle in needles if all_.find(needle) >= 0] == []
        assert all_.find(b"org.opencontainers.image.version") >= 0


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_holds_no_tool_to_build_with_and_no_key(
    docker_engine: DockerEngine, name: str
) -> None:
    image = add_image(docker_engine, name)
    # In the Python worker's, and in what stands on it, jobs resolve and build their environments.
    pip = "" if name in ("worker-python", "worker-bmi") else "pip pip3"
    script = (
        f"for tool in gcc cc make {pip}; do command -v $tool; done;"
        "find / -xdev \\( -name 'ssh_host_*' -o -name '*.key' -o -name 'pip.conf' \\) 2>/dev/null;"
        "find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null; true"
    )
    assert docker_engine.docker("run", *HARDENED, image, "sh", "-c", script).stdout == ""


def test_the_service_image_brings_our_packages(docker_engine: DockerEngine) -> None:
    image = add_image(docker_engine, "service")
    script = (
        "import headrace_model, headrace_request.main, headrace_data.main, headrace_agent.main;"
        "import docker, netCDF4, minio; print(headrace_model.__file__)"
    )
    said = docker_engine.docker("run", *HARDENED, image, "python", "-c", script).stdout
    assert said.startswith("/opt/headrace/lib/python3.11/site-packages/")
    refused = docker_engine.docker("run", *HARDENED, image, check=False)
    assert refused.returncode == 2
    assert "Name a service" in refused.stderr


def test_each_service_of_the_image_gets_healthy(
    docker_engine: DockerEngine, state_dir: Path, redis_server: RedisServer
) -> None:
    image = add_image(docker_engine, "service")
    token = state_dir / "token"
    token.write_text("t" * 40)
    token.chmod(0o600)
    os.chown(token, 10001, 10001)
    socket = Path(redis_server.url.removeprefix("unix://"))
    socket.chmod(0o777)
    services = ["request", "data", "scheduler", "monitor", "agent", "cluster"]
    settings = {
        "HEADRACE_REDIS_URL": f"unix:///redis/{socket.name}",
        "HEADRACE_INTERNAL_TOKEN_FILE": "/run/token",
        "HEADRACE_DATA_URL": "http://data:8000",
        "HEADRACE_SCHEDULER_URL": "http://scheduler:8000",
        "HEADRACE_STORE": "/var/lib/headrace/store",
        "HEADRACE_NODE": "one",
    }
    given = [f"--env={name}={value}" for name, value in settings.items()]
    mounts = [
        f"--mount=type=bind,source={socket.parent},target=/redis",
        f"--mount=type=bind,source={token},target=/run/token,readonly",
    ]
    try:
        for each in services:
            docker_engine.docker(
                "run", "-d", f"--name=healthy-{each}", "--read-only", "--tmpfs=/tmp", *given,
                *mounts, image, each,
            )  # fmt: skip

        def health() -> dict[str, str]:
            words = ["inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}"]
            named = [f"healthy-{each}" for each in services]
            said = docker_engine.docker(*words, *named).stdout.splitlines()
            for each in (
                each for each, state in zip(services, said, strict=True) if "exited" in state
            ):
                pytest.fail(docker_engine.docker("logs", f"healthy-{each}").stderr)
            return dict(zip(services, said, strict=True))

        wanted = dict.fromkeys(services, "running healthy")
        waited = wait_until(lambda: health() == wanted, "five healthy services", within_s=300)
        asyncio.run(waited)
        # Where nobody listens the check fails.
        checked = docker_engine.docker(
            "exec", "--env=HEADRACE_LISTEN=0.0.0.0:8001", "healthy-request",
            "python", "/opt/headrace/healthy.py", check=False,
        )  # fmt: skip
        assert checked.returncode == 1
        assert "port 8001 does not answer" in checked.stderr
    finally:
        for each in services:
            docker_engine.docker("rm", "-f", "-v", f"healthy-{each}", check=False)


def test_a_script_runs_in_the_python_worker(docker_engine: DockerEngine, state_dir: Path) -> None:
    image = add_image(docker_engine, "worker-python")
    script = state_dir / "script.py"
    script.write_text(
        "import netCDF4, numpy\n"
        "with netCDF4.Dataset('/tmp/flow.nc', 'w') as made:\n"
        "    made.createDimension('time', 3)\n"
        "    made.createVariable('flow', 'f8', ('time',))[:] = numpy.arange(3)\n"
        "with netCDF4.Dataset('/tmp/flow.nc') as read:\n"
        "    print(float(read['flow'][:].sum()))\n"
    )
    said = docker_engine.docker(
        "run", *HARDENED, f"--mount=type=bind,source={script},target=/script.py,readonly", image,
        "python", "/script.py",
    )  # fmt: skip
    assert said.stdout == "3.0\n"


def test_two_ranks_meet_in_the_mpi_worker(docker_engine: DockerEngine) -> None:
    image = add_image(docker_engine, "worker-mpi")
    script = "from mpi4py import MPI; print(f'{MPI.COMM_WORLD.allreduce(1)}\\n', end='')"
    said = docker_engine.docker(
        "run", *HARDENED, image, "mpirun", "-n", "2", "--oversubscribe", "python", "-c", script
    )
    assert said.stdout == "2\n2\n"


def test_two_ranks_find_a_model_in_the_bmi_worker(docker_engine: DockerEngine) -> None:
    image = add_image(docker_engine, "worker-bmi")
    script = (
        "import headrace_bmi, headrace_calibration, mpi4py.MPI as mpi, netCDF4, numpy;"
        "from HBV import HBV; print(f'{HBV().get_component_name()}, {numpy.__file__}\\n', end='')"
    )
    said = docker_engine.docker(
        "run", *HARDENED, image, "mpirun", "-n", "2", "--oversubscribe", "python", "-c", script
    )
    numpy = "/opt/worker/lib/python3.11/site-packages/numpy/__init__.py"
    assert said.stdout.splitlines() == [f"HBV, {numpy}"] * 2


@pytest.mark.parametrize(
    ("words", "why"),
    [(["nonsense"], "known are: service worker-python worker-mpi"), (["--tag", "-x"], "a tag")],
)
def test_build_images_refuses_what_it_does_not_know(words: list[str], why: str) -> None:
    refused = subprocess.run(
        [PROJECT / "scripts/build-images.sh", *words], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert why in refused.stderr


def test_a_build_without_an_engine_says_what_to_do(state_dir: Path) -> None:
    for script in ("build-images.sh", "build-base-image.sh"):
        refused = subprocess.run(
            [PROJECT / "scripts" / script], capture_output=True, text=True, check=False,
            env={**os.environ, "DOCKER_HOST": f"unix://{state_dir}/none.sock"},
        )  # fmt: skip
        assert refused.returncode == 1
        assert "Start one, or name another in DOCKER_HOST" in refused.stderr


def _config(engine: DockerEngine, image: str) -> dict[str, Any]:
    said: list[dict[str, Any]] = json.loads(engine.docker("image", "inspect", image).stdout)
    config: dict[str, Any] = said[0]["Config"]
    return config
