"""Signing in and out, and a session that ends while somebody works."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Gui, NewPage


def sign_in(page: Page, user: str, password: str) -> None:
    page.get_by_role("button", name="Password", exact=True).click()
    page.get_by_label("User").fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_the_address_that_up_prints_signs_in_once(gui: Gui, new_page: NewPage) -> None:
    link, first, second = gui.link(), new_page(), new_page()
    first.goto(link)
    expect(first.get_by_role("heading", name="Jobs")).to_be_visible()
    assert first.url == f"{gui.url}/jobs"  # the code is out of the address and the history
    second.goto(link)
    expect(second.get_by_role("alert")).to_contain_text("was used")
    second.reload()
    expect(second.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_code_is_typed_as_people_type(gui: Gui, page: Page) -> None:
    page.goto("/")
    page.get_by_label("One-time code").fill(gui.link().partition("=")[2].upper().replace("-", " "))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()


def test_no_script_can_read_the_session(signed_in: Page) -> None:
    assert signed_in.evaluate("document.cookie") == ""
    assert signed_in.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
    (cookie,) = signed_in.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_a_password_signs_in_and_a_wrong_one_is_told(gui: Gui, page: Page) -> None:
    ann = gui.person()
    page.goto("/")
    sign_in(page, ann.name, "not it")
    expect(page.get_by_role("alert")).to_contain_text("user or password is wrong")
    sign_in(page, ann.name, ann.password)
    expect(page.get_by_text(ann.name)).to_be_visible()


def test_signing_out_revokes_the_token(gui: Gui, page: Page) -> None:
    bob = gui.person()
    page.goto("/")
    sign_in(page, bob.name, bob.password)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []
    assert gui.headrace.said("tokens", "list", "--user", bob.name) == []


def test_a_pasted_token_is_not_revoked(gui: Gui, page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Token", exact=True).click()
    page.get_by_label("Token").fill(gui.headrace.token)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert gui.headrace.cli("whoami").returncode == 0


def test_a_session_that_ends_keeps_what_was_typed(gui: Gui, page: Page) -> None:
    eve = gui.person()
    page.goto("/")
    sign_in(page, eve.name, eve.password)
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    page.get_by_label("Part of a name or id").fill("delaware")
    for each in gui.headrace.said("tokens", "list", "--user", eve.name):
        gui.headrace.cli("tokens", "revoke", each["id"], "--user", eve.name)
    dialog = page.get_by_role("dialog", name="Your session is over")
    expect(dialog).to_be_visible()
    sign_in(page, eve.name, eve.password)
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Part of a name or id")).to_have_value("delaware")
    expect(page.get_by_role("alert")).to_have_count(0)  # what was refused was read again


def test_another_user_in_one_browser_is_shown_in_all_its_tabs(gui: Gui, page: Page) -> None:
    zoe, yan = gui.person(), gui.person()
    page.goto("/")
    sign_in(page, zoe.name, zoe.password)
    other = page.context.new_page()
    other.goto("/jobs?q=of-zoe")
    expect(other.get_by_text(zoe.name)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, yan.name, yan.password)
    for tab in (page, other):
        expect(tab.get_by_text(yan.name)).to_be_visible()
        expect(tab.get_by_role("dialog")).to_be_hidden()
