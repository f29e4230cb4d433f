"""From the line that a process writes until a browser has it on the page that follows the log.

Each line is the time at which it was written. Chromium runs on the same machine, by the same
clock, and notes when a mutation of the page brought the line: what comes after, the browser's own
drawing, is not in it.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from headrace_client.api import AsyncClient
from headrace_gui.service.codes import make_code
from headrace_local.config import load
from headrace_local.folders import find_home
from tests.benchmarks.bench import Bench, NotHere
from tests.benchmarks.local import Local
from tests.benchmarks.rows import Row, series
from tests.support.browser import ARGUMENTS, find_chromium

NAME: Final = "follow"
ABOUT: Final = "a log's line written → on the page that follows it, in Chromium"
_BUDGET_MS: Final = 50.0
_PAUSE_S: Final = 0.1
_WRITER: Final = f"""
import time
while True:
    print(time.time_ns(), flush=True)
    time.sleep({_PAUSE_S})
"""
_NOTE: Final = """
window.seen = [];
new MutationObserver((changes) => {
  const now = performance.timeOrigin + performance.now();
  for (const change of changes)
    for (const node of change.addedNodes) {
      const rows = node.children?.length ? [...node.children] : [node];
      for (const row of rows)
        if (/^\\d{19}$/.test(row.textContent)) window.seen.push([row.textContent, now]);
    }
}).observe(document.querySelector('[role="log"]'), { childList: true, subtree: true });
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
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        stack.push_async_callback(browser.close)
        lags = await _lags(await signed_in(browser, home), client, bench.seconds)
    line = series(lags)
    return [
        Row(
            name="log line written → on the page",
            unit="ms",
            ours=line,
            budget=f"≤ {_BUDGET_MS:g} ms",
            met=line.p50 <= _BUDGET_MS,
        ),
    ]


async def signed_in(browser: Browser, root: Path) -> Page:
    """A page of somebody who knows nothing yet, signed in."""
    page = await browser.new_page()
    home = find_home(root)
    code = make_code(home.codes, home.admin_token.read_text().strip())
    await page.goto(f"{load(home).gui_url}/#code={code}")
    await page.get_by_role("navigation").first.wait_for()
    return page


async def _open(page: Page, client: AsyncClient, program: str) -> str:
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "writes",
        "command": [sys.executable, "-c", program.replace("{", "{{").replace("}", "}}")],
        "resources": {"cpus": 0.1, "memory": "64MiB"},
    }
    accepted = await client.submit(job)
    origin = await page.evaluate("location.origin")
    await page.goto(f"{origin}/jobs/{accepted.id}?tab=logs")
    await page.get_by_role("log").wait_for()
    return str(accepted.id)


async def _lags(page: Page, client: AsyncClient, seconds: float) -> list[float]:
    job = await _open(page, client, _WRITER)
    await page.get_by_text("live", exact=True).wait_for()
    await page.evaluate(_NOTE)
    await asyncio.sleep(seconds)
    seen: list[Any] = await page.evaluate("window.seen")
    await client.desire(job, "cancel")
    lines = {text: float(at_ms) for text, at_ms in reversed(seen)}  # the first time of each
    return [at_ms - int(text) / 1e6 for text, at_ms in lines.items()]
