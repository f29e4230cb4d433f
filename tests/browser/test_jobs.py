"""The list of jobs and the page of a job, live."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Gui, NewPage

SLEEP = ("sleep", "600")


def test_a_job_appears_and_moves_without_a_reload(gui: Gui, signed_in: Page) -> None:
    gate = gui.headrace.gate()
    job = gui.headrace.submit(
        "sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done", name="live"
    )
    row = signed_in.get_by_role("row").filter(has=signed_in.locator(f'a[href="/jobs/{job}"]'))
    expect(row).to_contain_text("Running")
    gate.touch()
    expect(row).to_contain_text("Completed")


def test_what_is_looked_for_stands_in_the_address(gui: Gui, signed_in: Page) -> None:
    done = gui.headrace.submit("true", name="looked-for")
    gui.until(done, "COMPLETED")
    signed_in.get_by_label("Part of a name or id").fill("looked-")
    signed_in.get_by_role("button", name="Completed").click()
    expect(signed_in.get_by_role("link", name="looked-for")).to_be_visible()
    expect(signed_in.get_by_role("row")).to_have_count(2)  # its own and the head
    signed_in.wait_for_url(re.compile(r"show=good.*q=looked-|q=looked-.*show=good"))
    signed_in.reload()
    expect(signed_in.get_by_label("Part of a name or id")).to_have_value("looked-")
    expect(signed_in.get_by_role("row")).to_have_count(2)
    signed_in.get_by_role("button", name="Failed").click()
    expect(signed_in.get_by_text("No job is like that.")).to_be_visible()


def test_many_are_canceled_at_once_and_each_outcome_is_told(gui: Gui, signed_in: Page) -> None:
    over = gui.headrace.submit("true", name="many-over")
    gui.until(over, "COMPLETED")
    running = gui.headrace.submit(*SLEEP, name="many-running")
    signed_in.goto("/jobs?q=many-")
    expect(signed_in.get_by_role("row")).to_have_count(3)
    signed_in.get_by_label("Mark all that are loaded").check()
    signed_in.get_by_role("button", name="Cancel", exact=True).click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_have_text("1 done, 1 refused")
    expect(dialog.get_by_role("listitem").filter(has_text=over)).to_contain_text("Next:")
    expect(dialog.get_by_role("listitem").filter(has_text=running)).to_contain_text("is canceled")
    gui.until(running, "CANCELED")


def test_what_is_refused_is_told_in_the_api_s_words(gui: Gui, new_page: NewPage) -> None:
    viewer = gui.person("viewer")
    job = gui.headrace.submit(*SLEEP, name="not-theirs")
    gui.headrace.said("jobs", "share", job, "--with", "everyone")
    page = new_page()
    page.goto("/")
    page.get_by_role("button", name="Password", exact=True).click()
    page.get_by_label("User").fill(viewer.name)
    page.get_by_label("Password", exact=True).fill(viewer.password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="not-theirs").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_contain_text("FORBIDDEN")
    gui.headrace.cli("jobs", "cancel", job)
