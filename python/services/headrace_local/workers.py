"""The workers of a home, which outlive its services: counting them and ending them."""

import asyncio

from headrace_adapters.backends.process import ProcessBackend
from headrace_local import processes
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError
from headrace_model.worker import RunningWorker


def living(home: Home) -> list[str]:
    """The workers that live, as "<job>.<attempt>.<rank>", sorted."""
    return sorted({each.name for each in processes.find_workers(home.attempts)})


def end_all(home: Home, grace_s: float) -> None:
    """SIGTERM to all workers, SIGKILL after `grace_s`; returns when none is left.

    Their exits stay in the nest's journal, for the agent that comes. The nest ends too.
    """
    if not (processes.find_nests(home.id) or living(home)):
        return
    try:
        asyncio.run(_end_all(home, grace_s))
    finally:  # a nest that can't be talked to any more must not save its workers
        processes.end(processes.find_workers(home.attempts), 0.0)
        processes.end(processes.find_nests(home.id), 0.0)


def end_idle_nest(home: Home) -> None:
    """End the nest where it holds no living worker: `down` leaves nothing without use behind."""
    if processes.find_nests(home.id) and not living(home):
        asyncio.run(_end_idle_nest(home))


async def _end_all(home: Home, grace_s: float) -> None:
    backend = ProcessBackend(home.nest)
    try:
        # A nest that died is started anew here: it ends the survivors of the old one.
        await backend.open()
        keys = {
            (state.key.job, state.key.attempt)
            for state in await backend.list()
            if isinstance(state, RunningWorker)
        }
        await asyncio.gather(*(backend.stop(job, attempt, grace_s) for job, attempt in keys))
        await backend.shut_down()
    finally:
        await backend.close()


async def _end_idle_nest(home: Home) -> None:
    backend = ProcessBackend(home.nest)
    try:
        await backend.shut_down()
    except HeadraceError:
        return  # a worker which hides lives: the nest has to stay for it
    finally:
        await backend.close()
