"""What a sample of an engine says that a container uses."""

from typing import Any

import pytest

from headrace_adapters.backends.containers import memory_of, sample_of
from headrace_model.usage import Sample


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


@pytest.mark.parametrize(("read", "write"), [("Read", "Write"), ("read", "write")])
def test_a_sample_adds_up_block_devices_and_networks(read: str, write: str) -> None:
    moved = [
        {"major": 8, "minor": minor, "op": op, "value": value}
        for minor, op, value in ((0, read, 1), (0, write, 10), (16, read, 2), (16, "Total", 99))
    ]
    stats = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000}},
        "memory_stats": {"usage": 7},
        "blkio_stats": {"io_service_bytes_recursive": moved},
        "networks": {
            "eth0": {"rx_bytes": 5, "tx_bytes": 6},
            "eth1": {"rx_bytes": 1, "tx_bytes": 0},
        },
    }
    assert sample_of(stats, 42) == Sample(42, 2_000, 7, 3, 10, 6, 6)


def test_what_is_not_counted_is_told_apart_from_nothing() -> None:
    runs = {"cpu_stats": {"cpu_usage": {"total_usage": 1_000_000}}}
    bare = {**runs, "blkio_stats": {"io_service_bytes_recursive": None}}
    assert sample_of(bare, 42) == Sample(42, 1, 0, 0, 0, None, None)
    assert sample_of({"cpu_stats": {"cpu_usage": {"total_usage": 0}}}, 42) is None
    assert sample_of({}, 42) is None
