"""The workers of a home, which outlive its services: counting them and ending them."""

import asyncio
from contextlib import suppress
from typing import Final

from headrace_adapters.backends.process import ProcessBackend
from headrace_local import engine, processes
from headrace_local.config import Config, load, salvage
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError, InvalidInput, Unavailable
from headrace_model.worker import RunningWorker
from headrace_ports.backend import Backend

_ENGINE_ANSWERS_S: Final = 30.0


def living(home: Home) -> list[str]:
    """The workers that live, as "<job>.<attempt>.<rank>", sorted.

    Raises `Unavailable` where they are containers and the engine does not answer.
    """
    config = _config(home)
    if engine.is_used(config):
        return asyncio.run(_living_containers(home, config))
    return sorted({each.name for each in processes.find_workers(home.attempts)})


def end_all(home: Home, grace_s: float) -> None:
    """SIGTERM to all workers, SIGKILL after `grace_s`; returns when none is left.

    Their exits stay with the nest or the engine, for the agent that comes. The nest ends too.
    """
    config = _config(home)
    if engine.is_used(config):
        asyncio.run(_end_containers(home, config, grace_s))
    elif processes.find_nests(home.id) or living(home):
        try:
            asyncio.run(_end_processes(home, grace_s))
        finally:  # a nest that can't be talked to any more must not save its workers
            processes.end(processes.find_workers(home.attempts), 0.0)
            processes.end(processes.find_nests(home.id), 0.0)


def remove_all(home: Home) -> None:
    """End all workers at once, and leave no container behind: the home is being removed."""
    end_all(home, 0.0)
    config = _config(home)
    if engine.is_used(config):
        asyncio.run(_clean_containers(home, config))


def end_idle_nest(home: Home) -> None:
    """End the nest where it holds no living worker: `down` leaves nothing without use behind."""
    if not engine.is_used(_config(home)) and processes.find_nests(home.id) and not living(home):
        asyncio.run(_end_idle_nest(home))


def _config(home: Home) -> Config:
    try:
        return load(home)
    except InvalidInput:  # damaged: it must not be in a reset's way
        return Config(settings=salvage(home) or {})


async def _running(backend: Backend) -> list[RunningWorker]:
    return [state for state in await backend.list() if isinstance(state, RunningWorker)]


async def _stop_all(backend: Backend, grace_s: float) -> None:
    keys = {(state.key.job, state.key.attempt) for state in await _running(backend)}
    await asyncio.gather(*(backend.stop(job, attempt, grace_s) for job, attempt in keys))


async def _end_processes(home: Home, grace_s: float) -> None:
    backend = ProcessBackend(home.nest)
    try:
        # A nest that died is started anew here: it ends the survivors of the old one.
        await backend.open()
        await _stop_all(backend, grace_s)
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


async def _living_containers(home: Home, config: Config) -> list[str]:
    backend = engine.backend(home, config)
    try:
        async with asyncio.timeout(_ENGINE_ANSWERS_S):
            return sorted(str(state.key) for state in await _running(backend))
    except TimeoutError as error:
        raise Unavailable(f"{engine.url(config)} is silent") from error
    finally:
        await backend.close()


async def _end_containers(home: Home, config: Config, grace_s: float) -> None:
    backend = engine.backend(home, config)
    try:
        await backend.open()
        await _stop_all(backend, grace_s)
    finally:
        await backend.close()


async def _clean_containers(home: Home, config: Config) -> None:
    backend = engine.backend(home, config)
    try:
        await backend.open()
        await _stop_all(backend, 0.0)
        for state in await backend.list():
            with suppress(HeadraceError):
                await backend.clean(state.key.job, state.key.attempt)
    finally:
        await backend.close()
