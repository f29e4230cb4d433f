"""Takes the pictures of docs/gui.md: `python -m tests.browser.pictures FOLDER`.

A `headrace local` of its own with real things in it: rivers, evaluations of two forecasts, a
calibration, the hydrofabric of Sugar Creek, jobs that run, wait and failed.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from tests.acceptance.conftest import Headrace
from tests.browser.conftest import PHONE, WIDE, Gui
from tests.browser.test_ngen_builder import put
from tests.support import evaluated
from tests.support.browser import ARGUMENTS, chromium
from tests.support.ngen_runs import SUGAR_CREEK, copied

_SETTLES_MS: Final = 1_500  # until plots are drawn
_STEPS: Final = "for i in $(seq 1 300); do echo step $i/300; sleep 0.5; done"


@contextmanager
def _made(folder: Path) -> Iterator[tuple[Gui, dict[str, str]]]:
    """A GUI with something on each page, and the address of each."""
    headrace = Headrace(folder / "home")
    headrace.up()
    try:
        gui = Gui(headrace)
        (folder / "rivers").mkdir()
        gauges = evaluated.rivers(headrace, folder / "rivers", 12)
        jobs = [evaluated.evaluate(headrace, name, name) for name in ("yesterday", "week")]
        (folder / "tuned").mkdir()
        tuned = evaluated.calibrate(headrace, folder / "tuned", 40, 0.0)
        files = (f"{SUGAR_CREEK}/{each}_data.geojson" for each in ("catchment", "nexus"))
        put(gui, "sugar-creek", "HYDROFABRIC", copied(folder / "fabric", *files))
        for job in (*jobs, tuned):
            gui.until(job, "COMPLETED")
        _run(headrace, "broken", "echo no such file; exit 2")
        running = _run(headrace, "looked-at", _STEPS)
        for _ in range(4):
            _run(headrace, "delaware", _STEPS)
        results = [evaluated.scores(headrace, job)[0] for job in jobs]
        yield (
            gui,
            {
                "jobs": "/jobs",
                "job": f"/jobs/{running}",
                "log": f"/jobs/{running}?tab=logs",
                "new-job": "/new",
                "new-ngen": "/new/ngen",
                "datasets": "/datasets",
                "evaluation": f"/evaluation/{results[0]}?gauge={gauges[0]}",
                "comparison": f"/evaluation/{results[0]}?with={results[1]}",
                "calibration": f"/calibration/{tuned}",
                "cluster": "/cluster",
                "people": "/people",
                "account": "/account",
            },
        )
    finally:
        headrace.local("reset", "--yes")


def _run(headrace: Headrace, name: str, script: str) -> str:
    words = ("--name", name, "--cpus", "1", "-o", "json", "--", "sh", "-c", script)
    return str(json.loads(headrace.cli("exec", "run", *words).stdout)["id"])


def _take(page: Page, address: str, path: Path) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(_SETTLES_MS)
    page.screenshot(path=path)


def main(folder: Path) -> None:
    """Take them all: each page in both widths and both schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gui, pages = stack.enter_context(_made(place))
        play = stack.enter_context(sync_playwright())
        browser = play.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        for width, size in (("wide", WIDE), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                looks: dict[str, Any] = {"viewport": size, "color_scheme": scheme}
                page = browser.new_page(base_url=gui.url, **looks)
                page.goto(gui.link())
                page.get_by_role("heading", name="Jobs", exact=True).wait_for()
                for name, address in pages.items():
                    _take(page, address, folder / f"{name}-{width}-{scheme}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
