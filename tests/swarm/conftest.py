"""A swarm of three nodes for the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev_swarm import Swarm, own_network
from tests.support.docker_images import TAG, image_file

MPI_IMAGE = f"headrace/worker-mpi:{TAG}"
BMI_IMAGE = f"headrace/worker-bmi:{TAG}"


@pytest.fixture(scope="module")
def swarm(run_root: Path) -> Iterator[tuple[Swarm, str]]:
    """The swarm of this module's tests, and the small image that its nodes have."""
    network = own_network(7)
    made = Swarm(run_root / "nodes", network)
    try:
        made.run("up", "--workers", "2", "--network", f"{network}.0/24")
        yield made, made.add_small_image()
    finally:
        made.run("down")


@pytest.fixture(scope="module")
def mpi_swarm(run_root: Path) -> Iterator[Swarm]:
    """The swarm of this module's tests; its nodes have the image of MPI workers."""
    network = own_network(11)
    made = Swarm(run_root / "mpi", network)
    try:
        made.run("up", "--workers", "2", "--network", f"{network}.0/24")
        load(made, run_root, "worker-mpi")
        yield made
    finally:
        made.run("down")


def load(swarm: Swarm, run_root: Path, name: str) -> None:
    """Have an image on each node."""
    file = image_file(run_root, name)
    for node in swarm.nodes:
        swarm.docker(node, "load", "--input", str(file))
