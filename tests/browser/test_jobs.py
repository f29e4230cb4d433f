"""The list of jobs and the page of a job, live."""

import json
import re

from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import Gui, NewPage
from tests.support.browser import Watch

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


def test_many_are_canceled_at_once_and_each_refusal_is_told(gui: Gui, signed_in: Page) -> None:
    over = gui.headrace.submit("true", name="many-over")
    gui.until(over, "COMPLETED")
    running = gui.headrace.submit(*SLEEP, name="many-running")
    signed_in.goto("/jobs?q=many-")
    expect(signed_in.get_by_role("row")).to_have_count(3)
    signed_in.get_by_label("Mark all that are loaded").check()
    signed_in.get_by_role("button", name="Cancel", exact=True).click()
    signed_in.get_by_role("button", name="Cancel 2 jobs").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_have_text("1 done, 1 refused")
    expect(dialog.get_by_role("listitem").filter(has_text=over)).to_contain_text("Next:")
    expect(dialog.get_by_role("listitem")).to_have_count(1)  # what is done needs no word
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


def test_rows_of_another_filter_go_after_a_retry(
    gui: Gui, signed_in: Page, watches: list[Watch]
) -> None:
    watches[0].expect("status of 503")
    done = gui.headrace.submit("true", name="gone-by-filter")
    gui.until(done, "COMPLETED")
    signed_in.route_web_socket("**/api/v1/ws", lambda _: None)  # nothing is told live
    lists = re.compile(r"/api/v1/jobs\?")
    signed_in.route(lists, lambda route: route.fulfill(status=503))
    signed_in.goto("/jobs?q=gone-by-filter")
    expect(signed_in.get_by_role("alert")).to_be_visible()
    signed_in.unroute(lists)
    signed_in.get_by_role("button", name="Try again").click()
    row = signed_in.get_by_role("link", name="gone-by-filter")
    expect(row).to_be_visible()
    signed_in.get_by_role("button", name="Failed").click()
    expect(row).to_be_hidden()
    expect(signed_in.get_by_text("No job is like that.")).to_be_visible()


def test_a_job_between_the_list_and_the_snapshot_is_seen(gui: Gui, signed_in: Page) -> None:
    held: list[tuple[WebSocketRoute, str | bytes]] = []
    released = False

    def hold(page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        page.on_message(
            lambda said: server.send(said) if released else held.append((server, said))
        )

    signed_in.route_web_socket("**/api/v1/ws", hold)
    signed_in.goto("/jobs?q=between-")
    expect(signed_in.get_by_text("No job is like that.")).to_be_visible()
    gui.until(gui.headrace.submit("true", name="between-both"), "COMPLETED")
    released = True
    for server, said in held:
        server.send(said)
    expect(signed_in.get_by_role("link", name="between-both")).to_be_visible()


def test_what_the_server_ends_for_now_is_followed_again(gui: Gui, signed_in: Page) -> None:
    refusals = iter(["UNAVAILABLE", "UNAVAILABLE"])

    def refuse(page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def said(text: str | bytes) -> None:
            asked = json.loads(text)
            if asked["op"] == "follow" and (code := next(refusals, None)):
                error = {"type": "error", "id": asked["id"], "code": code}
                page.send(json.dumps({**error, "detail": f"{code} it is"}))
            else:
                server.send(text)

        page.on_message(said)

    signed_in.route_web_socket("**/api/v1/ws", refuse)
    signed_in.goto("/jobs?q=after-refusal")
    expect(signed_in.get_by_text("No job is like that.")).to_be_visible()
    signed_in.wait_for_timeout(1_500)  # it was refused twice, and followed for the third time
    gui.until(gui.headrace.submit("true", name="after-refusal"), "COMPLETED")
    expect(signed_in.get_by_role("link", name="after-refusal")).to_be_visible()
    refusals = iter(["FORBIDDEN"])
    signed_in.get_by_role("button", name="Completed").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("FORBIDDEN it is")


def test_a_retry_whose_answer_is_lost_makes_one_job(
    gui: Gui, signed_in: Page, watches: list[Watch]
) -> None:
    watches[0].expect("ERR_FAILED")
    job = gui.headrace.submit("false", name="retried-once")
    gui.until(job, "FAILED")
    made: list[str] = []

    def lose(route: Route) -> None:
        made.append(route.fetch().json()["id"])
        route.abort()

    signed_in.route("**/*:retry", lose, times=1)
    signed_in.goto(f"/jobs/{job}")
    signed_in.get_by_role("button", name="Retry").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("does not answer")
    signed_in.get_by_role("button", name="Retry").click()
    signed_in.wait_for_url(lambda url: not url.endswith(job))
    assert signed_in.url.endswith(f"/jobs/{made[0]}")


def test_a_closed_dialog_of_many_stays_closed(gui: Gui, signed_in: Page) -> None:
    for _ in range(2):
        gui.until(gui.headrace.submit("true", name="closed-dialog"), "COMPLETED")
    signed_in.route("**/*:hold", lambda route: held.append(route))
    held: list[Route] = []
    signed_in.goto("/jobs?q=closed-dialog")
    expect(signed_in.get_by_role("row")).to_have_count(3)
    signed_in.get_by_label("Mark all that are loaded").check()
    signed_in.get_by_role("button", name="Hold").click()
    dialog = signed_in.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_have_text("2 to do, 0 done")
    dialog.get_by_role("button", name="Close").click()
    for route in held:
        route.continue_()
    expect(signed_in.get_by_text("Hold 2 jobs: 0 done, 2 refused.")).to_be_visible()
    expect(dialog).to_be_hidden()
