"""How soon the GUI's list of jobs is there, where there are many jobs.

From the begin of a navigation, by the browser's own clock, until the first row is in the page: a
whole load each time, of files that the browser has from the load before.
"""

from contextlib import AsyncExitStack
from typing import Any, Final

from playwright.async_api import async_playwright

from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.follow import signed_in
from tests.benchmarks.local import Local
from tests.benchmarks.rows import Row, series
from tests.support.browser import ARGUMENTS, find_chromium

NAME: Final = "first_view"
ABOUT: Final = "the GUI's list of 10,000 jobs → its first row in Chromium"
_JOBS: Final = 10_000
_AT_ONCE: Final = 1_000
_LOADS: Final = 20
_BUDGET_MS: Final = 1_000.0
# None of them starts: what is measured is the list.
_JOB: Final[dict[str, Any]] = {
    "headrace": 1,
    "kind": "command",
    "command": ["true"],
    "resources": {"cpus": 0.1, "memory": "64MiB"},
    "start_not_before": "2999-01-01T00:00Z",
}
_NOTE: Final = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('a[href^="/jobs/"]')) return;
  window.firstRow = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true });
"""


async def measure(bench: Bench) -> list[Row]:
    """One row."""
    path = find_chromium()
    if path is None:
        raise NotHere("there is no chromium: `apt-get install chromium`")
    home = bench.folder / "home"
    async with AsyncExitStack() as stack:
        local = stack.enter_context(Local(home, "--cpus", "2", "--memory", "1GiB"))
        client = await stack.enter_async_context(local.client())
        for first in range(0, _JOBS, _AT_ONCE):
            await client.submit_many(
                [{**_JOB, "name": f"job-{first + n}"} for n in range(_AT_ONCE)]
            )
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        stack.push_async_callback(browser.close)
        page = await signed_in(browser, home)
        await page.add_init_script(_NOTE)
        taken: list[float] = []
        for _ in range(_LOADS):
            await page.goto(f"{await page.evaluate('location.origin')}/jobs")
            await page.locator('a[href^="/jobs/"]').first.wait_for()
            taken.append(float(await page.evaluate("window.firstRow")))
    line = series(taken)
    return [
        Row(
            name=f"list of {_JOBS:,} jobs → first row",
            unit="ms",
            ours=line,
            budget=f"≤ {_BUDGET_MS:g} ms",
            met=line.p50 <= _BUDGET_MS,
        ),
    ]
