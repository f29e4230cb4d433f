"""A user's own account: what they use, their tokens, their password."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Gui, NewPage
from tests.browser.test_sign_in import sign_in
from tests.support.person import Person


def account_of(page: Page, person: Person) -> Page:
    page.goto("/account")
    sign_in(page, person.name, person.password)
    expect(page.get_by_role("heading", name="Account")).to_be_visible()
    return page


def test_a_token_is_shown_once_works_and_is_revoked(gui: Gui, page: Page) -> None:
    account_of(page, gui.person())
    page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Label").fill("night runs")
    dialog.get_by_label("data:").uncheck()
    dialog.get_by_label("It is good for").select_option("7 days")
    dialog.get_by_role("button", name="Make the token").click()
    token = dialog.get_by_label("Token night runs").input_value()
    me = gui.headrace.ask("GET", "/me", token=token)
    assert (me.status, set(me.json["scopes"])) == (200, {"read", "jobs"})

    dialog.get_by_role("button", name="I have it").click()
    expect(dialog).to_be_hidden()
    row = page.get_by_role("listitem").filter(has_text="night runs")
    expect(row).to_contain_text(re.compile("(jobs, read|read, jobs).*good until"))
    page.reload()
    expect(row).to_be_visible()
    assert token not in page.content()

    page.get_by_role("button", name="Revoke night runs").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(row).to_be_hidden()
    page.wait_for_timeout(5_500)
    assert gui.headrace.ask("GET", "/me", token=token).status == 401


def test_a_quota_and_what_is_used_of_it_are_bars(gui: Gui, page: Page) -> None:
    person = gui.person()
    gui.headrace.cli("users", "change", person.name, "--quota", "2GiB", "--quota", "cpus=4")
    counted = f"/users/{person.name}"
    gui.wait(lambda: gui.headrace.get(counted).get("run_used"), "the use of a new user is counted")
    account_of(page, person)
    you = page.get_by_role("region", name="What you use")
    expect(you.get_by_role("meter", name="Data kept")).to_have_attribute(
        "aria-valuetext", "0 B of 2.0 GiB"
    )
    expect(you.get_by_role("meter", name="CPUs at a time")).to_have_attribute(
        "aria-valuetext", "0 of 4"
    )
    expect(you).to_contain_text("Fair share")


def test_a_password_is_changed_and_the_page_stays_signed_in(gui: Gui, new_page: NewPage) -> None:
    person, page = gui.person("viewer"), new_page()
    account_of(page, person)
    page.get_by_label("Old password").fill("not that one")
    page.get_by_label("New password", exact=True).fill("a longer new one")
    page.get_by_label("New password again").fill("a longer other one")
    expect(page.get_by_text("This is another one.")).to_be_visible()
    page.get_by_label("New password again").fill("a longer new one")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Old password").fill(person.password)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status").get_by_text("Your password is changed")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Account")).to_be_visible()

    other = new_page()
    other.goto("/account")
    sign_in(other, person.name, "a longer new one")
    expect(other.get_by_role("heading", name="Account")).to_be_visible()
