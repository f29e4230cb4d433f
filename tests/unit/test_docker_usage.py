"""Looking at containers: together, and nothing kept of what is forgotten meanwhile."""

import asyncio

from headrace_adapters.backends.containers import Known
from headrace_adapters.backends.docker_errors import Gone
from headrace_adapters.backends.docker_usage import ContainerUsage
from headrace_model.ids import JobId
from headrace_model.usage import Sample
from headrace_model.worker import WorkerKey, WorkerUsage
from tests.support.wait import wait_until

JOB = JobId("0123456789abcdef")
RANK = WorkerKey(JOB, 1, 0)


def known(key: WorkerKey) -> Known:
    return Known(str(key), key, False, "", "", None)


class Collecting:
    """Stands for an engine that collects once, when as many ask as it waits for."""

    def __init__(self, waits_for: int) -> None:
        self.waits_for = waits_for
        self.asked: list[str] = []
        self.gone: set[str] = set()
        self._collected = asyncio.Event()

    async def sample(self, id_: str) -> Sample | None:
        self.asked.append(id_)
        if len(self.asked) == self.waits_for:
            self._collected.set()
        await self._collected.wait()
        if id_ in self.gone:
            raise Gone("removed meanwhile")
        return Sample(1_000, 10, 5, 0, 0)


def tasks(count: int) -> dict[WorkerKey, Known]:
    keys = [WorkerKey(JOB, 1, 0, 1, index) for index in range(count)]
    return {key: known(key) for key in keys}


async def test_containers_are_looked_at_together() -> None:
    here = tasks(20)
    engine = Collecting(waits_for=20)
    usage = ContainerUsage(engine)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await usage.look(here, here)
    assert usage.tell(here) == (WorkerUsage(RANK, Sample(1_000, 200, 100, 0, 0)),)


async def test_what_ended_or_was_forgotten_keeps_what_it_used_and_holds_no_memory() -> None:
    here = tasks(3)
    engine = Collecting(waits_for=3)
    usage = ContainerUsage(engine)  # type: ignore[arg-type]
    await usage.look(here, here)
    first, second, _ = here
    usage.forget(first)
    running = set(here) - {first, second}
    assert usage.tell(running) == (WorkerUsage(RANK, Sample(1_000, 30, 5, 0, 0)),)
    for key in here:
        usage.forget(key)
    assert usage.tell(()) == (WorkerUsage(RANK, Sample(1_000, 30, 0, 0, 0)),)
    usage.forget_attempt((JOB, 1))
    assert usage.tell(()) == ()


async def test_a_container_that_is_forgotten_during_a_look_stays_forgotten() -> None:
    here = tasks(2)
    engine = Collecting(waits_for=3)
    usage = ContainerUsage(engine)  # type: ignore[arg-type]
    looking = asyncio.create_task(usage.look(dict(here), here))
    await wait_until(lambda: len(engine.asked) == 2, "both to be asked for")
    first, second = tuple(here)
    del here[first]
    usage.forget(first)
    engine.gone.add(str(known(second).id))
    await engine.sample("the third")
    await looking
    assert usage.tell(here) == ()
