"""What a page shows when connections break, services end, and several tabs look at the same."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from headrace_local import processes
from tests.browser.conftest import Gui
from tests.support.browser import Watch

AWAY = r"WebSocket connection|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|status of 503"


@contextmanager
def services_away(gui: Gui) -> Iterator[None]:
    """All services ended by SIGKILL, the GUI's too; afterwards their supervisor starts them."""
    (services,) = processes.find(gui.headrace.home.id, "services")
    (supervisor,) = processes.find(gui.headrace.home.id, "supervisor")
    os.kill(supervisor.pid, signal.SIGSTOP)
    try:
        os.kill(services.pid, signal.SIGKILL)
        yield
    finally:
        os.kill(supervisor.pid, signal.SIGCONT)


def test_services_are_killed_and_come_back_under_an_open_page(
    gui: Gui, signed_in: Page, watches: list[Watch]
) -> None:
    watches[0].expect(AWAY)
    gate = gui.headrace.gate()
    script = f"while [ ! -e {gate} ]; do i=$((i+1)); echo line $i; sleep 0.1; done; echo after $i"
    job = gui.headrace.submit("sh", "-c", script, name="survivor")
    signed_in.goto(f"/jobs/{job}?tab=logs")
    log = signed_in.get_by_role("log")
    expect(log).to_contain_text("line 3")
    banner = signed_in.get_by_text("Not live since")
    with services_away(gui):
        expect(banner).to_be_visible()
        expect(log).to_contain_text("line 3")  # what was shown stays
    expect(banner).to_be_hidden(timeout=60_000)
    gate.touch()
    expect(log).to_contain_text("after", timeout=60_000)
    *lines, after = log.inner_text().splitlines()
    assert lines == [f"line {n + 1}" for n in range(len(lines))]  # none is lost, none comes twice
    assert after == f"after {len(lines)}"
    expect(signed_in.get_by_role("button", name="Retry")).to_be_visible(timeout=60_000)
    signed_in.reload()  # the session outlives the server that made it
    expect(signed_in.get_by_role("heading", name="survivor")).to_be_visible()


def test_two_tabs_see_the_same_and_one_signs_out_for_both(gui: Gui, signed_in: Page) -> None:
    other = signed_in.context.new_page()
    other.goto("/jobs")
    job = gui.headrace.submit("sleep", "600", name="two-tabs")
    for tab in (signed_in, other):
        row = tab.get_by_role("row").filter(has=tab.locator(f'a[href="/jobs/{job}"]'))
        expect(row).to_contain_text("Running")
    signed_in.goto(f"/jobs/{job}")
    signed_in.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Canceled")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    expect(signed_in.get_by_role("dialog", name="Your session is over")).to_be_visible()
