"""The forecast that is kept up learns how far off its ranges were."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from headrace_model.ids import JobId
from headrace_scheduler import forecasts as service
from headrace_scheduler.forecasts import Forecasts
from headrace_scheduler.reading import Seen
from tests.support.wait import wait_until
from tests.unit.test_forecast import HOUR, T0, job, node, queue, running


class _Reader:
    """Gives the queue as it was at some moments, one after the other; the last for ever."""

    def __init__(self, *seen: Seen) -> None:
        self._seen = list(seen)
        self._now = seen[0]
        self.last = False

    async def first(self) -> Seen:
        seen = self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]
        self.last = len(self._seen) == 1
        self._now = seen
        return seen

    async def read(self, without: JobId) -> Seen:
        lines = (
            tuple(each for each in line if each.id != without) for line in self._now.snapshot.lines
        )
        snapshot = replace(self._now.snapshot, lines=tuple(filter(None, lines)))
        return replace(self._now, snapshot=snapshot)


async def test_a_range_is_widened_once_a_job_started_before_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "_PAUSE_S", 0.01)
    full = [node("a", 1, free=0)]
    busy = running("r", "a", 1, ends_ms=T0 + HOUR)
    early = running("w1", "a", 1, ends_ms=T0 + 2 * HOUR, since_ms=T0 + 1)
    reader = _Reader(
        Seen(queue(full, [job("w1")], [busy]), T0),
        Seen(queue(full, [job("w2")], [early]), T0 + 2),
    )
    forecasts = Forecasts(reader)  # type: ignore[arg-type]  # all of it that is asked
    keeping = asyncio.ensure_future(forecasts.run())
    try:
        await forecasts.expected(job("w1"))
        await wait_until(lambda: reader.last, "the later queue to be read")

        async def low_ms() -> int | None:
            newest = forecasts._newest
            if newest is None or (drawn := newest.drawn.get(job("w2").id)) is None:
                return None
            start = (await forecasts.expected(job("w2"))).start
            return start.low_ms if start and start.low_ms < drawn.low_ms else None

        assert await wait_until(low_ms, "a range that is wider than the drawn one", within_s=20)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
