"""What a sample of an engine says that a container uses."""

from typing import Any

import pytest

from headrace_adapters.backends.containers import memory_of


@pytest.mark.parametrize(
    ("stats", "used"),
    [
        ({"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30}}}, 70),  # cgroup v1
        ({"memory_stats": {"usage": 100, "stats": {"inactive_file": 40}}}, 60),  # cgroup v2
        ({"memory_stats": {"usage": 10, "stats": {"inactive_file": 40}}}, 0),
        ({"memory_stats": {"usage": 100}}, 100),
        ({"memory_stats": {}}, 0),  # it runs no more
        ({}, 0),
    ],
)
def test_cached_files_are_not_used_memory(stats: dict[str, Any], used: int) -> None:
    assert memory_of(stats) == used
