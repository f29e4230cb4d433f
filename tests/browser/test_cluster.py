"""The cluster, live: nodes and who holds them, the queue, capacity, maintenance."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Gui, NewPage
from tests.browser.test_sign_in import sign_in

SLEEP = ("sleep", "600")


@pytest.fixture
def opened(gui: Gui) -> Iterator[None]:
    """What a test closes (the node, maintenance) is open after it, and the node is free."""
    yield
    open_jobs = gui.headrace.get("/jobs?status=INIT,MODEL_EXEC")["jobs"]
    gui.headrace.cli("jobs", "cancel", *(each["id"] for each in open_jobs))
    gui.headrace.cli("nodes", "undrain", node_of(gui))
    gui.headrace.cli("maintenance", "off")


def node_of(gui: Gui) -> str:
    (node,) = gui.headrace.get("/nodes")["nodes"]
    return str(node["id"])


def card_of(page: Page, node: str) -> Locator:
    return page.get_by_role("listitem", name=node, exact=True)


def test_a_node_is_drained_and_undrained_while_two_tabs_look(
    gui: Gui, signed_in: Page, new_page: NewPage, opened: None
) -> None:
    node, job = node_of(gui), gui.headrace.submit(*SLEEP, name="stays-here")
    gui.until(job, "RUNNING")
    signed_in.get_by_role("link", name="Cluster").click()
    other = signed_in.context.new_page()
    other.goto("/cluster")
    tabs = [signed_in, other]
    for tab in tabs:
        jobs = tab.get_by_role("list", name=f"Jobs on {node}")
        expect(jobs.get_by_role("listitem").filter(has_text="stays-here")).to_contain_text(
            "0.1 CPUs, 64 MiB"
        )
    signed_in.get_by_role("button", name=f"Drain {node}", exact=True).click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Drain").click()
    for tab in tabs:
        expect(card_of(tab, node)).to_contain_text("Drained")
        expect(tab.get_by_role("link", name="stays-here")).to_be_visible()
    waiting = gui.headrace.submit(*SLEEP, name="waits-for-it")
    for tab in tabs:
        queue = tab.get_by_role("list", name="Jobs that wait for nodes")
        expect(queue.get_by_role("link", name="waits-for-it")).to_be_visible()
    other.get_by_role("button", name=f"Undrain {node}").click()
    other.get_by_role("dialog").get_by_role("button", name="Undrain").click()
    for tab in tabs:
        expect(card_of(tab, node)).to_contain_text("Up")
        jobs = tab.get_by_role("list", name=f"Jobs on {node}")
        expect(jobs.get_by_role("link", name="waits-for-it")).to_be_visible()
        expect(tab.get_by_text("No job waits for nodes.")).to_be_visible()
    gui.headrace.cli("jobs", "cancel", job, waiting)
    for tab in tabs:
        expect(tab.get_by_role("link", name="stays-here")).to_be_hidden()


def test_labels_are_set_and_taken_away(gui: Gui, signed_in: Page) -> None:
    node = node_of(gui)
    gui.headrace.said("nodes", "label", node, "old=1")
    signed_in.goto("/cluster")
    labels = signed_in.get_by_role("list", name=f"Labels and pools of {node}")
    expect(labels).to_contain_text("old=1")
    signed_in.get_by_role("button", name=f"Labels of {node}: change").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("A label a line").fill("rack=r7\n")
    dialog.get_by_role("button", name="Set the labels").click()
    expect(labels).to_have_text("rack=r7")
    (view,) = gui.headrace.get("/nodes")["nodes"]
    assert view["labels"] == {"rack": "r7"}


def test_a_lost_node_is_said_to_be_off_and_removed(gui: Gui, signed_in: Page) -> None:
    gui.lose_a_node("gone")
    signed_in.goto("/cluster")
    card = card_of(signed_in, "gone")
    expect(card).to_contain_text("Lost")
    services = signed_in.get_by_role("list", name="Services")
    expect(services).to_contain_text("1 of 2 answer")
    dialog = signed_in.get_by_role("dialog")
    card.get_by_role("button", name="Confirm lost gone").click()
    dialog.get_by_role("button", name="Cancel").click()
    assert {each["confirmed"] for each in gui.headrace.get("/nodes")["nodes"]} == {False}
    card.get_by_role("button", name="Confirm lost gone").click()
    dialog.get_by_role("button", name="Confirm lost").click()
    expect(card.get_by_role("button", name="Confirm lost gone")).to_be_hidden()
    card.get_by_role("button", name="Remove gone").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(card).to_be_hidden()
    expect(services).to_contain_text("1 of 1 answer")


def test_the_queue_tells_places_and_starts_and_the_hour_is_drawn(
    gui: Gui, signed_in: Page, opened: None
) -> None:
    all_of_it = {"cpus": "2", "memory": "256MiB"}
    limits = {"time": "10m"}
    names = ("fills-it", "comes-next", "comes-last")
    jobs = [
        gui.headrace.submit(*SLEEP, name=name, resources=all_of_it, limits=limits)
        for name in names
    ]
    gui.until(jobs[0], "RUNNING")
    signed_in.goto("/cluster")
    queue = signed_in.get_by_role("list", name="Jobs that wait for nodes")
    rows = queue.get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("comes-next")
    for at in (0, 1):
        expect(rows.nth(at)).to_contain_text("starts in about", timeout=25_000)
        expect(rows.nth(at).get_by_title("Place in the queue")).to_have_text(str(at + 1))
    expect(signed_in.get_by_role("meter", name="CPUs")).to_have_attribute(
        "aria-valuetext", "2 of 2 taken"
    )
    plot = signed_in.get_by_role("img", name="CPUs over time")
    expect(plot).to_have_attribute(
        "aria-label", "CPUs over time; now 2 of 2 are taken", timeout=25_000
    )  # a point comes each 10 s
    expect(plot.locator("canvas")).to_be_visible()
    signed_in.get_by_role("button", name="Day").click()
    signed_in.wait_for_url("**/cluster?range=day")
    expect(plot.locator("canvas")).to_be_visible()


def test_maintenance_is_begun_told_to_a_user_and_ended(
    gui: Gui, signed_in: Page, new_page: NewPage, opened: None
) -> None:
    ann, theirs = gui.person(), new_page()
    signed_in.goto("/cluster")
    signed_in.get_by_role("button", name="Begin maintenance").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("Why").fill("new disks")
    dialog.get_by_role("button", name="Begin maintenance").click()
    panel = signed_in.get_by_role("region", name="Maintenance")
    expect(panel).to_contain_text("No new work is taken : new disks")
    assert gui.headrace.get("/maintenance")["why"] == "new disks"

    theirs.goto("/cluster")
    sign_in(theirs, ann.name, ann.password)
    read = theirs.get_by_role("region", name="Maintenance")
    expect(read).to_contain_text("new disks")
    expect(theirs.get_by_role("main").get_by_role("button", name="maintenance")).to_have_count(0)
    expect(theirs.get_by_role("button", name="Drain")).to_have_count(0)

    signed_in.get_by_role("button", name="End maintenance").click()
    dialog.get_by_role("button", name="End maintenance").click()
    expect(panel).to_contain_text("New work is taken")
    # Nothing tells of it by itself: it is read again with each point of the cluster.
    expect(read).to_contain_text("New work is taken", timeout=25_000)
