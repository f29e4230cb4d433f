"""control-stack.sh with a registry that wants a login: a real one, on a swarm of one machine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import SwarmEngine
from tests.support.docker_engine import small_image_tar
from tests.support.docker_images import add_image
from tests.support.private_registry import log_in, start_registry

PROJECT = Path(__file__).parents[2]
REGISTRY = "127.0.0.1:5102"  # of the engine, which has a network of its own
# A small image stands for those of the stack: nobody runs them here.
IMAGES = ("service", "redis", "worker-python", "worker-mpi")


class Deployment:
    """What the script is told of a deployment in `folder`."""

    def __init__(self, engine: SwarmEngine, folder: Path) -> None:
        self.logins = folder / ".headrace" / "registries"
        self._engine = engine
        self._env = folder / "env"
        # Nothing listens on port 1.
        self._env.write_text(
            f"HEADRACE_REGISTRY={REGISTRY}/hydro\nHEADRACE_TAG=registry\nHEADRACE_PORT=1\n"
            f"HEADRACE_TLS=no\nHEADRACE_STATE_NODE={engine.node}\n"
            f"HEADRACE_INGRESS_NODES={engine.node}\n"
        )

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run control-stack.sh."""
        script = PROJECT / "scripts" / "control-stack.sh"
        return subprocess.run(
            [script, "--env-file", self._env, *words], capture_output=True, text=True,
            timeout=300, check=False, env=self._engine.environ,
        )  # fmt: skip

    def forget_images(self) -> None:
        """Take the images from the engine, by whatever names: it has to pull them."""
        docker = self._engine.docker
        found = docker("images", "-q", "--no-trunc", "--filter", "label=of=registry").stdout
        if found:
            docker("rmi", "--force", *set(found.split()))


@pytest.fixture
def deployment(swarm_engine: SwarmEngine, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose registry runs, and that has no login there."""
    docker = swarm_engine.docker
    image = add_image(swarm_engine, "dev-registry")
    name = start_registry(docker, image, tmp_path / "registry", 5102, "--network", "host")
    try:
        first, *others = (f"headrace/{each}:registry" for each in IMAGES)
        docker("import", "--change", "LABEL of=registry", "-", first, stdin=small_image_tar())
        for each in others:
            docker("tag", first, each)
        log_in(docker, REGISTRY, tmp_path / "somebody")  # so it answers
        made = Deployment(swarm_engine, tmp_path)
        yield made
        made.forget_images()
    finally:
        docker("rm", "--force", "--volumes", name)


def test_the_script_pushes_and_nodes_pull_with_the_deployments_login(
    deployment: Deployment, swarm_engine: SwarmEngine
) -> None:
    refused = deployment.control("main", "push")
    assert refused.returncode == 1
    assert f"docker --config {deployment.logins} login {REGISTRY}" in refused.stderr

    log_in(swarm_engine.docker, REGISTRY, deployment.logins)
    pushed = deployment.control("main", "push")
    assert pushed.returncode == 0, pushed.stderr
    deployment.forget_images()
    checked = deployment.control("main", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 nodes run the image" in checked.stdout

    deployment.forget_images()
    (deployment.logins / "config.json").write_text('{"auths": {}}')
    checked = deployment.control("main", "check")
    assert checked.returncode == 1
    assert f"the node {swarm_engine.node} can't run the image" in checked.stdout


def test_a_deployment_with_a_wrong_file_of_logins_changes_nothing(
    deployment: Deployment, swarm_engine: SwarmEngine
) -> None:
    log_in(swarm_engine.docker, REGISTRY, deployment.logins)
    assert deployment.control("main", "push").returncode == 0
    (deployment.logins / "config.json").write_text('{"auths": {"r.example": {}}}')
    refused = deployment.control("main", "deploy")
    assert refused.returncode == 1
    assert "holds no logins in the form of docker's config.json" in refused.stderr
    assert swarm_engine.docker("service", "ls", "-q").stdout == ""
