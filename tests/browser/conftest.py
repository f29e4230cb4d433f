"""One `headrace local` and one Chromium for all tests; a page that does wrong fails its test."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from headrace_gui.service.codes import make_code
from headrace_local.config import load
from tests.acceptance.conftest import Headrace, until
from tests.support.browser import ARGUMENTS, Watch, axe_findings, chromium
from tests.support.person import Person

WITHIN_MS = 20_000
expect.set_options(timeout=WITHIN_MS)
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


class Gui:
    """The GUI of a Headrace, as tests come to it."""

    def __init__(self, headrace: Headrace) -> None:
        self.headrace = headrace
        self.url = load(headrace.home).gui_url
        self._made = 0

    def link(self) -> str:
        """What `headrace local gui` prints."""
        return f"{self.url}/#code={make_code(self.headrace.home.codes, self.headrace.token)}"

    def until(self, job: str, step: str) -> Any:
        """Wait until a job is at a step, and show it. (Playwright has a loop in this thread.)"""
        with ThreadPoolExecutor(1) as other:
            return other.submit(self.headrace.until, job, step).result()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for what the API tells."""
        with ThreadPoolExecutor(1) as other:
            return other.submit(until, condition, what).result()

    def lose_a_node(self, name: str) -> None:
        """Have a node that registered once, and is lost now."""
        with ThreadPoolExecutor(1) as other:
            other.submit(self.headrace.lose_a_node, name).result()

    def person(self, role: str = "user") -> Person:
        """A new user with a password (and a folder and command line of their own)."""
        self._made += 1
        name = f"{role}{self._made}"
        done = self.headrace.cli("users", "create", name, "--role", role)
        assert done.returncode == 0, done.stderr
        folder = self.headrace.home.root.parent / name
        folder.mkdir()
        return Person(name, folder, self.headrace.url, done.stdout.strip())


NewPage = Callable[..., Page]


@pytest.fixture(scope="session")
def headrace(run_root: Path) -> Iterator[Headrace]:
    """A `headrace local` that is up, for all tests: what one makes, others may see."""
    folder = run_root / "browser"
    folder.mkdir()
    found = Headrace(folder / "home")
    try:
        found.up()
        yield found
    finally:
        found.local("reset", "--yes")


@pytest.fixture(scope="session")
def gui(headrace: Headrace) -> Gui:
    """Its GUI."""
    return Gui(headrace)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A started Chromium."""
    path = chromium()
    expect.set_options(timeout=WITHIN_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def watches() -> list[Watch]:
    """One for each page of the test: `watches[0].expect(…)` lets a fault pass."""
    return []


@pytest.fixture
def new_page(browser: Browser, gui: Gui, watches: list[Watch]) -> Iterator[NewPage]:
    """Pages of browsers that know nothing of each other; `new_page(viewport=PHONE)`.

    The test fails where one had an error on its console, broke the policy or asked another host.
    """
    contexts = []

    def make(**how: Any) -> Page:
        context = browser.new_context(base_url=gui.url, **{"viewport": WIDE, **how})
        context.set_default_timeout(WITHIN_MS)
        contexts.append(context)
        watches.append(Watch(context, gui.url))
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert [fault for watch in watches for fault in watch.faults] == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page of a browser in which nobody is signed in."""
    return new_page()


@pytest.fixture
def signed_in(page: Page, gui: Gui) -> Page:
    """The same, signed in as this machine's admin; it shows the jobs."""
    page.goto(gui.link())
    page.get_by_role("navigation").wait_for()
    return page


def check_views(page: Page, heading: str) -> None:
    """Check what holds for every page: accessible in both schemes and widths, not too wide."""
    for viewport in (WIDE, PHONE):
        page.set_viewport_size(viewport)  # type: ignore[arg-type] # a dict of its two keys
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
            expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
            assert axe_findings(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"at {viewport['width']} px the page is {wide} px too wide"
