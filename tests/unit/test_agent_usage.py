"""The samples that an agent keeps: they go on over its end, over that of a nest, and stay few."""

from pathlib import Path

import pytest

from headrace_agent.core.usage import Counted
from headrace_agent.usage import UsageRecorder
from headrace_model.errors import Unavailable
from headrace_model.ids import JobId
from headrace_model.usage import Sample
from headrace_model.worker import WorkerKey, WorkerUsage
from headrace_wire.usage import LIMIT, read_samples, write_sample

JOB = JobId("0123456789abcdef")
KEY = WorkerKey(JOB, 1, 0)


def test_counters_that_began_anew_go_on_from_where_they_were() -> None:
    counted = Counted().next(Sample(1, 100, 7, 10, 20, 30, None))
    counted = counted.next(Sample(2, 5, 8, 1, 25, 3, None))
    assert counted.last == Sample(2, 100, 8, 10, 25, 30, None)
    counted = counted.next(Sample(3, 9, 1, 2, 30, 5, 4))
    assert counted.last == Sample(3, 104, 1, 11, 30, 32, 4)


def test_what_is_no_newer_is_no_sample() -> None:
    counted = Counted().next(Sample(2, 1, 1, 1, 1))
    assert counted.next(Sample(2, 9, 9, 9, 9)) is counted
    assert counted.next(Sample(1, 9, 9, 9, 9)) is counted


class Told:
    """Stands for the backend of a node: what it tells of its workers next."""

    def __init__(self) -> None:
        self.used: tuple[WorkerUsage, ...] = ()
        self.away = False

    async def usage(self) -> tuple[WorkerUsage, ...]:
        if self.away:
            raise Unavailable("nobody answers")
        return self.used


class Node:
    def __init__(self, folder: Path) -> None:
        self.attempts = folder
        self.logs = folder / f"{JOB}.1" / "logs"
        self.logs.mkdir(parents=True)
        self.backend = Told()
        self.recorder = self.another()

    def another(self) -> UsageRecorder:
        """The recorder of an agent that comes after this one."""
        return UsageRecorder(self.backend, self.attempts)  # type: ignore[arg-type]

    async def look(self, at_ms: int, cpu_ms: int = 0) -> None:
        self.backend.used = (WorkerUsage(KEY, Sample(at_ms, cpu_ms, 1, 0, 0)),)
        await self.recorder._look()

    @property
    def path(self) -> Path:
        return self.logs / "0.usage"

    def kept(self) -> list[int]:
        return [each.at_ms for each in read_samples(self.path.read_text())]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_the_next_agent_goes_on_with_the_file(node: Node) -> None:
    await node.look(1_000, 50)
    await node.look(1_000, 60)
    with node.path.open("a") as file:
        file.write(write_sample(Sample(2_000, 70, 1, 0, 0))[:-4])  # killed while it wrote
    node.recorder = node.another()
    await node.look(1_000, 50)
    await node.look(3_000, 10)
    assert node.kept() == [1_000, 3_000]
    assert node.path.read_text().count("\n") == 2
    assert read_samples(node.path.read_text())[-1].cpu_ms == 50


async def test_the_file_stays_small(node: Node) -> None:
    for number in range(3 * LIMIT):
        await node.look(5_000 * (1 + number))
        assert node.path.read_text().count("\n") <= LIMIT
    kept = node.kept()
    assert kept[-1] == 5_000 * 3 * LIMIT
    assert kept[0] < 5_000 * 3 * LIMIT / 50
    assert list(node.logs.iterdir()) == [node.path]


async def test_what_cant_be_sampled_is_a_gap(node: Node) -> None:
    await node.look(1_000)
    node.backend.away = True
    await node.recorder._look()
    await node.recorder.last(JOB, 1)
    node.backend.away = False
    node.recorder = node.another()
    node.path.rename(node.logs / "elsewhere")
    node.path.symlink_to(node.logs / "elsewhere")
    await node.look(2_000)
    assert read_samples((node.logs / "elsewhere").read_text())[-1].at_ms == 1_000
    node.path.unlink()
    await node.look(3_000)
    assert node.kept() == [3_000]


async def test_an_attempt_that_is_cleaned_is_sampled_once_more_and_never_again(node: Node) -> None:
    await node.look(1_000)
    node.backend.used = (WorkerUsage(KEY, Sample(2_000, 9, 0, 0, 0)),)
    await node.recorder.last(JOB, 1)
    await node.recorder.last(JOB, 1)
    assert node.kept() == [1_000, 2_000]
    await node.look(3_000)
    assert node.kept() == [1_000, 2_000]


async def test_an_attempt_that_ended_before_its_first_sample_gets_no_file(node: Node) -> None:
    node.backend.used = (WorkerUsage(KEY, Sample(1_000, 9, 0, 0, 0)),)
    await node.recorder.last(JOB, 1)
    assert list(node.logs.iterdir()) == []


async def test_a_folder_that_is_gone_is_not_made_again(node: Node) -> None:
    node.logs.rmdir()
    await node.look(1_000)
    assert not node.logs.exists()
