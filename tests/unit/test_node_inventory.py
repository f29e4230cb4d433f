"""What a node has, and what admins call it."""

import asyncio
from pathlib import Path

import pytest

from headrace_agent import inventory
from headrace_agent.inventory import Held, Teller, count_gpus
from headrace_model.errors import InvalidInput, Unavailable
from headrace_model.ids import DatasetId
from headrace_model.node import Cached, Inventory, check_labels
from tests.support.wait import wait_until

HAS = Inventory("process", "", 0, 100, 50, Cached(0, 0, 0))


def test_gpus_are_the_devices_of_the_driver_and_not_its_controls(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "null", "xnvidia1"):
        (tmp_path / name).touch()
    assert count_gpus(tmp_path) == 2


@pytest.mark.parametrize("name", ["rack", "a", "example.org/zone-1", "x" * 63])
def test_a_label_has_a_plain_name(name: str) -> None:
    check_labels({name: "R7/left_side-1.2"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("Rack", "x"), ("-a", "x"), ("a-", "x"), ("a b", "x"), ("x" * 64, "x"),
     ("a", ""), ("a", "b c"), ("a", "x" * 64), ("a", "ü"), ("a\n", "x"), ("a", "x\n")],
)  # fmt: skip
def test_strange_labels_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match="label"):
        check_labels({name: value})


class Bench:
    """A machine to look at, and what was told of it."""

    def __init__(self) -> None:
        self.found: Inventory | Exception = HAS
        self.held: Held = {}
        self.looks = 0
        self.told: list[Inventory] = []

    async def look(self) -> tuple[Inventory, Held]:
        self.looks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found, self.held

    async def tell(self, found: Inventory, held: Held) -> None:
        self.told.append(found)

    async def looked(self, times: int) -> None:
        await wait_until(lambda: self.looks > times, "looks")


async def test_what_did_not_change_is_told_again_only_to_who_may_have_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "EVERY_S", 0.01)
    bench = Bench()
    teller = Teller(bench.look, bench.tell)
    running = asyncio.create_task(teller.run())
    try:
        await asyncio.sleep(0)
        assert bench.looks == 0, "nothing is told before the node is registered"
        teller.registered()
        await bench.looked(3)
        assert bench.told == [HAS]
        bench.found = Unavailable("the engine is away")
        await bench.looked(bench.looks + 1)
        bench.found = HAS
        teller.registered()
        await wait_until(lambda: bench.told == [HAS, HAS], "it to be told again")
    finally:
        running.cancel()


async def test_what_staging_brought_is_told_long_before_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "SOON_S", 0.01)
    bench = Bench()
    teller = Teller(bench.look, bench.tell)
    running = asyncio.create_task(teller.run())
    try:
        teller.staged()
        await asyncio.sleep(0.05)
        assert bench.looks == 0, "nothing is told before the node is registered"
        teller.registered()
        await wait_until(lambda: bench.told == [HAS], "the first look")
        bench.held = {DatasetId("d1"): 7}
        teller.staged()
        await wait_until(lambda: bench.told == [HAS, HAS], "it to be told again")
    finally:
        running.cancel()
