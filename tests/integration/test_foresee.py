"""A forecast that a process of its own makes is the one that would be made here."""

from dataclasses import replace
from types import MappingProxyType

from headrace_scheduler.core.forecast import forecast
from headrace_scheduler.core.running import Running
from headrace_scheduler.foresee import foresee
from tests.unit.test_forecast import HOUR, T0, job, node, queue, running


async def test_a_long_queue_is_foreseen_by_another_process() -> None:
    waiting = [job(f"w{n:03}", rank=float(n), time_limit_ms=HOUR) for n in range(200)]
    busy = running("r", "a", 1, ends_ms=T0 + HOUR)
    now = queue([node("a", 4, free=3)], waiting, [busy])
    # As the leading scheduler's own queue gives it.
    live = replace(
        now, held=MappingProxyType({}), shifts=MappingProxyType({"": 5}), running=Running([busy])
    )
    made = await foresee(replace(live, running=tuple(live.running)), T0)
    assert len(made) == 200
    assert made == forecast(replace(now, shifts={"": 5}), T0)
