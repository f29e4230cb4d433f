"""A swarm of three nodes for the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev_swarm import Swarm, own_network


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
