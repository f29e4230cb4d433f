"""What holds for every page: accessible, in both schemes, at both widths; quick; no jump aside."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Gui, NewPage, check_views
from tests.support.browser import axe_findings


def _jobs(_: Gui) -> str:
    return "/jobs"


def _job(gui: Gui) -> str:
    job = gui.headrace.submit("echo", "hello", name="shown")
    gui.until(job, "COMPLETED")
    return f"/jobs/{job}"


def _dataset(gui: Gui) -> str:
    folder = gui.headrace.home.root.parent / "stations"
    (folder / "below").mkdir(parents=True, exist_ok=True)
    rows = "time,01472000\n1979-01-01T00:00Z,1.5\n1979-01-02T00:00Z,1.7\n"
    (folder / "below" / "flow.csv").write_text(rows)
    (folder / "more.csv").write_text(rows)
    words = ("dataset", "create", "looked-at", "--category", "observation", "--upload")
    dataset = gui.headrace.said(*words, str(folder))["id"]
    return f"/datasets/{dataset}?item=more.csv"


# A row a page: its name, a function that makes what it shows and gives the address, its heading.
PAGES: list[tuple[str, Callable[[Gui], str], str]] = [
    ("jobs", _jobs, "Jobs"),
    ("job", _job, "shown"),
    ("cluster", lambda _: "/cluster", "Cluster"),
    ("people", lambda _: "/people", "People"),
    ("evaluation", lambda _: "/evaluation", "Evaluation"),
    ("account", lambda _: "/account", "Account"),
    ("dataset", _dataset, "looked-at"),
    ("datasets", lambda _: "/datasets", "Datasets"),
    ("new-dataset", lambda _: "/datasets/new", "New dataset"),
    ("match", lambda _: "/datasets/match", "What would satisfy this requirement?"),
    ("new-job", lambda _: "/new", "New job"),
    ("new-ngen", lambda _: "/new/ngen", "A run of NextGen"),
]


@pytest.mark.parametrize(
    ("make", "heading"), [row[1:] for row in PAGES], ids=[r[0] for r in PAGES]
)
def test_a_page_is_accessible(
    make: Callable[[Gui], str], heading: str, gui: Gui, new_page: NewPage
) -> None:
    address, page = make(gui), new_page()
    page.goto(gui.link())
    page.get_by_role("navigation").wait_for()
    page.goto(address)
    check_views(page, heading)


def test_the_sign_in_page_is_accessible(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
        assert axe_findings(page) == []


def test_keys_alone_lead_to_the_page(signed_in: Page) -> None:
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("link", name="Skip to the page")).to_be_focused()
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("main")).to_be_focused()


def test_the_chosen_colours_are_remembered(signed_in: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = signed_in.evaluate(ground)
    switch = signed_in.get_by_role("button", name="Colours")
    switch.click()
    switch.click()
    dark = signed_in.evaluate(ground)
    assert dark != light
    signed_in.reload()
    expect(signed_in.get_by_role("navigation")).to_be_visible()
    assert signed_in.evaluate(ground) == dark


def test_an_address_that_is_nothing_says_so(signed_in: Page) -> None:
    signed_in.goto("/nonsense")
    expect(signed_in.get_by_role("heading", name="There is no such page")).to_be_visible()
