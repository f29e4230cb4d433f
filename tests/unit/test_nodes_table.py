"""The table of `headrace nodes list`: what a node has, gives, and when nothing may run there."""

import pytest

from headrace_client.cli.nodes import show_nodes
from headrace_wire.api import NodeView, read_view

_NODE = {
    "id": "node1", "state": "UP", "capacity": {"cpus": 8, "memory": 2**33},
    "free": {"cpus": 1.5, "memory": 2**30}, "backends": ["process"],
}  # fmt: skip
_HAS = {"cpus": 4, "memory": 2**32, "gpus": 2, "generic": {"licence": 3}}
_WINDOWS = [
    {"begin": "2099-01-01T06:00:00.000Z", "end": "2099-01-01T18:00:00.000Z", "why": "new disks"},
    {"begin": "2099-02-01T06:00:00.000Z", "end": "2099-02-01T18:00:00.000Z", "why": "again"},
]


def test_what_an_admin_gives_and_windows_that_come_stand_in_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bounded = {**_NODE, "id": "node2", "usable": _HAS, "maintenance": _WINDOWS}
    whole = {**_NODE, "usable": _NODE["capacity"]}
    show_nodes("table", tuple(read_view(NodeView, each) for each in (whole, bounded, _NODE)))
    _, first, second, older = capsys.readouterr().out.splitlines()
    assert "8 CPU, 8.0 GiB  all" in first
    assert "8 CPU, 8.0 GiB  4 CPU, 4.0 GiB, 2 GPU, 3 licence  1.5 CPU, 1.0 GiB" in second
    assert second.endswith("2099-01-01T06:00Z to 2099-01-01T18:00Z: new disks (then 1 more)")
    assert "all" not in older  # a server that is older than this program does not say
